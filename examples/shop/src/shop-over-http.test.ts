import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { serve, type Serving } from "@convergent/server";
import { accepted, type Client, connect } from "convergent/client";
import { sqlite } from "convergent/sqlite";
import { afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { addDemoData } from "./demo-data.ts";
import { fallback } from "./fallback.ts";
import type { inventory } from "./inventory/inventory.ts";
import type { Desk } from "./desk/desk.ts";
import type { Orders } from "./orders/orders.ts";
import { Laboratory } from "./laboratory.ts";
import { buildPages, type Pages } from "./pages.ts";
import type { payments } from "./payments/payments.ts";
import type { shipping } from "./shipping/shipping.ts";
import { servicesOf, type Shop, startShop } from "./shop.ts";
import { StepSwitches } from "./step-switches.ts";

type Services = Orders | typeof inventory | typeof payments | typeof shipping | Desk;

const lines = [{ product: "tea", quantity: 2, price: 450 }];
let directory: string;
let shop: Shop;
let server: Serving;
let client: Client<Services>;
let laboratory: Laboratory;
let pages: Pages;

async function open(): Promise<void> {
  const switches = new StepSwitches();
  shop = await startShop({ storeOf: (service) => sqlite(join(directory, `${service}.db`)), switches });
  const services = servicesOf(shop);
  laboratory = new Laboratory(services, switches);
  server = await serve({ services, port: 0, fallback: fallback({ pages, laboratory }) });
  client = connect<Services>(server.url);
}

async function close(): Promise<void> {
  laboratory.close();
  await server.close();
  await shop.stop();
}

beforeAll(async () => {
  pages = await buildPages();
});
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "shop-"));
  await open();
});
afterEach(async () => {
  await close();
  rmSync(directory, { recursive: true });
});

test("a placed order is confirmed at once, found with its token, and gets its return code a little later", async () => {
  const placed = accepted(await client.order("o-1").place({ customer: "ada", lines }));
  expect(placed).toMatchObject({ version: 1, pending: ["returnCode"], state: { status: "placed", total: 900 } });
  const summary = await client.orderSummary.get("o-1", { wait: "5s" });
  expect(summary).toMatchObject({ value: { order: "o-1", customer: "ada", status: "placed", total: 900, lines }, fresh: true });
  const complete = await client.orderSummary.poll("o-1", { until: ({ value }) => value?.returnCode !== undefined });
  expect(complete).toMatchObject({ value: { returnCode: expect.stringMatching(/^R-/) }, fresh: true });
  expect((await client.order.state("o-1")).version).toBe(1);
});

test("the token of an order is honoured by the services that follow it", async () => {
  await client.stock("tea").receive({ quantity: 10 });
  accepted(await client.order("o-1").place({ customer: "ada", lines }));
  const stock = await client.availability.get("tea", { wait: "5s" });
  expect(stock).toMatchObject({ value: { onHand: 10, reserved: 2, available: 8 }, fresh: true });
  expect((await client.payment.state("o-1")).state).toMatchObject({ status: "authorized", authorized: 900 });
  expect(await client.shipment.state("o-1")).toMatchObject({ state: { status: "preparing" }, pending: ["address"] });
});

test("a cancelled order is released everywhere", async () => {
  await client.stock("tea").receive({ quantity: 10 });
  accepted(await client.order("o-1").place({ customer: "ada", lines }));
  accepted(await client.order("o-1").cancel({ reason: "changed my mind" }));
  expect((await client.availability.get("tea", { wait: "5s" })).value).toMatchObject({ reserved: 0, available: 10 });
  expect((await client.payment.state("o-1")).state).toMatchObject({ status: "released" });
  expect((await client.shipment.state("o-1")).state).toMatchObject({ status: "stopped" });
  expect((await client.customerOrders.get("ada", { wait: "5s" })).value?.orders).toEqual([
    { order: "o-1", status: "cancelled", total: 900 },
  ]);
});

test("a restart keeps everything, and nothing is done twice", async () => {
  await client.stock("tea").receive({ quantity: 10 });
  const placed = accepted(await client.order("o-1").place({ customer: "ada", lines }));
  await client.orderSummary.poll("o-1", { until: ({ value }) => value?.returnCode !== undefined });
  // Stopped at once: what the order causes elsewhere may not have happened yet.
  accepted(await client.order("o-2").place({ customer: "ada", lines }));
  const { token } = client.session;
  await close();
  await open();
  client.session.merge(token);
  expect((await client.customerOrders.get("ada", { wait: "5s" })).value?.orders.map(({ order }) => order)).toEqual(["o-1", "o-2"]);
  expect((await client.availability.get("tea", { wait: "5s" })).value).toMatchObject({ onHand: 10, reserved: 4 });
  expect((await client.order.state("o-1")).version).toBe(placed.version);
  expect(await client.payment.events("o-1")).toHaveLength(1);
  expect(await client.payment.events("o-2")).toHaveLength(1);
});

test("demo data are added once", async () => {
  await addDemoData(shop);
  const heads = async (): Promise<string[]> =>
    Promise.all(["demo-1", "demo-2", "demo-3", "demo-4"].map(async (id) => JSON.stringify(await client.order.events(id))));
  const before = await heads();
  expect((await client.payment.state("demo-1")).state).toMatchObject({ status: "captured" });
  await close();
  await open();
  await addDemoData(shop);
  expect(await heads()).toEqual(before);
  expect((await client.availability.get("wool-blanket", { strong: true })).value).toMatchObject({ onHand: 3, reserved: 5, backordered: 2 });
});

test("the pages and all they load are served beside the gateway", async () => {
  for (const address of ["/", "/agent", "/life"]) {
    const page = await fetch(server.url + address);
    expect(page.headers.get("content-type")).toMatch(/^text\/html/);
    expect(page.headers.get("content-security-policy")).toMatch(/^default-src 'self'/);
    const paths = [...(await page.text()).matchAll(/(?:href|src)="(\/[^"]*)"/g)].map(([, path]) => path ?? "");
    expect(paths).toContainEqual(expect.stringMatching(/^\/assets\/.*\.js$/));
    for (const path of paths) {
      const asset = await fetch(server.url + path);
      expect({ path, status: asset.status }).toEqual({ path, status: 200 });
      expect(asset.headers.get("cache-control")).toMatch(/immutable/);
    }
  }
  expect(await (await fetch(`${server.url}/catalogue`)).json()).toHaveLength(5);
  expect((await fetch(`${server.url}/nowhere`)).status).toBe(404);
  expect((await fetch(`${server.url}/`, { method: "POST" })).status).toBe(405);
});

async function brake(reader: string, change: unknown): Promise<Response> {
  return fetch(`${server.url}/lab/readers/${reader}`, { method: "PUT", body: JSON.stringify(change) });
}

test("the laboratory pauses a reader, and lets it go", async () => {
  expect((await brake("orders/order-summary", { paused: true })).status).toBe(200);
  accepted(await client.order("o-1").place({ customer: "ada", lines }));
  expect(await client.orderSummary.get("o-1", { wait: "0s" })).toMatchObject({ value: undefined, fresh: false });
  expect(await client.customerOrders.get("ada", { wait: "5s" })).toMatchObject({ fresh: true });
  const lab = (await (await fetch(`${server.url}/lab`)).json()) as { readers: unknown[] };
  expect(lab.readers).toHaveLength(12);
  expect(lab.readers).toContainEqual({ service: "orders", name: "order-summary", delayMs: 0, paused: true });
  expect((await fetch(`${server.url}/lab/reset`, { method: "POST" })).status).toBe(200);
  expect(await client.orderSummary.get("o-1", { wait: "5s" })).toMatchObject({ value: { order: "o-1" }, fresh: true });
});

test("a delayed reader shows an order no earlier than its delay, also when nothing of it is for that reader", async () => {
  await brake("orders/customer-orders", { delayMs: 300 });
  const startedAt = performance.now();
  accepted(await client.order("o-1").place({ customer: "ada", lines }));
  expect(await client.customerOrders.get("ada", { wait: "10s" })).toMatchObject({ fresh: true });
  // The clock of events counts whole milliseconds.
  expect(performance.now() - startedAt).toBeGreaterThan(298);
  accepted(await client.orderReturn("o-1").request({ reason: "too heavy" }));
  expect(await client.customerOrders.get("ada", { wait: "10s" })).toMatchObject({ fresh: true });
});

test("what the laboratory cannot do is refused with the way out", async () => {
  for (const [address, change] of [
    ["steps/reserve%20stock", { does: "sleeps" }],
    ["pace", { paceMs: 2001 }],
  ] as const)
    expect((await fetch(`${server.url}/lab/${address}`, { method: "PUT", body: JSON.stringify(change) })).status).toBe(400);
  expect((await fetch(`${server.url}/lab/steps/dance`, { method: "PUT", body: "{}" })).status).toBe(404);
  for (const change of [{ delayMs: -1 }, { delayMs: 10_001 }, { delay: 1 }, "paused"])
    expect((await brake("orders/order-summary", change)).status).toBe(400);
  const unknown = await brake("orders/nobody", { paused: true });
  expect(unknown.status).toBe(404);
  expect(await unknown.json()).toMatchObject({ detail: expect.stringMatching(/orders\/order-summary/) });
  expect((await fetch(`${server.url}/lab/readers/orders/order-summary`, { method: "POST" })).status).toBe(405);
  expect((await fetch(`${server.url}/lab/readers/%2e%2e/x/y`, { method: "PUT" })).status).toBe(404);
});
