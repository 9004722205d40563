// Views that keep tables of their own: handlers and queries in SQL, on a store that speaks it.
import { join } from "node:path";
import { accepted, command, entity, query, runtimeOf, service, type Sql, view } from "convergent";
import { memory } from "convergent/memory";
import { sqlite } from "convergent/sqlite";
import { DummyDriver, Kysely, SqliteAdapter, SqliteIntrospector, SqliteQueryCompiler } from "kysely";
import { expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { newPlace } from "./store-kinds.ts";

const Placed = z.object({ customer: z.string(), total: z.number() });
const order = entity("order", { initial: () => ({}), events: { placed: Placed, cancelled: z.object({}) } })
  .evolve({ placed: (state) => state, cancelled: (state) => state })
  .commands({
    place: command(Placed, (_, input, emit) => emit.placed(input)),
    cancel: command(z.object({}), (_state, _input, emit) => emit.cancelled({})),
  });
const customer = entity("customer", { initial: () => ({}), events: { named: z.object({ name: z.string() }) } })
  .evolve({ named: (state) => state })
  .commands({ name: command(z.object({ name: z.string() }), (_, input, emit) => emit.named(input)) });

/** Orders and customers meet in SQL: whichever comes first, the question joins them. */
const orderStats = view
  .sql("order-stats", {
    from: [order, customer],
    tables: {
      orders: "id TEXT PRIMARY KEY, customer TEXT NOT NULL, total REAL NOT NULL",
      customers: "id TEXT PRIMARY KEY, name TEXT NOT NULL",
    },
    indexes: { orders: ["customer, total"] },
  })
  .on({
    "order.placed": (event, sql) =>
      sql.run("INSERT INTO {orders} (id, customer, total) VALUES (?, ?, ?)", event.entityId, event.data.customer, event.data.total),
    "order.cancelled": async (event, sql) => {
      const known = await sql.get<{ id: string }>("SELECT id FROM {orders} WHERE id = ?", event.entityId);
      if (known) await sql.run("DELETE FROM {orders} WHERE id = ?", known.id);
    },
    "customer.named": async (event, sql) => {
      await sql.run(
        "INSERT INTO {customers} VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET name = excluded.name",
        event.entityId,
        event.data.name,
      );
    },
  })
  .queries({
    byCustomer: query(z.object({ least: z.number().default(0) }), (sql, { least }) =>
      sql.all<{ name: string; orders: number; total: number }>(
        `SELECT c.name AS name, count(*) AS orders, sum(o.total) AS total FROM {orders} o JOIN {customers} c ON c.id = o.customer
         GROUP BY c.id HAVING sum(o.total) >= ? ORDER BY c.name`,
        least,
      ),
    ),
    total: query(
      z.object({}),
      async (sql) => (await sql.get<{ total: number | null }>("SELECT sum(total) AS total FROM {orders}"))?.total ?? 0,
    ),
  });

/** The same as documents: the key is what two entities have in common. */
const customerSheet = view("customer-sheet", {
  from: [order, customer],
  document: z.object({ name: z.string().optional(), orders: z.number() }),
  key: (event) => (event.type === "order.placed" ? event.data.customer : event.entityId),
}).on({
  "order.placed": (sheet) => ({ ...sheet, orders: (sheet?.orders ?? 0) + 1 }),
  "customer.named": (sheet, event) => ({ orders: 0, ...sheet, name: event.data.name }),
});

const shop = service("shop", { parts: { order, customer, orderStats, customerSheet } });

async function open(place = newPlace()) {
  const running = await shop.start({ store: sqlite(join(place, "store.db")) });
  onTestFinished(() => running.stop());
  return running;
}

/** A service whose one view does with `order.placed` what the test wants. */
async function withHandler(handle: (sql: Sql, id: string) => unknown, place = newPlace()) {
  const trial = view
    .sql("trial", { from: [order], tables: { rows: "id TEXT PRIMARY KEY, n INTEGER" } })
    .on({ "order.placed": (event, sql) => handle(sql, event.entityId) })
    .queries({ rows: query(z.object({}), (sql) => sql.all("SELECT * FROM {rows} ORDER BY id")) });
  const running = await service("shop", { parts: { order, trial } }).start({ store: sqlite(join(place, "store.db")) });
  onTestFinished(() => running.stop());
  return running;
}

async function failureOf(handle: (sql: Sql, id: string) => unknown): Promise<string> {
  const running = await withHandler(handle);
  await running.order("o-1").place({ customer: "ada", total: 1 });
  const { reader } = runtimeOf(running).view("trial");
  const error = async (): Promise<string> => (await reader.status()).parked.first[0]?.error ?? "";
  await expect.poll(error, { timeout: 5000 }).not.toBe("");
  expect((await running.trial.query.rows({})).value).toEqual([]);
  return error();
}

test("a query joins entities, whichever event came first, and is answered with any level", async () => {
  const { order: orders, customer: customers, orderStats: stats, customerSheet: sheets } = await open();
  await orders("o-1").place({ customer: "ada", total: 5 });
  await customers("ada").name({ name: "Ada" });
  await customers("bob").name({ name: "Bob" });
  await orders("o-2").place({ customer: "bob", total: 1 });
  const { token } = accepted(await orders("o-3").place({ customer: "ada", total: 2.5 }));
  const reading = await stats.query.byCustomer({}, { after: token });
  expect(reading).toMatchObject({ fresh: true, asOf: 5, behind: { positions: 0 } });
  expect(reading.value).toEqual([
    { name: "Ada", orders: 2, total: 7.5 },
    { name: "Bob", orders: 1, total: 1 },
  ]);
  expect((await stats.query.byCustomer({ least: 5 }, { maxAge: "1h" })).value).toHaveLength(1);
  await orders("o-1").cancel({});
  expect((await stats.query.total({}, { strong: true })).value).toBe(3.5);
  expect((await sheets.get("ada", { strong: true })).value).toEqual({ name: "Ada", orders: 2 });
  await expect(stats.query.byCustomer({ least: "x" } as never)).rejects.toMatchObject({ code: "invalid_input" });
});

test("a query that is behind says so, and rows and label are of one snapshot while events are applied", async () => {
  const running = await open();
  const { reader } = runtimeOf(running).view("order-stats");
  reader.pause();
  await expect.poll(() => reader.state, { timeout: 5000 }).toBe("paused");
  const { token } = accepted(await running.order("o-1").place({ customer: "ada", total: 1 }));
  expect(await running.orderStats.query.total({}, { after: token, wait: "20ms" })).toMatchObject({ fresh: false, asOf: 0, value: 0 });
  await expect(running.orderStats.query.total({}, { strong: true, wait: "0s", stale: "error" })).rejects.toMatchObject({
    code: "not_fresh",
  });
  reader.resume();
  const placing = Promise.all(Array.from({ length: 200 }, (_, n) => running.order(`n-${n}`).place({ customer: "ada", total: 1 })));
  for (let done = false; !done; ) {
    const { value, asOf } = await running.orderStats.query.total({});
    expect(value).toBe(asOf);
    done = asOf === 201;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await placing;
});

test("tables and checkpoint are one transaction: a handler that fails leaves nothing of its batch, and a restart applies each event once", async () => {
  const place = newPlace();
  let broken = true;
  const handle = async (sql: Sql, id: string): Promise<void> => {
    await sql.run("INSERT INTO {rows} VALUES (?, 1)", id);
    if (broken && id === "o-2") throw new Error("not today");
  };
  const first = await withHandler(handle, place);
  for (const id of ["o-1", "o-2", "o-3"]) await first.order(id).place({ customer: "ada", total: 1 });
  const { reader } = runtimeOf(first).view("trial");
  await expect.poll(async () => (await reader.status()).parked.first[0]?.error, { timeout: 5000 }).toBe("not today");
  // What came before it got through; of itself there is nothing.
  await expect.poll(async () => (await first.trial.query.rows({})).value, { timeout: 5000 }).toContainEqual({ id: "o-1", n: 1 });
  expect((await first.trial.query.rows({})).value).not.toContainEqual({ id: "o-2", n: 1 });
  await first.stop();
  broken = false;
  const second = await withHandler(handle, place);
  await expect
    .poll(async () => (await second.trial.query.rows({})).value, { timeout: 15_000 })
    .toEqual(["o-1", "o-2", "o-3"].map((id) => ({ id, n: 1 })));
});

test("handlers reach their own tables only, change no schema, and do nothing that would come out differently again", async () => {
  const refused: ReadonlyArray<readonly [string, string]> = [
    ["DELETE FROM convergent_events", "convergent_events"],
    ["SELECT data FROM convergent_events", "convergent_events"],
    ["INSERT INTO {rows} SELECT id, position FROM convergent_events", "convergent_events"],
    ["DROP TABLE {rows}", "sqlite_master"],
    ["CREATE TABLE mine (x)", "sqlite_master"],
    ["CREATE INDEX i ON {rows} (n)", "sqlite_master"],
    ["ALTER TABLE {rows} ADD COLUMN x", "rows"],
    ["PRAGMA synchronous = OFF", "synchronous"],
    ["COMMIT", "COMMIT"],
    ["ATTACH 'x' AS x", "its own tables only"],
    ["INSERT INTO {rows} VALUES (random(), 1)", "random"],
    ["INSERT INTO {rows} VALUES (CURRENT_TIMESTAMP, 1)", "current_timestamp"],
    ["DELETE FROM {rows}; DELETE FROM {rows}", "one statement at a time"],
    ["INSERT INTO {rows} VALUES (1", "incomplete input"],
    ["INSERT INTO {elsewhere} VALUES (1)", 'no table "elsewhere"'],
  ];
  for (const [statement, names] of refused)
    expect([statement, await failureOf((sql) => sql.run(statement))]).toEqual([statement, expect.stringContaining(names)]);
  expect(await failureOf((sql) => sql.run("INSERT INTO {rows} VALUES (?, ?)", "a", Number.NaN))).toContain("parameter 2");
  // A statement that nobody waits for fails its event all the same.
  const forgotten = await failureOf((sql) => {
    void sql.run("INSERT INTO {rows} VALUES (NULL, 'x')");
  });
  expect(forgotten).toContain("NOT NULL constraint failed");
});

test("queries change nothing", async () => {
  const trial = view
    .sql("trial", { from: [order], tables: { rows: "id TEXT PRIMARY KEY" } })
    .on({})
    .queries({
      write: query(z.object({}), (sql) => sql.all("INSERT INTO {rows} VALUES ('x') RETURNING id")),
      foreign: query(z.object({}), (sql) => sql.all("SELECT * FROM convergent_store")),
      mistyped: query(z.object({}), (sql) => sql.all("SELECT * FROM row")),
      now: query(z.object({}), (sql) =>
        sql.get("SELECT datetime('now') AS now, random() % 6 AS dice, json_extract(?, '$.a') AS a", '{"a":1}'),
      ),
    });
  const running = await service("shop", { parts: { order, trial } }).start({ store: sqlite(join(newPlace(), "store.db")) });
  onTestFinished(() => running.stop());
  for (const name of ["write", "foreign", "mistyped"] as const)
    await expect(running.trial.query[name]({})).rejects.toMatchObject({ code: "sql_failed" });
  expect((await running.trial.query.now({})).value).toMatchObject({ a: 1 });
});

interface Tables {
  readonly "{orders}": { readonly id: string; readonly customer: string; readonly total: number };
}

test("what Kysely compiled is taken as it is, in handlers and in queries", async () => {
  const db = new Kysely<Tables>({
    dialect: {
      createAdapter: () => new SqliteAdapter(),
      createDriver: () => new DummyDriver(),
      createIntrospector: (each) => new SqliteIntrospector(each),
      createQueryCompiler: () => new SqliteQueryCompiler(),
    },
  });
  const built = view
    .sql("built", { from: [order], tables: { orders: "id TEXT PRIMARY KEY, customer TEXT NOT NULL, total REAL NOT NULL" } })
    .on({
      "order.placed": (event, sql) => {
        const row = { id: event.entityId, ...event.data };
        return sql.run(
          db
            .insertInto("{orders}")
            .values(row)
            .onConflict((conflict) => conflict.column("id").doUpdateSet({ total: row.total }))
            .compile(),
        );
      },
    })
    .queries({
      above: query(z.object({ total: z.number() }), (sql, { total }) =>
        sql.all<{ id: string }>(db.selectFrom("{orders}").select("id").where("total", ">", total).orderBy("id").compile()),
      ),
      // The name in the store, for builders that are told their tables.
      named: query(z.object({}), (sql) => sql.get<{ n: number }>(`SELECT count(*) AS n FROM "${sql.table("orders")}"`)),
    });
  const running = await service("shop", { parts: { order, built } }).start({ store: sqlite(join(newPlace(), "store.db")) });
  onTestFinished(() => running.stop());
  for (const total of [1, 5, 9]) await running.order(`o-${total}`).place({ customer: "'; DROP TABLE x; --", total });
  expect((await running.built.query.above({ total: 3 }, { strong: true })).value).toEqual([{ id: "o-5" }, { id: "o-9" }]);
  expect((await running.built.query.named({})).value).toEqual({ n: 3 });
});

test("the memory store says that it speaks no SQL, and what to do", async () => {
  await expect(shop.start({ store: memory() })).rejects.toMatchObject({
    code: "sql_unsupported",
    message: expect.stringContaining("sqlite(") as string,
  });
});

test("a view that is reset loses its tables and is built again; another definition under the same version is refused", async () => {
  const place = newPlace();
  const first = await open(place);
  await first.order("o-1").place({ customer: "ada", total: 5 });
  await first.orderStats.query.total({}, { strong: true });
  await first.stop();
  const other = view
    .sql("order-stats", { from: [order, customer], tables: { orders: "id TEXT" } })
    .on({})
    .queries({});
  const changed = service("shop", { parts: { order, customer, other } });
  await expect(changed.start({ store: sqlite(join(place, "store.db")) })).rejects.toMatchObject({ code: "definition_changed" });
  const second = await open(place);
  await runtimeOf(second).log.transact((tx) => tx.dropView("order-stats"));
  await second.stop();
  const third = await open(place);
  expect((await third.orderStats.query.total({}, { strong: true })).value).toBe(5);
});

test.each([true, false])(
  "a higher version gets tables of its own, beside those that answer until it is built (it names what it replaces: %s)",
  async (named) => {
    const place = newPlace();
    const first = await open(place);
    for (let n = 0; n < 40; n++) await first.order(`o-${n}`).place({ customer: `c-${n % 3}`, total: 1 });
    await first.orderStats.query.total({}, { strong: true });
    await first.stop();
    let hold: (() => void) | undefined;
    const held = new Promise<void>((resolve) => (hold = resolve));
    const newer = view
      .sql("order-stats", {
        version: 2,
        from: [order],
        tables: { sums: "customer TEXT PRIMARY KEY, total REAL NOT NULL" },
        ...(named ? { replaces: { view: orderStats } } : {}),
      })
      .on({
        "order.placed": async ({ data }, sql) => {
          await held;
          await sql.run(
            "INSERT INTO {sums} VALUES (?, ?) ON CONFLICT (customer) DO UPDATE SET total = total + excluded.total",
            data.customer,
            data.total,
          );
        },
      })
      .queries({
        total: query(z.object({}), async (sql) => (await sql.get<{ total: number }>("SELECT sum(total) AS total FROM {sums}"))?.total ?? 0),
      });
    const running = await service("shop", { parts: { order, customer, newer } }).start({ store: sqlite(join(place, "store.db")) });
    onTestFinished(() => running.stop());
    const early = running.newer.query.total({});
    if (named) expect((await early).value).toBe(40);
    else await expect(early).rejects.toMatchObject({ code: "rebuilding" });
    hold?.();
    await expect
      .poll(() => running.newer.query.total({}, { strong: true }).catch((error: unknown) => error), { timeout: 10_000 })
      .toMatchObject({ value: 40, fresh: true });
  },
);

test("two processes that keep one view apply each event once", async () => {
  const place = newPlace();
  const both = [await open(place), await open(place)] as const;
  await Promise.all(Array.from({ length: 100 }, (_, n) => both[n % 2]!.order(`o-${n}`).place({ customer: "ada", total: 1 })));
  for (const running of both) expect((await running.orderStats.query.total({}, { strong: true, wait: "10s" })).value).toBe(100);
});

test("one partition keeps the order of the log, whatever events belong to; a key spreads them over slots", async () => {
  const place = newPlace();
  const running = await open(place);
  await running.order("o-1").place({ customer: "ada", total: 1 });
  await running.orderStats.query.total({}, { strong: true });
  const slotsOf = async (name: string): Promise<number> =>
    (await runtimeOf(running).log.snapshot((tx) => tx.checkpoints())).filter((row) => row.reader === name).length;
  expect(await slotsOf("order-stats")).toBe(1);
  expect(await slotsOf("customer-sheet")).toBe(16);
  const keyed = view
    .sql("keyed", { from: [order], tables: { rows: "id TEXT" }, key: (event) => event.entityId, slots: 4 })
    .on({})
    .queries({});
  expect([keyed.sql.slots, keyed.key({ entityId: "o-1" } as never)]).toEqual([4, "o-1"]);
});

test("definitions that cannot be are refused where they are written", () => {
  const bad: ReadonlyArray<() => unknown> = [
    () => view.sql("x", { from: [order], tables: {} }),
    () => view.sql("X", { from: [order], tables: { rows: "id TEXT" } }),
    () => view.sql("x", { from: [order], tables: { "a b": "id TEXT" } }),
    () => view.sql("x", { from: [order], tables: { rows: "id TEXT" }, slots: 4 }),
    () => view.sql("x", { from: [order], tables: { rows: "id TEXT" }, indexes: { other: ["id"] } as never }),
    () => view.sql("x", { from: [order], tables: { rows: "id TEXT" } }).on({ "order.lost": () => undefined } as never),
  ];
  for (const define of bad) expect(define).toThrow(expect.objectContaining({ code: "definition_invalid" }) as Error);
});

test("columns that SQLite does not take fail the start and are named", async () => {
  const wrong = view
    .sql("wrong", { from: [order], tables: { rows: "id TXT" } })
    .on({})
    .queries({});
  await expect(service("shop", { parts: { order, wrong } }).start({ store: sqlite(join(newPlace(), "store.db")) })).rejects.toMatchObject({
    code: "definition_invalid",
    message: expect.stringContaining("TXT") as string,
  });
});
