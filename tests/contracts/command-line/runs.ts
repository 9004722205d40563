// The command line as a process, and the stores that its tests give it: files of a folder, and schemas of the test database.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { Log, type StoreDriver } from "convergent";
import { postgres } from "convergent/postgres";
import { sqlite } from "convergent/sqlite";
import pg from "pg";
import { onTestFinished } from "vitest";
import { testDatabase } from "../stores/store-kinds.ts";

const main = resolve(import.meta.dirname, "../../../packages/server/src/cli/main.ts");

export interface Ran {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

export function launch(
  directory: string,
  args: readonly string[],
  more: readonly string[] = [],
): { child: ChildProcess; ran: Promise<Ran> } {
  const child = spawn(process.execPath, ["--conditions=convergent-source", ...more, main, ...args], {
    cwd: directory,
    stdio: ["ignore", "pipe", "pipe"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  let out = "";
  let err = "";
  child.stdout.on("data", (chunk) => (out += String(chunk)));
  child.stderr.on("data", (chunk) => (err += String(chunk)));
  return { child, ran: once(child, "close").then(([code]): Ran => ({ code: code as number | null, out, err })) };
}

export const convergent = (directory: string, ...args: string[]): Promise<Ran> => launch(directory, args).ran;

export function newDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "convergent-cli-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** Where stores of a kind lie in a folder, and how a test looks at their rows without opening them. */
export interface Place {
  readonly kind: "sqlite" | "postgres";
  /** As the command line names a store; one name, one store. */
  at(directory: string, name: string): string;
  driver(directory: string, name: string): StoreDriver;
  /** One statement, in which `events` is the table. */
  rows(directory: string, name: string, statement: string): Promise<readonly Readonly<Record<string, unknown>>[]>;
}

/** A password that the test's server does not ask for, and that no output may have. */
export const password = "s3cret";

export const files: Place = {
  kind: "sqlite",
  at: (_, name) => `${name}.db`,
  driver: (directory, name) => sqlite(join(directory, `${name}.db`)),
  rows: async (directory, name, statement) => {
    const database = new DatabaseSync(join(directory, `${name}.db`), { timeout: 5000 });
    try {
      return database.prepare(statement.replaceAll(/\bevents\b/g, "convergent_events")).all();
    } finally {
      database.close();
    }
  },
};

export const schemas: Place = {
  kind: "postgres",
  at: (directory, name) => addressAt(schemaOf(directory, name)),
  driver: (directory, name) =>
    postgres(testDatabase(), { schema: schemaOf(directory, name), directory, keys: join(directory, `${name}-keys`) }),
  rows: async (directory, name, statement) => {
    const client = new pg.Client({ connectionString: testDatabase() });
    await client.connect();
    try {
      await client.query(`SET search_path = "${schemaOf(directory, name)}"`);
      return (await client.query<Record<string, unknown>>(statement)).rows;
    } finally {
      await client.end();
    }
  },
};

export function schemaOf(directory: string, name: string): string {
  return `${basename(directory)}-${name}`;
}

/** The URL of a schema of the test database, with a password. */
export function addressAt(schema: string | undefined, port?: number): string {
  const url = new URL(testDatabase());
  url.password ||= password;
  if (port !== undefined) url.port = String(port);
  if (schema !== undefined) url.searchParams.set("schema", schema);
  return url.href;
}

export async function openLog(place: Place, directory: string, name: string): Promise<Log> {
  const log = await Log.open(place.driver(directory, name), "orders");
  onTestFinished(() => log.close());
  return log;
}

/** Appends to one stream, under an id; resolves to the token. */
export async function append(log: Log, count: number, stream = "order/1", id?: string): Promise<string> {
  const events = Array.from({ length: count }, (_, index) => ({ type: "order.amended", data: { index, text: "x".repeat(100) } }));
  const named = id === undefined ? {} : { id: { scope: "caller", id } };
  const outcome = await log.append({ stream, expected: "any", events, ...named });
  if (outcome.kind !== "appended") throw new Error("not appended");
  return String(outcome.token);
}

/** A store of `appends` times `each` events, each append with an id. */
export async function fill(place: Place, directory: string, name: string, appends: number, each = 100): Promise<void> {
  const log = await openLog(place, directory, name);
  for (let index = 0; index < appends; index++) await append(log, each, `order/${index % 7}`, `id-${index}`);
  await log.close();
}
