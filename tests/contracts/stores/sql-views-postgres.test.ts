// Views that keep tables of their own, in the SQL of PostgreSQL. What does not depend on the dialect is tried on SQLite.
import { accepted, command, entity, query, runtimeOf, service, type Sql, view } from "convergent";
import { expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { newPlace, storeKind } from "./store-kinds.ts";

const Placed = z.object({ customer: z.string(), total: z.number() });
const order = entity("order", { initial: () => ({}), events: { placed: Placed, cancelled: z.object({}) } })
  .evolve({ placed: (state) => state, cancelled: (state) => state })
  .commands({
    place: command(Placed, (_, input, emit) => emit.placed(input)),
    cancel: command(z.object({}), (_state, _input, emit) => emit.cancelled({})),
  });

const sumsOf = (version: number) =>
  view
    .sql("sums", {
      version,
      from: [order],
      tables: {
        orders: "id text PRIMARY KEY, customer text NOT NULL, total double precision NOT NULL, open boolean NOT NULL DEFAULT true",
        counts: "customer text PRIMARY KEY, orders bigint NOT NULL",
      },
      indexes: { orders: ["customer, total"] },
    })
    .on({
      "order.placed": async (event, sql) => {
        const { customer, total } = event.data;
        await sql.run("INSERT INTO {orders} (id, customer, total) VALUES ($1, $2, $3)", event.entityId, customer, total * version);
        await sql.run("INSERT INTO {counts} VALUES ($1, 1) ON CONFLICT (customer) DO UPDATE SET orders = {counts}.orders + 1", customer);
      },
      "order.cancelled": async (event, sql) => {
        const known = await sql.get<{ customer: string }>("SELECT customer FROM {orders} WHERE id = $1", event.entityId);
        if (known) await sql.run("UPDATE {orders} SET open = $2 WHERE id = $1", event.entityId, false);
      },
    })
    .queries({
      byCustomer: query(z.object({ least: z.number() }), (sql, { least }) =>
        sql.all(
          `SELECT c.customer, c.orders, sum(o.total) AS total FROM {counts} c JOIN {orders} o ON o.customer = c.customer AND o.open
           GROUP BY c.customer HAVING sum(o.total) >= $1 ORDER BY c.customer`,
          least,
        ),
      ),
      total: query(
        z.object({}),
        async (sql) => (await sql.get<{ total: number | null }>("SELECT sum(total) AS total FROM {orders}"))?.total ?? 0,
      ),
    });

const shop = (version = 1) => service("shop", { parts: { order, sums: sumsOf(version) } });

const kind = storeKind("postgres");

async function open(place = newPlace(), version = 1) {
  const running = await shop(version).start({ store: kind.driver(place) });
  onTestFinished(() => running.stop());
  return running;
}

async function withHandler(handle: (sql: Sql, id: string) => unknown) {
  const trial = view
    .sql("trial", { from: [order], tables: { rows: "id text PRIMARY KEY, n integer" } })
    .on({ "order.placed": (event, sql) => handle(sql, event.entityId) })
    .queries({ rows: query(z.object({}), (sql) => sql.all("SELECT * FROM {rows} ORDER BY id")) });
  const running = await service("shop", { parts: { order, trial } }).start({ store: kind.driver(newPlace()) });
  onTestFinished(() => running.stop());
  return running;
}

async function failureOf(handle: (sql: Sql, id: string) => unknown): Promise<string> {
  const running = await withHandler(handle);
  await running.order("o-1").place({ customer: "ada", total: 1 });
  const { reader } = runtimeOf(running).view("trial");
  const error = async (): Promise<string> => (await reader.status()).parked.first[0]?.error ?? "";
  await expect.poll(error, { timeout: 10_000 }).not.toBe("");
  expect((await running.trial.query.rows({})).value).toEqual([]);
  return error();
}

test("handlers and queries speak PostgreSQL, in the transaction of the checkpoint, and are answered with a level", async () => {
  const running = await open();
  await running.order("o-1").place({ customer: "ada", total: 5 });
  await running.order("o-2").place({ customer: "bob", total: 1 });
  const { token } = accepted(await running.order("o-3").place({ customer: "ada", total: 2.5 }));
  expect(await running.sums.query.byCustomer({ least: 1 }, { after: token })).toMatchObject({
    fresh: true,
    asOf: 3,
    value: [
      { customer: "ada", orders: 2, total: 7.5 },
      { customer: "bob", orders: 1, total: 1 },
    ],
  });
  await running.order("o-1").cancel({});
  expect((await running.sums.query.byCustomer({ least: 2 }, { strong: true })).value).toEqual([{ customer: "ada", orders: 2, total: 2.5 }]);
});

test("two processes apply each event once; a reset builds again; a higher version takes over", async () => {
  const place = newPlace();
  const both = [await open(place), await open(place)] as const;
  await Promise.all(Array.from({ length: 60 }, (_, n) => both[n % 2]!.order(`o-${n}`).place({ customer: "ada", total: 1 })));
  for (const running of both) expect((await running.sums.query.total({}, { strong: true, wait: "10s" })).value).toBe(60);
  await runtimeOf(both[0]).log.transact((tx) => tx.dropView("sums"));
  for (const running of both) await running.stop();
  const again = await open(place);
  expect((await again.sums.query.total({}, { strong: true, wait: "10s" })).value).toBe(60);
  await again.stop();
  const newer = await open(place, 2);
  const total = (): Promise<unknown> => newer.sums.query.total({}, { strong: true }).then(({ value }) => value, String);
  await expect.poll(total, { timeout: 15_000 }).toBe(120);
});

test("handlers reach their own tables only, change no schema, and do nothing that would come out differently again", async () => {
  const refused: ReadonlyArray<readonly [string, string]> = [
    ["DELETE FROM events", '"events"'],
    ["SELECT data FROM events", '"events"'],
    ["WITH gone AS (DELETE FROM documents RETURNING key) INSERT INTO {rows} SELECT key, 1 FROM gone", '"documents"'],
    ["INSERT INTO {rows} SELECT id, 1 FROM events WHERE false", '"events"'],
    ["SELECT usename FROM pg_catalog.pg_user", "own tables only"],
    ["DROP TABLE {rows}", "drop"],
    ["CREATE TABLE mine (x integer)", "create"],
    ["SELECT 1 AS x INTO mine", "SELECT INTO"],
    ["TRUNCATE {rows}", "truncate"],
    ["SET synchronous_commit = off", "set"],
    ["COMMIT", "commit"],
    ["/* nothing */ DO $$ BEGIN END $$", "do"],
    ["INSERT INTO {rows} VALUES (random()::text, 1)", "random()"],
    ["INSERT INTO {rows} VALUES (CURRENT_TIMESTAMP::text, 1)", "CURRENT_TIMESTAMP"],
    ["INSERT INTO {rows} VALUES (now()::text, 1)", "now"],
    ["INSERT INTO {rows} VALUES (gen_random_uuid()::text, 1)", "gen_random_uuid()"],
    ["SELECT pg_sleep(10)", "pg_sleep()"],
    [String.raw`INSERT INTO {rows} SELECT E'\'' || random()::text || '', 1`, "random()"],
    [`INSERT INTO {rows} SELECT random()::text AS "it's", 1`, "random()"],
    ["DELETE FROM {rows}; DELETE FROM {rows}", "multiple commands"],
    ["INSERT INTO {rows} VALUES ('a", "unterminated"],
    ["INSERT INTO {elsewhere} VALUES (1)", 'no table "elsewhere"'],
  ];
  for (const [statement, names] of refused)
    expect([statement, await failureOf((sql) => sql.run(statement))]).toEqual([statement, expect.stringContaining(names)]);
  // A statement that nobody waits for fails its event all the same.
  const forgotten = await failureOf((sql) => {
    void sql.run("INSERT INTO {rows} VALUES (NULL, 1)");
  });
  expect(forgotten).toContain("not-null constraint");
}, 90_000);

test("queries change nothing and read nothing else", async () => {
  const trial = view
    .sql("trial", { from: [order], tables: { rows: "id text PRIMARY KEY" } })
    .on({})
    .queries({
      write: query(z.object({}), (sql) => sql.all("INSERT INTO {rows} VALUES ('x') RETURNING id")),
      hidden: query(z.object({}), (sql) => sql.all("WITH w AS (INSERT INTO {rows} VALUES ('x') RETURNING id) SELECT * FROM w")),
      locking: query(z.object({}), (sql) => sql.all("SELECT * FROM {rows} FOR UPDATE")),
      foreign: query(z.object({}), (sql) => sql.all("SELECT signing_key FROM store")),
      mistyped: query(z.object({}), (sql) => sql.all("SELECT * FROM row")),
      good: query(z.object({}), (sql) => sql.all("SELECT upper('it''s; INTO now()') AS text, count(*) AS n FROM {rows}")),
    });
  const running = await service("shop", { parts: { order, trial } }).start({ store: kind.driver(newPlace()) });
  onTestFinished(() => running.stop());
  for (const name of ["write", "hidden", "locking", "foreign", "mistyped"] as const)
    await expect(running.trial.query[name]({})).rejects.toMatchObject({ code: "sql_failed" });
  expect((await running.trial.query.good({})).value).toEqual([{ text: "IT'S; INTO NOW()", n: 0 }]);
});

test("a table whose name PostgreSQL would cut off is refused", async () => {
  const long = view
    .sql("a-view-with-a-name-that-is-rather-long-for-a-table", { from: [order], tables: { andItsTable: "id text" } })
    .on({})
    .queries({});
  const starting = service("shop", { parts: { order, long } }).start({ store: kind.driver(newPlace()) });
  await expect(starting).rejects.toMatchObject({ code: "definition_invalid", message: expect.stringContaining("63") as string });
});
