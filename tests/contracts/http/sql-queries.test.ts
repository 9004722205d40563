// HTTP contract: GET /views/{view}/queries/{query}, as any client asks it and as ours does.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createGateway, type Gateway } from "@convergent/server";
import { command, entity, query, type Running, runtimeOf, service, view } from "convergent";
import { connect } from "convergent/client";
import { nodeHost } from "convergent/node";
import { sqlite } from "convergent/sqlite";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { send } from "./order-service.ts";

const Placed = z.object({ customer: z.string(), total: z.number() });
const order = entity("order", { initial: () => ({}), events: { placed: Placed } })
  .evolve({ placed: (state) => state })
  .commands({ place: command(Placed, (_, input, emit) => emit.placed(input)) });
const orderStats = view
  .sql("order-stats", { from: [order], tables: { totals: "customer TEXT PRIMARY KEY, orders INTEGER NOT NULL, total REAL NOT NULL" } })
  .on({
    "order.placed": ({ data }, sql) =>
      sql.run(
        "INSERT INTO {totals} VALUES (?, 1, ?) ON CONFLICT (customer) DO UPDATE SET orders = orders + 1, total = total + excluded.total",
        data.customer,
        data.total,
      ),
  })
  .queries({
    byCustomer: query(z.object({ customer: z.string(), least: z.number().default(0), open: z.boolean().optional() }), (sql, input) =>
      sql.all<{ customer: string; orders: number }>(
        "SELECT customer, orders FROM {totals} WHERE customer = ? AND total >= ?",
        input.customer,
        input.least,
      ),
    ),
    among: query(z.array(z.string()), (sql, names) =>
      sql.all<{ customer: string }>(
        "SELECT customer FROM {totals} WHERE customer IN (SELECT value FROM json_each(?)) ORDER BY 1",
        JSON.stringify(names),
      ),
    ),
  });
const orders = service("orders", { parts: { order, orderStats } });

const place = mkdtempSync(join(tmpdir(), "convergent-sql-"));
let running: Running;
let gateway: Gateway;
let token: string;

beforeAll(async () => {
  running = await orders.start({ store: sqlite(join(place, "orders.db")) });
  gateway = createGateway([running]);
  for (const [id, customer, total] of [
    ["o-1", "ada", 5],
    ["o-2", "42", 7],
    ["o-3", "ada", 2],
  ])
    token = (await send(gateway, "POST", `/entities/order/${id}/place`, { body: { customer, total } })).body.token;
});
afterAll(async () => {
  await running.stop();
  rmSync(place, { recursive: true, force: true });
});

const ask = (path: string, headers: Record<string, string> = { "Consistency-Token": token }) =>
  send(gateway, "GET", `/views/order-stats/queries/${path}`, { headers });

test("fields of the input are read by their types, and the answer is labelled like any reading", async () => {
  const answer = await ask("byCustomer?customer=ada&least=7");
  expect(answer).toMatchObject({
    status: 200,
    body: { value: [{ customer: "ada", orders: 2 }], fresh: true, asOf: 3, behind: { positions: 0 } },
  });
  expect(answer.headers.get("consistency-token")).toBe(token);
  expect((await ask("byCustomer?customer=42")).body.value).toEqual([{ customer: "42", orders: 1 }]);
  expect((await ask("byCustomer?customer=ada&least=7.5")).body.value).toEqual([]);
  expect((await ask('byCustomer?customer="ada"')).body.value).toEqual([{ customer: "ada", orders: 2 }]);
});

test("the whole input may be given as JSON", async () => {
  expect((await ask(`byCustomer?input=${encodeURIComponent('{"customer":"ada"}')}`)).body.value).toEqual([{ customer: "ada", orders: 2 }]);
  expect((await ask(`among?input=${encodeURIComponent('["ada","42","eve"]')}`)).body.value).toEqual([
    { customer: "42" },
    { customer: "ada" },
  ]);
});

test("bad input is 400 with path and reason; an unknown query is 404 with the known ones", async () => {
  for (const [path, issue] of [
    ["byCustomer", "customer"],
    ["byCustomer?customer=ada&least=many", "least"],
    ["byCustomer?customer=ada&customer=bob", "customer"],
    ["byCustomer?input={", "input"],
    ["byCustomer?input=1&customer=ada", "input"],
    ["byCustomer?input=%5B%5D", ""],
  ] as const) {
    const { status, body } = await ask(path);
    expect([path, status, body.code, body.issues[0]?.path]).toEqual([path, 400, "invalid_input", issue]);
  }
  expect(await ask("lost?x=1")).toMatchObject({ status: 404, body: { code: "not_found", known: ["byCustomer", "among"] } });
  expect((await ask("__proto__")).status).toBe(404);
  expect((await ask("constructor?a=1")).status).toBe(404);
});

test("documents are not to be had of it, and what there is stands in the definition", async () => {
  for (const path of ["/views/order-stats/ada", "/views/order-stats", "/views/order-stats?customer=ada"])
    expect((await send(gateway, "GET", path)).body).toMatchObject({
      code: expect.stringMatching(/not_found|index_not_declared/) as string,
    });
  const { body } = await send(gateway, "GET", "/definition");
  const part = body.parts.find(({ name }) => name === "order-stats") as unknown as {
    queries: Record<string, { properties?: object }>;
    kind: string;
  };
  expect([part.kind, Object.keys(part.queries), Object.keys(part.queries["byCustomer"]?.properties ?? {})]).toEqual([
    "view",
    ["byCustomer", "among"],
    ["customer", "least", "open"],
  ]);
});

test("one that is behind says so, or is 503 for who asks strictly", async () => {
  const { reader } = runtimeOf(running).view("order-stats");
  reader.pause();
  await expect.poll(() => reader.state, { timeout: 5000 }).toBe("paused");
  const { body } = await send(gateway, "POST", "/entities/order/o-9/place", { body: { customer: "zoe", total: 1 } });
  const late = { "Consistency-Token": body.token, Prefer: "wait=0.02" };
  expect((await ask("byCustomer?customer=zoe", late)).body).toMatchObject({ value: [], fresh: false, behind: { positions: 1 } });
  expect(await ask("byCustomer?customer=zoe", { ...late, Prefer: "wait=0, handling=strict" })).toMatchObject({
    status: 503,
    body: { code: "not_fresh" },
  });
  reader.resume();
  expect((await ask("byCustomer?customer=zoe", { ...late, Prefer: "wait=10" })).body).toMatchObject({
    fresh: true,
    value: [{ orders: 1 }],
  });
});

test("the client asks by name, sees its own writes, and throws what the server refuses", async () => {
  const client = connect<typeof orders>("http://localhost", {
    host: {
      ...nodeHost(),
      network: {
        request: async ({ url, method, headers, body }) => {
          const answer = await gateway.fetch(new Request(url, { method, headers, ...(body === undefined ? {} : { body }) }));
          return { status: answer.status, header: (name) => answer.headers.get(name) ?? undefined, body: await answer.text() };
        },
      },
    },
  });
  await client.order("c-1").place({ customer: "mia & co?", total: 3 });
  expect(await client.orderStats.query.byCustomer({ customer: "mia & co?" })).toMatchObject({ fresh: true, value: [{ orders: 1 }] });
  expect((await client.orderStats.query.among(["ada"], { after: null, maxAge: "1h" })).value).toEqual([{ customer: "ada" }]);
  await expect(client.orderStats.query.byCustomer({} as never)).rejects.toMatchObject({ code: "invalid_input" });
});
