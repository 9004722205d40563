// Reads through the client on a real gateway: a session sees its own writes, never goes back, and knows when it cannot be sure.
import { runtimeOf } from "convergent";
import { accepted, connect } from "convergent/client";
import { memory } from "convergent/memory";
import { serve } from "@convergent/server";
import { expect, onTestFinished, test } from "vitest";
import { lines, openShop } from "./shop.ts";
import { orders } from "./services.ts";

test("a view shows what this session wrote, also when its reader was behind", async () => {
  const shop = await openShop();
  const client = shop.client();
  for (let round = 1; round <= 20; round++) {
    await client.order(`o-${round}`).place({ customer: "ada", ...lines(round) });
    expect(await client.orderSummary.get(`o-${round}`)).toMatchObject({ fresh: true, value: { customer: "ada", units: round } });
    expect((await client.orderSummary.find({ customer: "ada" }, { limit: 500 })).value).toHaveLength(round);
  }
});

test("a session that sends no token takes what there is, says that it is behind, and asks for its writes again afterwards", async () => {
  const shop = await openShop();
  const client = shop.client();
  await client.order("o-1").place({ customer: "ada", ...lines(1) });
  await client.orderSummary.get("o-1");
  shop.pause("order-summary");
  client.session.sendsToken = false;
  await client.order("o-1").amend(lines(2));
  const reading = await client.orderSummary.get("o-1", { wait: "5s" });
  expect(reading).toMatchObject({ fresh: false, value: { units: 1 }, behind: { positions: 1 } });
  expect(shop.requests.map(({ headers }) => headers["consistency-token"]).slice(2)).toEqual([undefined, undefined]);
  client.session.sendsToken = true;
  const waiting = client.orderSummary.get("o-1", { wait: "5s" });
  shop.resume("order-summary");
  expect(await waiting).toMatchObject({ fresh: true, value: { units: 2 } });
});

test("a reader that does not catch up in time yields the stale value with its label, or an error when asked", async () => {
  const shop = await openShop();
  const client = shop.client();
  await client.order("o-1").place({ customer: "ada", ...lines(1) });
  await client.orderSummary.get("o-1");
  shop.pause("order-summary");
  await client.order("o-1").amend(lines(2));
  expect(await client.orderSummary.get("o-1", { wait: "50ms" })).toMatchObject({
    fresh: false,
    value: { units: 1 },
    behind: { positions: 1 },
  });
  await expect(client.orderSummary.get("o-1", { wait: "50ms", stale: "error" })).rejects.toMatchObject({
    code: "not_fresh",
    retry: "later",
  });
  expect(await client.orderSummary.get("o-1", { after: null, wait: "5s" })).toMatchObject({ value: { units: 1 } });
  const waiting = client.orderSummary.get("o-1", { wait: "5s" });
  shop.resume("order-summary");
  expect(await waiting).toMatchObject({ fresh: true, value: { units: 2 } });
});

test("a strong read waits for the head although this session wrote nothing", async () => {
  const shop = await openShop();
  shop.pause("order-summary");
  await shop.orders.order("o-1").place({ customer: "ada", ...lines(1) });
  const client = shop.client();
  expect(await client.orderSummary.get("o-1", { strong: true, wait: "50ms" })).toMatchObject({ fresh: false, value: undefined });
  shop.resume("order-summary");
  expect(await client.orderSummary.get("o-1", { strong: true, wait: "5s" })).toMatchObject({ fresh: true, value: { units: 1 } });
});

test("a later read of the same view asks for no less than an earlier one showed, a read of another view does not", async () => {
  const shop = await openShop();
  const client = shop.client();
  await shop.orders.order("o-1").place({ customer: "ada", ...lines(1) });
  const first = await client.orderSummary.get("o-1", { strong: true });
  await client.orderSummary.get("o-1");
  expect(shop.requests.at(-1)?.headers["consistency-token"]).toBe(String(first.token));
  await client.availability.get("p-1");
  expect(shop.requests.at(-1)?.headers["consistency-token"]).toBeUndefined();
});

test("what one page wrote, another one sees after taking over its token as text", async () => {
  const shop = await openShop();
  const one = shop.client();
  await one.order("o-1").place({ customer: "ada", ...lines(1) });
  shop.pause("order-summary");
  await one.order("o-1").amend(lines(7));
  const other = shop.client({ token: String(one.session.token) });
  const reading = other.orderSummary.get("o-1", { wait: "5s" });
  shop.resume("order-summary");
  expect(await reading).toMatchObject({ fresh: true, value: { units: 7 } });
});

test("a token of orders is honoured at inventory, behind the same gateway", async () => {
  const shop = await openShop();
  const client = shop.client();
  for (let round = 1; round <= 10; round++) {
    await client.order(`o-${round}`).place({ customer: "ada", ...lines(1) });
    expect(await client.availability.get("p-1", { wait: "10s" })).toMatchObject({ fresh: true, value: { reserved: round } });
    expect(await client.stock.state("p-1", { wait: "10s" })).toMatchObject({ fresh: true, state: { reserved: round } });
  }
});

test("a store of which a service knows nothing is named, and the answer is not called fresh", async () => {
  const shop = await openShop();
  const client = shop.client();
  const { token } = accepted(await client.stock("p-1").reserve({ order: "o-1", quantity: 1 }));
  const started = performance.now();
  expect(await client.orderSummary.get("o-1", { wait: "10s" })).toMatchObject({ fresh: false, unchecked: ["inventory"] });
  expect(performance.now() - started).toBeLessThan(5000);
  expect(await client.availability.get("p-1", { after: token })).toMatchObject({ fresh: true, value: { reserved: 1 } });
});

test("pages follow one another by cursor; conditions, ranges and order are those of the service", async () => {
  const shop = await openShop();
  const client = shop.client();
  for (let index = 1; index <= 7; index++)
    await client.order(`o-${index}`).place({ customer: index === 4 ? "bob" : "ada", ...lines(index) });
  const units: number[] = [];
  for await (const page of client.orderSummary.pages(
    { customer: "ada", units: { from: 2 } },
    { orderBy: "units", descending: true, limit: 2 },
  ))
    units.push(...page.value.map(({ value }) => value.units));
  expect(units).toEqual([7, 6, 5, 3, 2]);
  expect((await client.orderSummary.find({ status: "cancelled" })).value).toEqual([]);
  const untyped = client.orderSummary as unknown as { find(where: object): Promise<unknown> };
  await expect(untyped.find({ color: "red" })).rejects.toMatchObject({ code: "index_not_declared" });
});

test("counts are those of the service, with a page or alone, and as fresh as any read", async () => {
  const shop = await openShop();
  const client = shop.client();
  for (let index = 1; index <= 5; index++)
    await client.order(`o-${index}`).place({ customer: index === 4 ? "bob" : "ada", ...lines(index) });
  expect(await client.orderSummary.count({ customer: "ada", units: { from: 2 } })).toMatchObject({ value: 3, fresh: true });
  const page = await client.orderSummary.find({ customer: "ada" }, { limit: 1, count: true });
  expect([page.count, page.value.length]).toEqual([4, 1]);
  shop.pause("order-summary");
  await client.order("o-6").place({ customer: "ada", ...lines(1) });
  expect(await client.orderSummary.count({}, { wait: "50ms" })).toMatchObject({ value: 5, fresh: false });
});

test("a read by age is answered at once while what it lacks is young enough, and waits when it is not", async () => {
  const shop = await openShop();
  const client = shop.client();
  await client.order("o-1").place({ customer: "ada", ...lines(1) });
  await client.orderSummary.get("o-1");
  shop.pause("order-summary");
  await client.order("o-1").amend(lines(2));
  expect(await client.orderSummary.get("o-1", { after: null, maxAge: "1h" })).toMatchObject({ fresh: true, value: { units: 1 } });
  // The session's own write must be in it all the same.
  expect(await client.orderSummary.get("o-1", { maxAge: "1h", wait: "50ms" })).toMatchObject({ fresh: false, value: { units: 1 } });
  await new Promise((resolve) => setTimeout(resolve, 30));
  expect(await client.orderSummary.get("o-1", { after: null, maxAge: "20ms", wait: "50ms" })).toMatchObject({ fresh: false });
  const waiting = client.orderSummary.get("o-1", { after: null, maxAge: "20ms", wait: "5s" });
  shop.resume("order-summary");
  expect(await waiting).toMatchObject({ fresh: true, value: { units: 2 } });
});

test("a token that was issued by another store of the same name is dropped, and reads and commands go on", async () => {
  const shop = await openShop();
  const other = await orders.start({ store: memory() });
  onTestFinished(() => other.stop());
  const foreign = accepted(await other.order("x").place({ customer: "ada", ...lines(1) })).token;
  await shop.orders.order("o-1").place({ customer: "ada", ...lines(1) });
  const client = shop.client({ token: foreign });
  expect(await client.orderSummary.get("o-1", { strong: true })).toMatchObject({ fresh: true, value: { units: 1 } });
  expect(client.session.token.entries).toEqual([]);
  client.session.merge(foreign);
  expect(await client.order("o-2").place({ customer: "ada", ...lines(1) })).toMatchObject({ kind: "accepted" });
  expect(client.session.token.entries).toHaveLength(1);
});

test("a read that only a fresh answer will do for is asked again when its gateway stops, and has all of its wait where that is back", async () => {
  const running = await orders.start({ store: memory() });
  onTestFinished(() => running.stop());
  const before = await serve({ services: [running], port: 0 });
  const client = connect<typeof orders>(before.url, { retryFor: "20s" });
  const { reader } = runtimeOf(running).view("order-summary");
  reader.pause();
  await expect.poll(() => reader.state, { timeout: 2000 }).toBe("paused");
  await client.order("o-1").place({ customer: "ada", ...lines(1) });
  const waiting = client.orderSummary.get("o-1", { wait: "15s", stale: "error" });
  waiting.catch(() => undefined); // awaited below
  await new Promise((resolve) => setTimeout(resolve, 100));
  await before.close();
  const after = await serve({ services: [running], port: before.port });
  onTestFinished(() => after.close());
  await new Promise((resolve) => setTimeout(resolve, 100));
  reader.resume();
  expect(await waiting).toMatchObject({ fresh: true, value: { units: 1 } });
});

test("the whole way over a socket: a gateway that comes up late is waited for, and one that is gone is reported", async () => {
  const running = await orders.start({ store: memory() });
  onTestFinished(() => running.stop());
  const reserved = await serve({ services: [running], port: 0 });
  await reserved.close();
  const client = connect<typeof orders>(reserved.url, { retryFor: "10s" });
  const placing = client.order("o-1").place({ customer: "ada", ...lines(1) });
  await new Promise((resolve) => setTimeout(resolve, 300));
  const serving = await serve({ services: [running], port: reserved.port });
  expect(await placing).toMatchObject({ kind: "accepted", version: 1 });
  expect(await client.orderSummary.get("o-1")).toMatchObject({ fresh: true, value: { units: 1 } });
  await serving.close();
  const gone = connect<typeof orders>(reserved.url, { retryFor: "200ms" });
  await expect(gone.orderSummary.get("o-1")).rejects.toMatchObject({ code: "unavailable", retry: "later" });
});
