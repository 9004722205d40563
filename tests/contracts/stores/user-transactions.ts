// A log on PostgreSQL with a table of the user's own beside it, and connections of the user's own to the same database.
import { basename } from "node:path";
import { Log, type StagedAppend, type UserTransaction } from "convergent";
import { commitFailure, postgres, type PostgresOptions } from "convergent/postgres";
import pg from "pg";
import { onTestFinished } from "vitest";
import { written } from "./log-questions.ts";
import { newPlace, testDatabase } from "./store-kinds.ts";

export interface Beside {
  readonly log: Log;
  readonly place: string;
  readonly schema: string;
  /** The user's table, quoted and with its schema; it has one column, `name`. */
  readonly table: string;
  /** A connection of the user's, which knows nothing of the store. */
  readonly connect: () => Promise<pg.Client>;
  /** What the user's table holds, in order. */
  readonly names: () => Promise<string[]>;
}

export async function besideLog(options: PostgresOptions = {}): Promise<Beside> {
  const place = newPlace();
  const schema = basename(place);
  const log = await Log.open(postgres(testDatabase(), { schema, directory: place, ...options }), "orders");
  onTestFinished(() => log.close());
  const connect = async (): Promise<pg.Client> => {
    const client = new pg.Client({ connectionString: testDatabase() });
    client.on("error", () => undefined);
    await client.connect();
    onTestFinished(() => client.end());
    return client;
  };
  const table = `"${schema}-user".names`;
  const own = await connect();
  await own.query(`CREATE SCHEMA "${schema}-user"; CREATE TABLE ${table} (name text PRIMARY KEY)`);
  const names = async (): Promise<string[]> =>
    (await own.query<{ name: string }>(`SELECT name FROM ${table} ORDER BY name COLLATE "C"`)).rows.map(({ name }) => name);
  return { log, place, schema, table, connect, names };
}

/** One event to a stream, staged; `id` is the append's id, and what it says. */
export function staged(log: Log, tx: UserTransaction, stream: string, id?: string): Promise<StagedAppend> {
  return log.append(written(stream, id ?? null, id), { tx });
}

/** Begins, does what is to be done, and commits; what fails is rolled back, and thrown as what it means. */
export async function inTransaction<T>(client: pg.Client, work: () => Promise<T>, begin = "BEGIN"): Promise<T> {
  await client.query(begin);
  try {
    const value = await work();
    await client.query("COMMIT");
    return value;
  } catch (error) {
    await client.query("ROLLBACK").catch(() => undefined);
    throw commitFailure(error);
  }
}
