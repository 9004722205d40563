// The stores that the contract suite runs on, and how a test opens them: on the real disk, in a directory of its own,
// closed and removed when the test has ended.
import { copyFileSync, cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { type Host, Log, type Store, type StoreDriver } from "convergent";
import { memory } from "convergent/memory";
import { postgres } from "convergent/postgres";
import { sqlite } from "convergent/sqlite";
import pg from "pg";
import { onTestFinished } from "vitest";
import { howToInstall } from "../../../tools/postgres.ts";

export interface DriverOptions {
  readonly host?: Host;
  readonly transactionLimitMs?: number;
}

export interface StoreKind {
  readonly name: string;
  /** Whether one place may be opened several times at once, also by other processes. */
  readonly severalProcesses: boolean;
  /** A batch of appends is decided and inserted by one statement, so that no process dies between the two. */
  readonly decidesBatches?: true;
  /** The store that lies at `place`, a directory. */
  driver(place: string, options?: DriverOptions): StoreDriver;
  /** The file that witnesses how far it had come. */
  witness(place: string): string;
  /** Keeps a copy of the rows of "orders", while nobody has the store open. */
  copy(place: string): Promise<void>;
  /** Puts that copy in their place, as somebody does by hand. */
  putBack(place: string): Promise<void>;
  /** The same rows at another place, while nobody has the store open. */
  duplicate(place: string, to: string): Promise<void>;
}

/** A store in one file. */
export interface FileKind extends StoreKind {
  /** The file in which it keeps the rows of "orders". */
  file(place: string): string;
}

function fileKind(kind: Omit<FileKind, "witness" | "copy" | "putBack" | "duplicate">): FileKind {
  return {
    ...kind,
    witness: (place) => `${kind.file(place)}-witness`,
    // SQLite keeps nothing beside its file when nobody has it open.
    copy: async (place) => copyFileSync(kind.file(place), `${kind.file(place)}.copy`),
    putBack: async (place) => copyFileSync(`${kind.file(place)}.copy`, kind.file(place)),
    duplicate: async (place, to) => cpSync(place, to, { recursive: true }),
  };
}

export const fileKinds: readonly FileKind[] = [
  fileKind({
    name: "memory",
    severalProcesses: false,
    driver: (place, options) => memory({ directory: place, ...options }),
    file: (place) => join(place, "orders.journal"),
  }),
  fileKind({
    name: "sqlite",
    severalProcesses: true,
    driver: (place, options) => sqlite(join(place, "store.db"), options),
    file: (place) => join(place, "store.db"),
  }),
];

export const storeKinds: readonly StoreKind[] = [
  ...fileKinds,
  {
    name: "postgres",
    severalProcesses: true,
    decidesBatches: true,
    driver: postgresAt,
    witness: (place) => join(place, `${new URL(storeUrl()).host.replace(":", "-")}-postgres-${basename(place)}-witness`),
    copy: (place) => onTables(basename(place), (name) => `CREATE TABLE "${basename(place)}-copy".${name} AS TABLE ${name}`),
    putBack: (place) => onTables(basename(place), (name) => replaced(name, `"${basename(place)}-copy".${name}`)),
    duplicate: async (place, to) => {
      const store = await postgresAt(to).open({ name: "orders" });
      await store.close();
      await onTables(basename(to), (name) => replaced(name, `"${basename(place)}".${name}`));
    },
  },
];

function postgresAt(place: string, options?: DriverOptions): StoreDriver {
  return postgres(storeUrl(), { listen: testDatabase(), schema: basename(place), directory: place, keys: join(place, "keys"), ...options });
}

function replaced(table: string, by: string): string {
  return `TRUNCATE ${table}; INSERT INTO ${table} OVERRIDING SYSTEM VALUE SELECT * FROM ${by}`;
}

/** Runs statements about each table of a schema. */
async function onTables(schema: string, statement: (name: string) => string): Promise<void> {
  const client = new pg.Client({ connectionString: testDatabase() });
  await client.connect();
  try {
    await client.query(`CREATE SCHEMA IF NOT EXISTS "${schema}-copy"; SET search_path = "${schema}"`);
    const tables = await client.query<{ name: string }>("SELECT tablename AS name FROM pg_tables WHERE schemaname = $1", [schema]);
    for (const { name } of tables.rows) await client.query(statement(name));
  } finally {
    await client.end();
  }
}

/** The database that `tests/services.ts` has made ready. */
export function testDatabase(): string {
  const url = process.env["CONVERGENT_TEST_DATABASE"];
  if (url === undefined) throw new Error(howToInstall);
  return url;
}

/** Where stores are opened: there, or through the pooler before it. */
function storeUrl(): string {
  return process.env["CONVERGENT_TEST_POOLER"] || testDatabase();
}

export function storeKind(name: string): StoreKind {
  const kind = storeKinds.find((candidate) => candidate.name === name);
  if (!kind) throw new Error(`there is no store "${name}"`);
  return kind;
}

/** A new directory, removed after the test. */
export function newPlace(): string {
  const place = mkdtempSync(join(tmpdir(), "convergent-store-"));
  onTestFinished(() => rmSync(place, { recursive: true, force: true }));
  return place;
}

export async function openLog(kind: StoreKind, place: string = newPlace(), options?: DriverOptions): Promise<Log> {
  const log = await Log.open(kind.driver(place, options), "orders");
  onTestFinished(() => log.close());
  return log;
}

export async function openStore(kind: StoreKind, place: string = newPlace(), options?: DriverOptions): Promise<Store> {
  const store = await kind.driver(place, options).open({ name: "orders" });
  onTestFinished(() => store.close());
  return store;
}
