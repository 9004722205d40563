// Opens emmett-sqlite in the configuration in which it does best: one connection for everything (its default, a connection
// for each operation, dies with SQLITE_BUSY under load), the schema made beforehand, and the durability we promise
// ourselves. The pragmas are read back, because emmett sets its own without waiting for them.
import assert from "node:assert";
import { join } from "node:path";
import { type EventStore, getSQLiteEventStore, type SQLiteConnection, sqliteConnection } from "@event-driven-io/emmett-sqlite";

/** The value of `PRAGMA synchronous` that stands for FULL. */
const synchronousFull = 2;

export interface Emmett {
  readonly store: EventStore;
  readonly connection: SQLiteConnection;
}

export function fileIn(directory: string): string {
  return join(directory, "emmett.db");
}

export async function openEmmett(fileName: string): Promise<Emmett> {
  const connection = sqliteConnection({ fileName });
  await connection.command("PRAGMA journal_mode = WAL");
  await connection.command("PRAGMA synchronous = FULL");
  const journal = await connection.querySingle<{ journal_mode: string }>("PRAGMA journal_mode");
  const synchronous = await connection.querySingle<{ synchronous: number }>("PRAGMA synchronous");
  assert.equal(journal?.journal_mode, "wal");
  assert.equal(synchronous?.synchronous, synchronousFull);
  const store = getSQLiteEventStore({ fileName, schema: { autoMigration: "None" }, connectionOptions: { singleton: true, connection } });
  await store.schema.migrate();
  return { store, connection };
}
