// Fills emmett's tables by SQL, because a million of its own appends take minutes. The rows are not guessed: emmett appends
// one event itself, and that row is the pattern for the others.
import assert from "node:assert";
import { DatabaseSync } from "node:sqlite";
import { orderPlaced } from "../workload.ts";
import { openEmmett } from "./open.ts";

const rowsPerTransaction = 10_000;
const patternStream = "order-pattern";

export interface SeedOptions {
  readonly streams: number;
  readonly eventsPerStream: number;
  /** The name of a stream by its number. */
  stream(index: number): string;
}

/** Events come round-robin over the streams, as they would from many writers. The pattern's event is deleted again. */
export async function seedEmmett(file: string, { streams, eventsPerStream, stream }: SeedOptions): Promise<void> {
  const { store, connection } = await openEmmett(file);
  await store.appendToStream(patternStream, [{ type: "order.placed", data: orderPlaced(0) }]);
  connection.close();

  const database = new DatabaseSync(file);
  database.exec("PRAGMA synchronous = OFF");
  const messages = copier(database, "emt_messages", ["stream_id", "stream_position", "message_data", "message_metadata", "message_id"]);
  const heads = copier(database, "emt_streams", ["stream_id", "stream_position"]);
  database.exec("DELETE FROM emt_messages; DELETE FROM emt_streams; BEGIN");
  let rows = 0;
  for (let version = 1; version <= eventsPerStream; version += 1) {
    for (let index = 0; index < streams; index += 1) {
      const name = stream(index);
      const id = `${String(rows).padStart(8, "0")}-0000-4000-8000-000000000000`;
      const metadata = { streamName: name, messageId: id, streamPosition: String(version) };
      messages.run(name, version, JSON.stringify(orderPlaced(rows)), JSON.stringify(metadata), id);
      rows += 1;
      if (rows % rowsPerTransaction === 0) database.exec("COMMIT; BEGIN");
    }
  }
  for (let index = 0; index < streams; index += 1) heads.run(stream(index), eventsPerStream);
  database.exec("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)");
  database.close();
}

/** A statement that inserts copies of the first row of a table, with other values for the columns named. */
function copier(database: DatabaseSync, table: string, columns: readonly string[]) {
  const pattern = database.prepare(`SELECT * FROM ${table} LIMIT 1`).get();
  assert(pattern, `emmett left no row in ${table}`);
  // The position in the log is the primary key and is given by SQLite.
  const kept = Object.keys(pattern).filter((column) => column !== "global_position" && !columns.includes(column));
  const values = kept.map((column) => quote(pattern[column]));
  const marks = columns.map(() => "?");
  return database.prepare(`INSERT INTO ${table} (${[...columns, ...kept].join(", ")}) VALUES (${[...marks, ...values].join(", ")})`);
}

function quote(value: unknown): string {
  return typeof value === "number" || typeof value === "bigint" ? String(value) : `'${String(value).replaceAll("'", "''")}'`;
}
