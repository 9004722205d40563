// The user's transaction as a library has it: Kysely's, and what Drizzle's does with a query. Kysely is the real one; Drizzle is not
// among the dependencies, so that one is an object with its `execute`, line for line in what it calls.
import { CamelCasePlugin, Kysely, PostgresDialect, sql } from "kysely";
import type { StagedAppend, UserTransaction } from "convergent";
import { commitFailure } from "convergent/postgres";
import pg from "pg";
import { expect, onTestFinished, test } from "vitest";
import { appended, codeOf, soundEvents, written } from "./log-questions.ts";
import { testDatabase } from "./store-kinds.ts";
import { type Beside, besideLog, staged } from "./user-transactions.ts";

interface Library {
  readonly name: string;
  readonly open: () => Opened;
}

interface Opened {
  /** What the library hands to the transaction's function; `insert` is a statement of the user's in it. */
  readonly transaction: <T>(work: (tx: UserTransaction, insert: Insert) => Promise<T>) => Promise<T>;
  /** The same without a transaction. */
  readonly outside: UserTransaction;
}

type Insert = (table: string, name: string) => Promise<unknown>;

function pool(): pg.Pool {
  const opened = new pg.Pool({ connectionString: testDatabase(), max: 3 });
  opened.on("error", () => undefined);
  return opened;
}

function kyselyOver(): Kysely<object> {
  // A plugin that renames what comes back must not touch what staging asks.
  const db = new Kysely<object>({ dialect: new PostgresDialect({ pool: pool() }), plugins: [new CamelCasePlugin()] });
  onTestFinished(() => db.destroy());
  return db;
}

function insertIn(tx: Kysely<object>): Insert {
  return (table, name) => sql`INSERT INTO ${sql.raw(table)} VALUES (${name})`.execute(tx);
}

const kysely: Library = {
  name: "Kysely",
  open: () => {
    const db = kyselyOver();
    return { outside: db, transaction: (work) => db.transaction().execute((tx) => work(tx, insertIn(tx))) };
  },
};

const controlled: Library = {
  name: "Kysely, a controlled transaction",
  open: () => {
    const db = kyselyOver();
    return {
      outside: db,
      transaction: async (work) => {
        const tx = await db.startTransaction().execute();
        try {
          const value = await work(tx, insertIn(tx));
          await tx.commit().execute();
          return value;
        } catch (error) {
          await tx.rollback().execute();
          throw error;
        }
      },
    };
  },
};

/** What Drizzle asks a wrapper for, and what it throws. */
interface Wrapper {
  getSQL(): { toQuery(config: object): { readonly sql: string; readonly params: unknown[] } };
}

class FailedQuery extends Error {}

function drizzleOver(client: { query(text: string, values: unknown[]): Promise<{ rows: unknown[] }> }): {
  execute(query: Wrapper): Promise<unknown>;
} {
  return {
    execute: async (query) => {
      const { sql, params } = query.getSQL().toQuery({ invokeSource: undefined });
      try {
        return await client.query(sql, params);
      } catch (cause) {
        throw new FailedQuery(`Failed query: ${sql}`, { cause });
      }
    },
  };
}

const asDrizzle: Library = {
  name: "an object as Drizzle's",
  open: () => {
    const opened = pool();
    onTestFinished(() => opened.end());
    const plain = (text: string): Wrapper => ({ getSQL: () => ({ toQuery: () => ({ sql: text, params: [] }) }) });
    return {
      outside: drizzleOver(opened),
      transaction: async (work) => {
        const client = await opened.connect();
        const tx = drizzleOver(client);
        try {
          await tx.execute(plain("begin"));
          const value = await work(tx, (table, name) => client.query(`INSERT INTO ${table} VALUES ($1)`, [name]));
          await tx.execute(plain("commit"));
          return value;
        } catch (error) {
          await tx.execute(plain("rollback"));
          throw error;
        } finally {
          client.release();
        }
      },
    };
  },
};

const libraries = [kysely, controlled, asDrizzle];

function run(
  { log, table }: Beside,
  { transaction }: Opened,
  name: string,
  work: (tx: UserTransaction) => Promise<StagedAppend> = (tx) => staged(log, tx, "order/1", name),
): Promise<StagedAppend> {
  return transaction(async (tx, insert) => {
    await insert(table, name);
    return work(tx);
  });
}

test.each(libraries)("rows and events are there together, or not at all: $name", async (library) => {
  const beside = await besideLog();
  const opened = library.open();
  const one = await run(beside, opened, "ann");
  expect(await one.result()).toMatchObject({ firstVersion: 1, repeated: false });
  const own = new Error("the user's own");
  const lost = run(beside, opened, "bob", async (tx) => {
    await staged(beside.log, tx, "order/1", "bob");
    throw own;
  });
  expect(await lost.catch(commitFailure)).toBe(own);
  expect(await beside.names()).toEqual(["ann"]);
  expect(await soundEvents(beside.log)).toHaveLength(1);
});

test.each(libraries)("a refused commit says why, through what the library makes of it: $name", async (library) => {
  const beside = await besideLog();
  const opened = library.open();
  appended(await beside.log.append(written("order/1", "ann", "ann")));
  const again = await run(beside, opened, "ann").catch(commitFailure);
  expect(again).toMatchObject({ code: "already_done", details: { position: 1, firstVersion: 1 } });
  const behind = run(beside, opened, "bob", (tx) => beside.log.append({ ...written("order/1"), expected: 7 }, { tx }));
  expect(await behind.catch(commitFailure)).toMatchObject({ code: "version_conflict", details: { version: 1 } });
  expect(await beside.names()).toEqual([]);
  expect(await soundEvents(beside.log)).toHaveLength(1);
});

test.each(libraries)("outside of a transaction it is refused, and nothing is appended: $name", async (library) => {
  const beside = await besideLog();
  const { outside } = library.open();
  expect(await codeOf(staged(beside.log, outside, "order/1"))).toBe("invalid_input");
  expect(await soundEvents(beside.log)).toEqual([]);
});

test("a pool of pg is no transaction", async () => {
  const { log } = await besideLog();
  const opened = pool();
  onTestFinished(() => opened.end());
  expect(await codeOf(staged(log, opened, "order/1"))).toBe("invalid_input");
  expect(await soundEvents(log)).toEqual([]);
});
