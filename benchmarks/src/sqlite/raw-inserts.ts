// The ceiling of our appends: the very rows that our store writes, inserted again through `node:sqlite` with nothing around it.
// The rows are not described here a second time: our store fills a file, and every table that gets a row for each event is
// copied from it into a fresh file with the same schema, so many events and what belongs to them in a transaction.
import assert from "node:assert";
import { join } from "node:path";
import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import type { SubjectCode } from "../bench.ts";

/** Before the clock starts. */
const warmUpEvents = 5_000;

interface Table {
  readonly rows: ReadonlyArray<Record<string, SQLInputValue>>;
  readonly columns: readonly string[];
  readonly insert: StatementSync;
}

export interface RawOptions {
  /** Name of the database file that `fill` leaves in its directory. */
  readonly file: string;
  /** Appends so many events, each to a stream of its own, as the measured appends do. */
  fill(directory: string, events: number): Promise<void>;
  readonly events: number;
  readonly eventsPerTransaction: number;
}

/** Figure: `rate` in events/s, each with all its rows. */
export function rawInserts({ file, fill, events, eventsPerTransaction }: RawOptions): SubjectCode {
  return {
    prepare: (directory) => fill(directory, events),
    async sample({ directory, boxMs }) {
      const source = new DatabaseSync(join(directory, file), { readOnly: true });
      const target = new DatabaseSync(join(directory, "raw.db"));
      target.exec(`PRAGMA page_size = ${pragma(source, "page_size")}; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL`);
      assert.equal(pragma(target, "journal_mode"), "wal");
      const tables = copySchema(source, target, events);
      const transactions = Math.floor(events / eventsPerTransaction);
      let startedAt = performance.now();
      let counted = 0;
      for (let index = 0; index < transactions && performance.now() - startedAt < boxMs; index += 1) {
        if (index * eventsPerTransaction === warmUpEvents) {
          startedAt = performance.now();
          counted = 0;
        }
        target.exec("BEGIN IMMEDIATE");
        for (const table of tables) insertShare(table, index, transactions);
        target.exec("COMMIT");
        counted += eventsPerTransaction;
      }
      return { rate: counted / ((performance.now() - startedAt) / 1_000) };
    },
  };
}

function insertShare({ rows, columns, insert }: Table, index: number, transactions: number): void {
  const end = Math.floor(((index + 1) * rows.length) / transactions);
  for (let next = Math.floor((index * rows.length) / transactions); next < end; next += 1) {
    const row = rows[next];
    if (row !== undefined) insert.run(...columns.map((column) => row[column] ?? null));
  }
}

/** Makes all tables and indexes of `source` in `target`, and reads the tables that hold at least a row for every second event. */
function copySchema(source: DatabaseSync, target: DatabaseSync, events: number): Table[] {
  const schema = source
    .prepare("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY type = 'table' DESC")
    .all();
  const tables: Table[] = [];
  for (const { sql } of schema) target.exec(String(sql));
  for (const { name } of schema.filter(({ type }) => type === "table")) {
    const columns = source
      .prepare(`SELECT name FROM pragma_table_info('${name}')`)
      .all()
      .map((column) => String(column["name"]));
    // In the order in which they were written: by key, a table would be filled more cheaply than it is in reality.
    const order = columns.includes("position") ? "ORDER BY position" : "";
    const rows = source.prepare(`SELECT * FROM "${name}" ${order}`).all() as Array<Record<string, SQLInputValue>>;
    if (rows.length < events / 2) continue;
    const insert = target.prepare(
      `INSERT INTO "${name}" (${columns.map((column) => `"${column}"`).join(", ")}) VALUES (${columns.map(() => "?").join(", ")})`,
    );
    tables.push({ rows, columns, insert });
  }
  assert(tables.length > 0, `${events} events left no table with as many rows`);
  return tables;
}

function pragma(database: DatabaseSync, name: string): unknown {
  return database.prepare(`PRAGMA ${name}`).get()?.[name];
}
