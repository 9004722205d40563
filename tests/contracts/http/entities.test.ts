// HTTP contract: GET /entities/{entity}/{id} and its events.
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

test("an entity is read as it is now, with version, ETag, token and what is pending", async () => {
  const placed = await post("/entities/order/o-1/place", placement);
  const { status, body, headers } = await get("/entities/order/o-1");
  expect(status).toBe(200);
  expect(body).toEqual({ state: { status: "placed", total: 600 }, version: 1, token: placed.body.token, pending: ["returnCode"] });
  expect(headers.get("etag")).toBe(placed.headers.get("etag"));
  expect(headers.get("consistency-token")).toBe(placed.body.token);
});

test("an entity that was never written is 404 entity_not_found", async () => {
  for (const path of ["/entities/order/o-9", "/entities/order/o-9/events", "/entities/order/o-9?version=1"]) {
    const { status, body } = await get(path);
    expect([status, body.code]).toEqual([404, "entity_not_found"]);
  }
});

test("an entity is read as of a version or a time, and not at all from before it existed", async () => {
  const placed = await post("/entities/order/o-1/place", placement);
  await sleep(5);
  const amended = await post("/entities/order/o-1/amend", { lines: [{ product: "tea", quantity: 1, price: 1 }] });
  const firstAt = placed.body.events[0]!.at;
  expect((await get("/entities/order/o-1?version=1")).body).toMatchObject({ version: 1, state: { total: 600 } });
  expect((await get("/entities/order/o-1?version=1")).headers.get("etag")).toBe(placed.headers.get("etag"));
  expect((await get(`/entities/order/o-1?at=${firstAt}`)).body).toMatchObject({ version: 1, state: { total: 600 } });
  expect((await get(`/entities/order/o-1?at=${amended.body.events[0]!.at}`)).body).toMatchObject({ version: 2, state: { total: 1 } });
  expect((await get(`/entities/order/o-1?at=${firstAt.replace("Z", "%2B00:00")}`)).body).toMatchObject({ version: 1 });
  expect((await get("/entities/order/o-1?at=2001-01-01T00:00:00Z")).status).toBe(404);
  expect((await get("/entities/order/o-1?version=3")).status).toBe(404);
});

test("a version or time that is none is 400, with the parameter's name", async () => {
  await post("/entities/order/o-1/place", placement);
  for (const query of [
    "version=0",
    "version=-1",
    "version=1.5",
    "version=x",
    "version=",
    "at=yesterday",
    "at=2026-01-01",
    "at=2026-13-01T00:00:00Z",
  ]) {
    const { status, body } = await get(`/entities/order/o-1?${query}`);
    expect([query, status, body.code, body.issues[0]?.path]).toEqual([query, 400, "invalid_input", query.split("=")[0]]);
  }
  expect((await get("/entities/order/o-1?version=1&at=2026-01-01T00:00:00Z")).status).toBe(400);
});

test("a read that names the present ETag is answered 304 without a body", async () => {
  const placed = await post("/entities/order/o-1/place", placement);
  const etag = placed.headers.get("etag")!;
  const unchanged = await get("/entities/order/o-1", { "If-None-Match": `"x.1", ${etag}` });
  expect([unchanged.status, unchanged.text, unchanged.headers.get("etag")]).toEqual([304, "", etag]);
  await post("/entities/order/o-1/amend", { lines });
  expect((await get("/entities/order/o-1", { "If-None-Match": etag })).status).toBe(200);
});

test("the audit trail is read in pages, oldest first, with who and what caused each event", async () => {
  await post("/entities/order/o-1/place", placement);
  for (let times = 0; times < 4; times++) await post("/entities/order/o-1/amend", { lines });
  const first = await get("/entities/order/o-1/events?limit=2");
  expect(first.body.events.map((event) => event.version)).toEqual([1, 2]);
  expect(Object.keys(first.body.events[0]!)).toEqual(["id", "type", "version", "position", "at", "data", "metadata"]);
  expect(first.body.next).toBe(2);
  const rest = await get(`/entities/order/o-1/events?after=${first.body.next}&limit=3`);
  expect(rest.body.events.map((event) => event.version)).toEqual([3, 4, 5]);
  expect(rest.body).not.toHaveProperty("next");
  expect((await get("/entities/order/o-1/events?after=5")).body).toEqual({ events: [] });
  for (const query of ["limit=0", "limit=1001", "after=-1", "after=x"])
    expect((await get(`/entities/order/o-1/events?${query}`)).status).toBe(400);
});

test("an entity that reactions write is read no older than a token of the service that they follow", async () => {
  shop.inbox.pause();
  await sleep(20);
  const placed = await post("/entities/order/o-1/place", placement);
  const token = { "Consistency-Token": placed.body.token };
  await post("/entities/stock/tea/reserve", { order: "other", quantity: 1 });
  const stale = await get("/entities/stock/tea", { ...token, Prefer: "wait=0" });
  expect(stale.body).toMatchObject({ fresh: false, state: { reserved: 1 } });
  expect(stale.headers.get("preference-applied")).toBe("wait=0");
  const strict = await get("/entities/stock/tea", { ...token, Prefer: "wait=0, handling=strict" });
  expect([strict.status, strict.body.code]).toEqual([503, "not_fresh"]);
  const waiting = get("/entities/stock/tea", { ...token, Prefer: "wait=5" });
  shop.inbox.resume();
  const fresh = await waiting;
  expect(fresh.body).toMatchObject({ state: { reserved: 3 } });
  expect(fresh.body).not.toHaveProperty("fresh");
});
