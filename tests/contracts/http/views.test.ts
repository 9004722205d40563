// HTTP contract: GET /views/{view}/{key} and the headers that say how fresh the answer must be.
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { lines, placement, send, type Shop, startShop } from "./order-service.ts";

let shop: Shop;
beforeEach(async () => {
  shop = await startShop();
});
afterEach(() => shop.stop());

const post = (path: string, body: unknown) => send(shop.gateway, "POST", path, { body });
const get = (path: string, headers: Record<string, string> = {}) => send(shop.gateway, "GET", path, { headers });

/** Places an order that `order-summary` will not see before it is resumed. */
async function placeUnseen(id = "o-1"): Promise<{ "Consistency-Token": string }> {
  shop.summaryReader.pause();
  await sleep(20);
  const placed = await post(`/entities/order/${id}/place`, placement);
  return { "Consistency-Token": placed.body.token };
}

test("a document read after a token is fresh and says how far it stands", async () => {
  const placed = await post("/entities/order/o-1/place", placement);
  const { status, body, headers } = await get("/views/order-summary/o-1", { "Consistency-Token": placed.body.token });
  expect(status).toBe(200);
  expect(body).toEqual({
    value: { customer: "ada", total: 600, open: true, note: "42", order: "o-1" },
    asOf: 1,
    behind: { positions: 0, ms: 0 },
    fresh: true,
  });
  expect(headers.get("consistency-token")).toBe(placed.body.token);
  expect(headers.get("etag")).toMatch(/^W\/"1\..+"$/);
  expect(headers.get("retry-after")).toBeNull();
});

test("a read waits for what its token names, and not longer than it prefers", async () => {
  const token = await placeUnseen();
  const waiting = get("/views/order-summary/o-1", { ...token, Prefer: "wait=10" });
  setTimeout(() => shop.summaryReader.resume(), 20);
  const { status, body, headers } = await waiting;
  expect([status, body.fresh, body.value?.total]).toEqual([200, true, 600]);
  expect(headers.get("preference-applied")).toBe("wait=10");
});

test("an absent document is 404 when the answer is fresh, and 200 with value null when it is not", async () => {
  const absent = await get("/views/order-summary/o-1");
  expect([absent.status, absent.body.code]).toEqual([404, "not_found"]);
  expect(absent.body).toMatchObject({ fresh: true, asOf: 0, behind: { positions: 0, ms: 0 } });
  const token = await placeUnseen();
  const unknown = await get("/views/order-summary/o-1", { ...token, Prefer: "wait=0" });
  expect(unknown.status).toBe(200);
  expect(unknown.body).toMatchObject({ value: null, fresh: false, behind: { positions: 1 } });
});

test("a document that was deleted is absent", async () => {
  await post("/entities/order/o-1/place", placement);
  const cancelled = await post("/entities/order/o-1/cancel", { reason: "late" });
  expect((await get("/views/order-summary/o-1", { "Consistency-Token": cancelled.body.token })).status).toBe(404);
});

test("an answer that is not fresh says when to ask again, from measured percentiles once there are any", async () => {
  const first = await post("/entities/order/o-0/place", placement);
  await get("/views/order-summary/o-0", { "Consistency-Token": first.body.token });
  const token = await placeUnseen();
  const { body, headers } = await get("/views/order-summary/o-1", { ...token, Prefer: "wait=0" });
  expect(body).toMatchObject({ fresh: false, asOf: 1, behind: { positions: 1 } });
  expect(Object.keys(body.visibilityMs)).toEqual(["p50", "p75", "p95", "p99"]);
  expect(headers.get("retry-after")).toMatch(/^[1-9]\d*$/);
  expect(headers.get("retry-after-ms")).toMatch(/^[1-9]\d*$/);
  expect(Number(headers.get("retry-after"))).toBe(Math.ceil(Number(headers.get("retry-after-ms")) / 1000));
});

test("without a level, an answer is at once, and fresh only when nothing is behind", async () => {
  await placeUnseen();
  const { status, body } = await get("/views/order-summary/o-1");
  expect([status, body.fresh, body.value]).toEqual([200, false, null]);
});

test("strict handling turns an answer that is not fresh in time into 503 not_fresh with Retry-After", async () => {
  const token = await placeUnseen();
  const { status, body, headers } = await get("/views/order-summary/o-1", { ...token, Prefer: "wait=0.05, handling=strict" });
  expect(status).toBe(503);
  expect(body).toMatchObject({ code: "not_fresh", retry: "later", asOf: 0, behind: { positions: 1 }, fresh: false });
  expect(Number(headers.get("retry-after"))).toBeGreaterThan(0);
  expect(headers.get("preference-applied")).toBe("wait=0.05, handling=strict");
});

test("strict handling that names no level waits for the head at arrival", async () => {
  await placeUnseen();
  const strict = (wait: string) => ({ Prefer: `wait=${wait}, handling=strict` });
  expect(await get("/views/order-summary/o-1", strict("0.05"))).toMatchObject({ status: 503, body: { code: "not_fresh" } });
  const waiting = [get("/views/order-summary/o-1", strict("10")), get("/views/order-summary", strict("10"))];
  setTimeout(() => shop.summaryReader.resume(), 20);
  expect(await Promise.all(waiting)).toMatchObject([
    { status: 200, body: { fresh: true, asOf: 1 } },
    { status: 200, body: { fresh: true, asOf: 1, value: [{ key: "o-1" }] } },
  ]);
});

test("a wait is at most 30 seconds; preferences that are not understood are ignored", async () => {
  await post("/entities/order/o-1/place", placement);
  const applied = async (prefer: string) => (await get("/views/order-summary/o-1", { Prefer: prefer })).headers.get("preference-applied");
  expect(await applied("wait=3600")).toBe("wait=30");
  expect(await applied("wait=-1, handling=odd, return=minimal")).toBeNull();
  expect(await applied('handling="lenient"; x=1')).toBe("handling=lenient");
});

test("no-cache reads as of the head at arrival", async () => {
  await placeUnseen();
  const stale = await get("/views/order-summary/o-1", { "Cache-Control": "no-cache", Prefer: "wait=0" });
  expect(stale.body).toMatchObject({ fresh: false, value: null });
  const waiting = get("/views/order-summary/o-1", { "Cache-Control": "no-cache", Prefer: "wait=10" });
  shop.summaryReader.resume();
  expect((await waiting).body).toMatchObject({ fresh: true, value: { total: 600 } });
});

test("max-age accepts what is no older, and waits for younger otherwise", async () => {
  await placeUnseen();
  await sleep(30);
  const young = await get("/views/order-summary/o-1", { "Cache-Control": "max-age=60", Prefer: "wait=0" });
  expect(young.body).toMatchObject({ fresh: true, behind: { positions: 1 } });
  const old = await get("/views/order-summary/o-1", { "Cache-Control": "max-age=0", Prefer: "wait=0" });
  expect(old.body).toMatchObject({ fresh: false });
});

test("a document whose value did not change is answered 304", async () => {
  const placed = await post("/entities/order/o-1/place", placement);
  const token = { "Consistency-Token": placed.body.token };
  const etag = (await get("/views/order-summary/o-1", token)).headers.get("etag")!;
  const other = await post("/entities/order/o-2/place", placement);
  const later = { "Consistency-Token": other.body.token, "If-None-Match": etag };
  const unchanged = await get("/views/order-summary/o-1", later);
  expect([unchanged.status, unchanged.headers.get("consistency-token")]).toEqual([304, other.body.token]);
  const amended = await post("/entities/order/o-1/amend", { lines: [...lines, ...lines] });
  expect((await get("/views/order-summary/o-1", { ...later, "Consistency-Token": amended.body.token })).status).toBe(200);
});

test("a token of another service is honoured through the reaction that follows it", async () => {
  shop.inbox.pause();
  await sleep(20);
  const placed = await post("/entities/order/o-1/place", placement);
  const token = { "Consistency-Token": placed.body.token };
  expect((await get("/views/availability/tea", { ...token, Prefer: "wait=0" })).body.fresh).toBe(false);
  shop.inbox.resume();
  const fresh = await get("/views/availability/tea", { ...token, Prefer: "wait=10" });
  expect(fresh.body).toMatchObject({ value: { reserved: 2 }, fresh: true });
});

test("a token of a service of which nothing is read here is unchecked: not fresh, and not waited for", async () => {
  const reserved = await post("/entities/stock/tea/reserve", { order: "o", quantity: 1 });
  const started = performance.now();
  const { body } = await get("/views/order-summary/o-1", { "Consistency-Token": reserved.body.token, Prefer: "wait=20" });
  expect(body).toMatchObject({ fresh: false, unchecked: ["inventory"] });
  expect(performance.now() - started).toBeLessThan(5000);
});

test("tokens of several stores are merged by the client, comma-separated, in one header", async () => {
  const placed = await post("/entities/order/o-1/place", placement);
  const reserved = await post("/entities/stock/tea/reserve", { order: "o", quantity: 1 });
  const { body } = await get("/views/availability/tea", {
    "Consistency-Token": `${placed.body.token}, ${reserved.body.token}`,
    Prefer: "wait=10",
  });
  expect(body).toMatchObject({ fresh: true, value: { reserved: 3 } });
});

test("a malformed token is 400 token_invalid, and so is one that this store did not sign", async () => {
  const placed = await post("/entities/order/o-1/place", placement);
  const forged = placed.body.token.replace(/\.1\.(\d+)\./, ".9.$1.");
  for (const token of ["x", forged]) {
    const { status, body } = await get("/views/order-summary/o-1", { "Consistency-Token": token });
    expect([status, body.code]).toEqual([400, "token_invalid"]);
  }
});
