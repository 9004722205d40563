// Watching through the client on a real gateway: documents, pages, entities and sagas as they become, whatever the network does meanwhile.
import { createGateway } from "@convergent/server";
import { type Client, connect } from "convergent/client";
import { memory } from "convergent/memory";
import { nodeHost } from "convergent/node";
import { expect, onTestFinished, test } from "vitest";
import { travel } from "../sagas/travel.ts";
import { World } from "../sagas/trip.ts";
import { lines, networkTo, openShop } from "./shop.ts";

/** What a watch brings, kept; it ends with the test. */
function heard<T>(watch: { subscribe(news: (value: T) => void, failed: (error: Error) => void): () => void }): T[] {
  const values: T[] = [];
  onTestFinished(
    watch.subscribe(
      (value) => values.push(value),
      (error) => expect.fail(error.message),
    ),
  );
  return values;
}

const quick = { interval: "50ms" } as const;

test("a document is shown as it becomes, with what others write; each value has its position", async () => {
  const shop = await openShop();
  const seen = heard(shop.client().orderSummary.watch("o-1", quick));
  await expect.poll(() => seen.at(-1)?.value === undefined && seen.length).toBe(1);
  await shop.orders.order("o-1").place({ customer: "ada", ...lines(2) });
  await expect.poll(() => seen.at(-1)?.value?.units).toBe(2);
  await shop.orders.order("o-1").amend(lines(3));
  await expect.poll(() => seen.at(-1)?.value?.units).toBe(3);
  expect(seen.map(({ asOf }) => asOf)).toEqual([...seen.map(({ asOf }) => asOf)].sort((a, b) => a - b));
  expect(seen.at(-1)).toMatchObject({ asOf: 2, fresh: true });
});

test("while nothing changes the gateway is asked with the known tag, sends no document, and no news are told", async () => {
  const shop = await openShop();
  const client = shop.client();
  await client.order("o-1").place({ customer: "ada", ...lines(2) });
  await client.orderSummary.get("o-1", { wait: "5s" });
  const statuses: number[] = [];
  const way = shop.gateway.fetch.bind(shop.gateway);
  shop.gateway.fetch = async (request) => {
    const answer = await way(request);
    statuses.push(answer.status);
    return answer;
  };
  const seen = heard(client.orderSummary.watch("o-1", quick));
  await expect.poll(() => statuses.length).toBeGreaterThan(4);
  expect(statuses.slice(0, 4)).toEqual([200, 304, 304, 304]);
  expect(seen).toHaveLength(1);
});

test("a write that changes nothing in the document moves its position on", async () => {
  const shop = await openShop();
  const client = shop.client();
  await client.order("o-1").place({ customer: "ada", ...lines(2) });
  const seen = heard(client.orderSummary.watch("o-1", quick));
  await expect.poll(() => seen.at(-1)?.asOf).toBe(1);
  await client.order("o-2").place({ customer: "bob", ...lines(1) });
  await expect.poll(() => seen.at(-1)?.asOf).toBe(2);
  expect(seen.at(-1)?.value).toEqual({ customer: "ada", units: 2, status: "placed" });
});

test("a page is shown as it becomes", async () => {
  const shop = await openShop();
  const seen = heard(shop.client().orderSummary.watchFind({ customer: "ada" }, { ...quick, orderBy: "units", descending: true, limit: 2 }));
  for (const units of [1, 3, 2]) await shop.orders.order(`o-${units}`).place({ customer: "ada", ...lines(units) });
  await expect.poll(() => seen.at(-1)?.value.map(({ key }) => key)).toEqual(["o-3", "o-2"]);
  expect(seen.at(-1)?.cursor).toBeDefined();
});

test("an entity is shown as it becomes, at once with the answer to this client's own command", async () => {
  const shop = await openShop();
  const client = shop.client();
  await client.order("o-1").place({ customer: "ada", ...lines(2) });
  const seen = heard(client.order.watch("o-1", { interval: "5s" }));
  await expect.poll(() => seen.at(-1)?.state.units).toBe(2);
  await client.order("o-1").amend(lines(5));
  await expect.poll(() => seen.at(-1)).toMatchObject({ version: 2, state: { units: 5 } });
  await shop.orders.order("o-1").cancel({ reason: "no more" });
  await expect.poll(() => seen.at(-1)?.state.status, { timeout: 15_000 }).toBe("cancelled");
  const nobody = (async () => {
    for await (const _ of client.order.watch("nobody"));
  })();
  await expect(nobody).rejects.toMatchObject({ code: "entity_not_found" });
});

test("a watch outlives a gateway that does not answer, and goes on where it was", async () => {
  const shop = await openShop();
  const seen = heard(shop.client({ retryFor: "200ms" }).orderSummary.watch("o-1", quick));
  await expect.poll(() => seen.length).toBe(1);
  shop.fate = () => "request lost";
  await shop.orders.order("o-1").place({ customer: "ada", ...lines(2) });
  const lostAt = shop.requests.length;
  await expect.poll(() => shop.requests.length).toBeGreaterThan(lostAt + 4);
  expect(seen).toHaveLength(1);
  shop.fate = () => "answered";
  await expect.poll(() => seen.at(-1)?.value?.units).toBe(2);
});

test("a watch that is left asks no more", async () => {
  const shop = await openShop();
  const client = shop.client();
  const leaving = new AbortController();
  const values: unknown[] = [];
  const stop = client.orderSummary.watch("o-1", quick).subscribe((value) => values.push(value));
  client.orderSummary.watch("o-2", { ...quick, signal: leaving.signal }).subscribe((value) => values.push(value));
  for await (const _ of client.orderSummary.watch("o-3", quick)) break;
  await expect.poll(() => values.length).toBe(2);
  stop();
  leaving.abort();
  const asked = shop.requests.length;
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(shop.requests.length).toBeLessThanOrEqual(asked);
});

test("a saga can be watched by a subscription, too, up to its end", async () => {
  const world = new World();
  const service = travel(world);
  const running = await service.start({ store: memory() });
  onTestFinished(() => running.stop());
  const way = networkTo(createGateway([running]));
  const client: Client<typeof service> = connect("http://localhost", { host: { ...nodeHost(), network: { request: way.request } } });
  await client.bookTrip.start("t-1", { to: "Oslo", nights: 2 });
  const seen = heard(client.bookTrip.watch("t-1"));
  await expect.poll(() => seen.at(-1)?.status).toBe("completed");
  const asked = way.requests.length;
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(way.requests).toHaveLength(asked);
});
