// Polling through the client on a real gateway: few questions, at the pace the server measured, that end.
import { expect, test } from "vitest";
import { lines, openShop } from "./shop.ts";

test("a poll ends with the fresh reading once the reader has caught up", async () => {
  const shop = await openShop();
  const client = shop.client();
  shop.pause("order-summary");
  await client.order("o-1").place({ customer: "ada", ...lines(2) });
  const polling = client.orderSummary.poll("o-1", { timeout: "20s", interval: "100ms" });
  setTimeout(() => shop.resume("order-summary"), 150);
  expect(await polling).toMatchObject({ fresh: true, value: { units: 2 } });
  expect(shop.requests.slice(1).every(({ headers }) => headers["prefer"] === "wait=0")).toBe(true);
});

test("a poll of a reader that stands still asks a bounded number of times and answers the last reading", async () => {
  const shop = await openShop();
  const client = shop.client();
  for (let index = 0; index < 20; index++) await client.order("warm").place({ customer: "ada", ...lines(1) }, { expected: "any" });
  await client.orderSummary.get("warm");
  shop.pause("order-summary");
  await client.order("warm").amend(lines(2));
  shop.requests.length = 0;
  const started = performance.now();
  expect(await client.orderSummary.poll("warm", { timeout: "1s" })).toMatchObject({ fresh: false, value: { units: 1 } });
  expect(performance.now() - started).toBeLessThan(3000);
  // From 10 ms on, growing by half: 10 · 1.5ⁿ passes a second at the ninth wait.
  expect(shop.requests.length).toBeGreaterThan(2);
  expect(shop.requests.length).toBeLessThan(16);
});

test("a poll with a condition of its own waits for what another service does later", async () => {
  const shop = await openShop();
  const client = shop.client();
  const polling = client.availability.poll("p-1", { until: ({ value }) => (value?.reserved ?? 0) >= 5, interval: "50ms", timeout: "20s" });
  await client.order("o-1").place({ customer: "ada", ...lines(2) });
  await client.order("o-2").place({ customer: "ada", ...lines(3) });
  expect(await polling).toMatchObject({ fresh: true, value: { reserved: 5 } });
});

test("a poll that is cancelled stops asking", async () => {
  const shop = await openShop();
  const client = shop.client();
  shop.pause("order-summary");
  await client.order("o-1").place({ customer: "ada", ...lines(2) });
  const controller = new AbortController();
  const polling = client.orderSummary.poll("o-1", { signal: controller.signal, interval: "50ms" });
  setTimeout(() => controller.abort(new Error("page closed")), 100);
  await expect(polling).rejects.toThrow("page closed");
  const asked = shop.requests.length;
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(shop.requests).toHaveLength(asked);
});

test("a poll of a document that does not exist ends at once when nothing is behind", async () => {
  const shop = await openShop();
  expect(await shop.client().orderSummary.poll("nobody")).toMatchObject({ fresh: true, value: undefined });
  expect(shop.requests).toHaveLength(1);
});
