// Hooks in components against a real gateway: what is shown, in order; one watch for each value, however often it is mounted.
import "./dom.ts";
import { onlineManager, QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, cleanup, renderHook, type RenderHookResult } from "@testing-library/react";
import type { Conflict } from "convergent/client";
import { useCommand, useEntity, useFind, useView } from "convergent/react";
import { createElement, type ReactNode, StrictMode } from "react";
import { afterEach, expect, onTestFinished, test } from "vitest";
import { lines, openShop, type Shop, type ShopClient } from "../client/shop.ts";

afterEach(() => cleanup());

const quick = { interval: "50ms" } as const;
const units = (client: ShopClient, quantity: number): ReturnType<ShopClient["orderSummary"]["overlay"]> =>
  client.orderSummary.overlay("o-1", (summary) => summary && { ...summary, units: quantity });

interface Rendered<T> {
  /** What the hook answered last. */
  readonly now: () => T;
  /** Every answer, in order. */
  readonly all: T[];
  readonly queries: QueryClient;
  readonly hook: RenderHookResult<T, unknown>;
}

function rendered<T>(hook: () => T, queries: QueryClient = new QueryClient()): Rendered<T> {
  const all: T[] = [];
  const wrapper = ({ children }: { children: ReactNode }): ReactNode =>
    createElement(StrictMode, null, createElement(QueryClientProvider, { client: queries }, children));
  const result = renderHook(
    () => {
      const answered = hook();
      all.push(answered);
      return answered;
    },
    { wrapper },
  );
  onTestFinished(() => queries.clear());
  return { now: () => result.result.current, all, queries, hook: result };
}

/** The values that a component showed, those that are the same as before left out. */
function shown<T>(all: ReadonlyArray<{ readonly value: T }>): T[] {
  return all
    .map(({ value }) => value)
    .filter((value, index, values) => index === 0 || JSON.stringify(value) !== JSON.stringify(values[index - 1]));
}

async function withOrder(shop: Shop): Promise<ShopClient> {
  await shop.orders.order("o-1").place({ customer: "ada", ...lines(1) });
  await shop.orders.orderSummary.get("o-1", { strong: true, wait: "5s" });
  return shop.client();
}

/** Reads of the summary that come within so much time. */
async function readsWithin(shop: Shop, ms: number): Promise<number> {
  const before = shop.requests.length;
  await new Promise((resolve) => setTimeout(resolve, ms));
  return shop.requests.slice(before).filter(({ url }) => url.includes("/views/")).length;
}

test("a document is shown as it becomes, with its label; a command lies over it at once and until the late view has it", async () => {
  const shop = await openShop();
  const client = await withOrder(shop);
  const { now, all } = rendered(() => ({
    summary: useView(client.orderSummary, "o-1", quick),
    amend: useCommand(client.order("o-1").amend, { optimistic: ({ lines: [line] }) => [units(client, line?.quantity ?? 0)] }),
  }));
  expect(now().summary).toMatchObject({ status: "loading", value: undefined, pending: 0, error: undefined });
  await expect.poll(() => now().summary.value?.units).toBe(1);
  expect(now().summary).toMatchObject({ status: "confirmed", reading: { fresh: true, asOf: 1 } });
  shop.pause("order-summary");
  await act(async () => {
    await now().amend.send(lines(5));
  });
  expect(now().amend).toMatchObject({ status: "accepted", pending: 0, outcome: { state: { units: 5 } } });
  await expect
    .poll(() => now().summary)
    .toMatchObject({ value: { units: 5 }, pending: 1, status: "pending", reading: { value: { units: 1 } } });
  shop.resume("order-summary");
  await expect.poll(() => now().summary.status).toBe("confirmed");
  expect(shown(all.map(({ summary }) => summary)).map((value) => value?.units)).toEqual([undefined, 1, 5]);
});

test("in strict mode and in many components, one value is watched once; the last one that goes ends the watch", async () => {
  const shop = await openShop();
  const client = await withOrder(shop);
  const queries = new QueryClient();
  const hooks = [1, 2, 3].map(() => rendered(() => useView(client.orderSummary, "o-1", { interval: "200ms" }), queries));
  await expect.poll(() => hooks.every(({ now }) => now().value?.units === 1)).toBe(true);
  expect(shop.requests).toHaveLength(1);
  const reads = await readsWithin(shop, 1000);
  expect(reads).toBeGreaterThan(1);
  expect(reads).toBeLessThan(7);
  hooks[0]!.hook.unmount();
  hooks[1]!.hook.unmount();
  await shop.orders.order("o-1").amend(lines(2));
  await expect.poll(() => hooks[2]!.now().value?.units).toBe(2);
  hooks[2]!.hook.unmount();
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(await readsWithin(shop, 600)).toBe(0);
});

test("a component that goes before its first value and comes back is shown it", async () => {
  const shop = await openShop();
  const client = await withOrder(shop);
  const queries = new QueryClient();
  shop.fate = () => "request lost";
  const first = rendered(() => useView(client.orderSummary, "o-1", quick), queries);
  await expect.poll(() => shop.requests.length).toBeGreaterThan(0);
  first.hook.unmount();
  shop.fate = () => "answered";
  const again = rendered(() => useView(client.orderSummary, "o-1", quick), queries);
  await expect.poll(() => again.now().value?.units).toBe(1);
  await expect.poll(() => queries.isFetching()).toBe(0);
});

test("back on the network a value is read anew, and never one that is older than what was shown", async () => {
  const shop = await openShop();
  const client = await withOrder(shop);
  const { now, all } = rendered(() => useView(client.orderSummary, "o-1", { interval: "30s" }));
  await expect.poll(() => now().value?.units).toBe(1);
  await client.order("o-1").amend(lines(2));
  await expect.poll(() => now().value?.units).toBe(2);
  // From now on answers come from a node that is behind, then from one that is not.
  const way = shop.gateway.fetch.bind(shop.gateway);
  let behind = 3;
  const old = { value: { customer: "ada", units: 1, status: "placed" }, asOf: 1, behind: { positions: 1, ms: 9 }, fresh: false };
  const oldToken = String((await shop.orders.order.state("o-1", { version: 1 })).token).replace(/\.2\./, ".1.");
  shop.gateway.fetch = async (request) =>
    behind-- > 0 ? Response.json(old, { headers: { "consistency-token": oldToken } }) : way(request);
  await shop.orders.order("o-1").amend(lines(3));
  await shop.orders.orderSummary.get("o-1", { strong: true, wait: "5s" });
  act(() => onlineManager.setOnline(false));
  act(() => onlineManager.setOnline(true));
  await expect.poll(() => now().value?.units).toBe(3);
  expect(behind).toBeLessThan(0);
  expect(shown(all).map((value) => value?.units)).toEqual([undefined, 1, 2, 3]);
});

test("what ends a watch is an error; what was shown stays, and a refetch follows it again", async () => {
  const shop = await openShop();
  const client = await withOrder(shop);
  const way = shop.gateway.fetch.bind(shop.gateway);
  let isForbidden = false;
  shop.gateway.fetch = async (request) => (isForbidden ? Response.json({ code: "forbidden", title: "no" }, { status: 403 }) : way(request));
  const { now } = rendered(() => useView(client.orderSummary, "o-1", quick));
  await expect.poll(() => now().value?.units).toBe(1);
  isForbidden = true;
  await expect.poll(() => now().error).toMatchObject({ code: "forbidden" });
  expect(now()).toMatchObject({ value: { units: 1 } });
  isForbidden = false;
  await shop.orders.order("o-1").amend(lines(2));
  act(() => now().refetch());
  await expect.poll(() => [now().value?.units, now().error]).toEqual([2, undefined]);
  isForbidden = true;
  const other = rendered(() => useEntity(client.order, "o-1"));
  await expect.poll(() => other.now()).toMatchObject({ status: "error", value: undefined, error: { code: "forbidden" } });
});

test("a refused command is taken back and told, a conflict with what others made of it", async () => {
  const shop = await openShop();
  const client = await withOrder(shop);
  const { now } = rendered(() => ({
    order: useEntity(client.order, "o-1"),
    summary: useView(client.orderSummary, "o-1", quick),
    amend: useCommand(client.order("o-1").amend, { optimistic: ({ lines: [line] }) => [units(client, line?.quantity ?? 0)] }),
    place: useCommand(client.order("o-1").place),
  }));
  await expect.poll(() => [now().order.status, now().summary.status]).toEqual(["confirmed", "confirmed"]);
  await shop.orders.order("o-1").amend(lines(2));
  await act(async () => {
    await now().amend.send(lines(7), { expected: 1 });
  });
  const conflict: Conflict<unknown> | undefined = now().amend.conflict;
  expect([now().amend.status, conflict?.version, conflict?.state]).toMatchObject(["conflict", 2, { units: 2 }]);
  await expect.poll(() => now().summary).toMatchObject({ value: { units: 2 }, pending: 0, status: "conflict", conflict: { version: 2 } });
  await act(async () => {
    await now().place.send({ customer: "bob", ...lines(1) });
  });
  expect(now().place).toMatchObject({ status: "rejected", outcome: { reason: "already placed" }, conflict: undefined, error: undefined });
  now().place.reset();
  await expect.poll(() => now().place.status).toBe("idle");
});

test("a command whose outcome nobody knows is told as that, and takes effect once when it is tried again", async () => {
  const shop = await openShop();
  await withOrder(shop);
  const client = shop.client({ retryFor: "200ms" });
  const { now } = rendered(() => ({
    summary: useView(client.orderSummary, "o-1", quick),
    amend: useCommand(client.order("o-1").amend, { optimistic: ({ lines: [line] }) => [units(client, line?.quantity ?? 0)] }),
  }));
  await expect.poll(() => now().summary.value?.units).toBe(1);
  shop.fate = ({ method }) => (method === "POST" ? "reply lost" : "answered");
  await act(async () => {
    expect(await now().amend.send(lines(4))).toBeUndefined();
  });
  expect(now().amend).toMatchObject({ status: "unknown", error: { code: "outcome_unknown" } });
  await expect.poll(() => now().summary).toMatchObject({ status: "unknown", value: { units: 4 }, pending: 1 });
  shop.fate = () => "answered";
  await act(async () => {
    expect(await now().amend.retry()).toMatchObject({ kind: "accepted", repeated: true });
  });
  await expect.poll(() => now().summary).toMatchObject({ status: "confirmed", value: { units: 4 } });
  expect((await shop.orders.order.state("o-1")).version).toBe(2);
});

test("a page is shown as it becomes; nothing that is not asked for is watched", async () => {
  const shop = await openShop();
  const client = shop.client();
  const asked: { customer?: string } = {};
  const { now, hook } = rendered(() =>
    useFind(client.orderSummary, asked.customer === undefined ? undefined : { customer: asked.customer }, { ...quick, orderBy: "units" }),
  );
  expect(now().status).toBe("idle");
  await shop.orders.order("o-2").place({ customer: "ada", ...lines(2) });
  expect(shop.requests).toEqual([]);
  asked.customer = "ada";
  hook.rerender();
  await expect.poll(() => now().value?.map(({ key }) => key)).toEqual(["o-2"]);
  await shop.orders.order("o-1").place({ customer: "ada", ...lines(1) });
  await expect.poll(() => now().value?.map(({ key }) => key)).toEqual(["o-1", "o-2"]);
});

test("two clients of one page do not share what they have read", async () => {
  const shop = await openShop();
  const mine = await withOrder(shop);
  const theirs = shop.client();
  const queries = new QueryClient();
  const both = rendered(() => [useView(mine.orderSummary, "o-1", quick), useView(theirs.orderSummary, "o-1", quick)] as const, queries);
  await expect.poll(() => both.now().map(({ value }) => value?.units)).toEqual([1, 1]);
  expect(queries.getQueryCache().getAll()).toHaveLength(2);
});

test("a hook says what it takes when it is handed something else", async () => {
  const shop = await openShop();
  const { orderSummary } = shop.client();
  const other = { ...orderSummary } as typeof orderSummary;
  expect(() => rendered(() => useView(other, "o-1"))).toThrow("hooks take a part of a client");
});
