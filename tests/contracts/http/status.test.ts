// HTTP contract: GET /definition, /healthz, /readyz, /readers and /metrics, and a gateway over several services.
import { createGateway } from "@convergent/server";
import { command, entity, service } from "convergent";
import { memory } from "convergent/memory";
import { afterEach, beforeEach, expect, test } from "vitest";
import { z } from "zod";
import { type AnswerBody, placement, send, type Shop, startShop } from "./order-service.ts";

let shop: Shop;
beforeEach(async () => {
  shop = await startShop();
});
afterEach(() => shop.stop());

const get = (path: string) => send(shop.gateway, "GET", path);

test("the definition names each part's key, wire name, kind and service, with schemas as JSON Schema", async () => {
  const { body } = await get("/definition");
  expect(body).toMatchObject({ protocol: 1, services: ["orders", "inventory"] });
  expect(body.parts.map(({ key, name, kind, service }) => [key, name, kind, service])).toEqual([
    ["order", "order", "entity", "orders"],
    ["orderSummary", "order-summary", "view", "orders"],
    ["stock", "stock", "entity", "inventory"],
    ["availability", "availability", "view", "inventory"],
    ["reserveStock", "reserve-stock", "reaction", "inventory"],
  ]);
  const [order, orderSummary] = body.parts as [AnswerBody["parts"][0], AnswerBody["parts"][0]];
  expect(order.commands["place"]).toMatchObject({ type: "object", required: ["customer", "lines"] });
  expect(order.events["cancelled"]).toMatchObject({ properties: { reason: { type: "string" } } });
  expect(order.commands["cancel"]).toEqual({});
  expect(orderSummary).toMatchObject({ version: 1, indexes: ["customer", "total", "open", "note", "order"], document: { type: "object" } });
});

const noteOf = (name: string) =>
  entity(name, { initial: () => ({}), events: { written: z.object({}) } })
    .evolve({ written: (state) => state })
    .commands({ write: command(z.object({}), (_, input, emit) => emit.written(input)) });

test("two services with a part of the same name or key are refused by one gateway, with both names", async () => {
  const sameName = await service("notes", { parts: { note: noteOf("stock") } }).start({ store: memory() });
  expect(() => createGateway([...shop.services, sameName])).toThrow(/"inventory".*"notes".*part named "stock"/);
  const sameKey = await service("notes", { parts: { stock: noteOf("note") } }).start({ store: memory() });
  expect(() => createGateway([...shop.services, sameKey])).toThrow(/"inventory".*"notes".*key "stock"/);
  expect(() => createGateway([sameKey, sameName])).toThrow(/both have the name "notes"/);
  await sameName.stop();
  await sameKey.stop();
});

test("healthz says alive, readyz says ready and names readers that are stuck", async () => {
  expect((await get("/healthz")).body).toEqual({ status: "alive" });
  const { status, body } = await get("/readyz");
  expect(status).toBe(200);
  expect(body).toEqual({
    status: "ready",
    services: [
      { name: "orders", store: "ready", stuck: [], unowned: [] },
      { name: "inventory", store: "ready", stuck: [], unowned: [] },
    ],
  });
});

test("readyz is 503 when a store is closed", async () => {
  await shop.services[1]!.stop();
  const { status, headers, body } = await get("/readyz");
  expect([status, body.status]).toEqual([503, "unready"]);
  expect(Number(headers.get("retry-after"))).toBeGreaterThan(0);
});

test("readers are listed with service, position, lag, state and visibility", async () => {
  const placed = await send(shop.gateway, "POST", "/entities/order/o-1/place", { body: placement });
  await shop.inbox.waitFor(placed.body.events[0]!.position, 2000);
  await shop.summaryReader.waitFor(placed.body.events[0]!.position, 2000);
  const { body } = await get("/readers");
  expect(body.readers.map(({ service, name, source }) => [service, name, source])).toEqual([
    ["orders", "order-summary", "orders"],
    ["inventory", "availability", "inventory"],
    ["inventory", "reserve-stock", "orders"],
  ]);
  expect(body.readers[0]).toMatchObject({ version: 1, position: 1, head: 1, lag: { positions: 0, ms: 0 }, visibilityMs: { count: 1 } });
  expect(["moving", "idle"]).toContain(body.readers[0]?.state);
  expect(body.readers[0]).toMatchObject({
    slots: { total: 16, owned: 16, elsewhere: 0, unowned: 0 },
    parked: { keys: 0, events: 0, first: [] },
  });
});

test("metrics count commands by outcome and answers by route, and measure each reader", async () => {
  await send(shop.gateway, "POST", "/entities/order/o-1/place", { body: placement });
  await send(shop.gateway, "POST", "/entities/order/o-1/place", { body: placement });
  await send(shop.gateway, "POST", "/entities/order/o-2/place", { body: {} });
  for (let id = 0; id < 20; id++) await get(`/entities/order/missing-${id}`);
  const { status, headers, text } = await get("/metrics");
  expect(status).toBe(200);
  expect(headers.get("content-type")).toMatch(/^text\/plain/);
  for (const outcome of ["accepted", "rejected", "invalid"])
    expect(text).toContain(`convergent_commands_total{entity="order",command="place",outcome="${outcome}"} 1`);
  expect(text).toMatch(/convergent_command_seconds\{entity="order",command="place",quantile="0.99"\} 0\.\d+/);
  expect(text).toContain('convergent_http_answers_total{route="/entities/{entity}/{id}",status="404"} 20');
  expect(text).toContain('convergent_reader_lag_positions{service="orders",reader="order-summary"} ');
  expect(text).toContain('convergent_reader_state{service="inventory",reader="reserve-stock",state="stuck"} 0');
  expect(text).toContain('convergent_reader_slots{service="orders",reader="order-summary",owner="owned"} 16');
  expect(text).toContain('convergent_reader_parked{service="orders",reader="order-summary",unit="keys"} 0');
  expect(text).toContain('convergent_log_position{service="orders"} 1');
  expect(text).not.toContain("missing-");
});

test("two gateways in one process keep their metrics apart", async () => {
  const other = createGateway(shop.services);
  await get("/healthz");
  expect((await send(other, "GET", "/metrics")).text).not.toContain("healthz");
});
