// HTTP contract: what is written down of requests, and what never is.
import { createGateway, type Gateway } from "@convergent/server";
import { pino } from "pino";
import { afterEach, beforeEach, expect, test } from "vitest";
import { placement, send, type Shop, startShop } from "./order-service.ts";

let shop: Shop;
let lines: Array<Record<string, unknown>>;
beforeEach(async () => {
  shop = await startShop();
  lines = [];
});
afterEach(() => shop.stop());

const loggedAt = (level: string): Gateway =>
  createGateway(shop.services, {
    log: pino({ level }, { write: (line) => void lines.push(JSON.parse(line) as Record<string, unknown>) }),
    authenticate: (request) => {
      const subject = request.headers.get("x-user");
      return subject === null ? undefined : { subject, claims: { secret: "secret-claim" }, scopes: new Set() };
    },
    policy: ({ kind }) => kind !== "metrics",
    fallback: () => new Response("page"),
  });
const place = (gateway: Gateway, id = "secret-id") =>
  send(gateway, "POST", `/entities/order/${id}/place?secret-query=1`, {
    body: { ...placement, customer: "secret-customer" },
    headers: {
      "X-User": "ada",
      "Idempotency-Key": `secret-key-${id}`,
      traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    },
  });

test("a request is one line with method, route, status, time, caller and trace", async () => {
  await place(loggedAt("info"));
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatchObject({
    level: 30,
    msg: "request",
    method: "POST",
    route: "/entities/{entity}/{id}/{command}",
    status: 200,
    caller: "ada",
    trace: "0af7651916cd43dd8448eb211c80319c",
  });
  expect(lines[0]!["ms"]).toEqual(expect.any(Number));
});

test("no line holds a payload, a query, a key, a claim or an id; at debug it holds the ids", async () => {
  const gateway = loggedAt("info");
  await place(gateway);
  await place(gateway);
  await send(gateway, "POST", "/entities/order/secret-id/place", {
    body: { customer: "secret-customer", secret: 1 },
    headers: { "X-User": "ada" },
  });
  await send(gateway, "GET", "/views/order-summary?customer=secret-customer", {
    headers: { "X-User": "ada", Authorization: "Bearer secret" },
  });
  expect(lines).toHaveLength(4);
  expect(JSON.stringify(lines)).not.toContain("secret");
  lines = [];
  await place(loggedAt("debug"), "o-2");
  expect(lines[0]!["parts"]).toEqual({ entity: "order", id: "o-2", command: "place" });
  expect(JSON.stringify(lines)).not.toContain("secret");
});

test("a failure's line has its code and a level by who is to look at it", async () => {
  const gateway = loggedAt("debug");
  await place(gateway);
  await place(gateway);
  await send(gateway, "GET", "/definition");
  await send(gateway, "GET", "/metrics", { headers: { "X-User": "ada" } });
  await send(gateway, "GET", "/readyz");
  shop.store.failing = "unavailable";
  await place(gateway, "o-3");
  expect(lines.map(({ status, level, code, caller }) => [status, level, code, caller])).toEqual([
    [200, 30, undefined, "ada"],
    [200, 30, undefined, "ada"],
    [401, 40, "unauthenticated", undefined],
    [403, 40, "forbidden", "ada"],
    [200, 20, undefined, undefined],
    [503, 50, "unavailable", "ada"],
  ]);
});

test("what no route answers is written down too, without its path", async () => {
  const gateway = loggedAt("info");
  await send(gateway, "GET", "/secret-page");
  await send(gateway, "DELETE", "/entities/order/secret-id");
  await send(gateway, "GET", "/secret%zz");
  expect(lines.map(({ route, status, code }) => [route, status, code])).toEqual([
    ["none", 200, undefined],
    ["none", 405, undefined],
    ["none", 400, "invalid_input"],
  ]);
  expect(JSON.stringify(lines)).not.toContain("secret");
});

test("an unexpected failure is written with where it came from", async () => {
  await send(loggedAt("error"), "POST", "/entities/order/o-1/explode", { body: {}, headers: { "X-User": "ada" } });
  expect(lines).toHaveLength(2);
  expect(lines[0]).toMatchObject({
    level: 50,
    msg: "request failed",
    where: "POST /entities/{entity}/{id}/{command}",
    err: { type: "TypeError" },
  });
  expect(lines[1]).toMatchObject({ status: 500, msg: "request" });
});
