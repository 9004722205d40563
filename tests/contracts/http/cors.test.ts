// HTTP contract: pages of other origins. By default none may read anything; the ones that are named may, and no one else.
import { createGateway, type Gateway } from "@convergent/server";
import { afterEach, beforeEach, expect, test } from "vitest";
import { placement, send, type Shop, startShop } from "./order-service.ts";

const origin = "https://shop.example.com";

let shop: Shop;
let gateway: Gateway;
beforeEach(async () => {
  shop = await startShop();
  gateway = createGateway(shop.services, {
    cors: { origins: [origin, "http://localhost:5173"] },
    fallback: () => Response.redirect("http://localhost/login"),
  });
});
afterEach(() => shop.stop());

const corsHeaders = (headers: Headers): string[] => [...headers.keys()].filter((name) => name.startsWith("access-control-"));
const preflight = (of: Gateway, from: string) =>
  send(of, "OPTIONS", "/entities/order/o-1/place", {
    headers: { Origin: from, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type,idempotency-key" },
  });

test("by default no answer says anything about other origins", async () => {
  const read = await send(shop.gateway, "GET", "/definition", { headers: { Origin: origin } });
  expect([read.status, corsHeaders(read.headers), read.headers.get("vary")]).toEqual([200, [], null]);
  const asked = await preflight(shop.gateway, origin);
  expect([asked.status, corsHeaders(asked.headers)]).toEqual([403, []]);
});

test("a page that was named may ask, send our headers, write, and read the headers that matter", async () => {
  const asked = await preflight(gateway, origin);
  expect([asked.status, asked.headers.get("access-control-allow-origin"), asked.headers.get("vary")]).toEqual([204, origin, "Origin"]);
  expect(asked.headers.get("access-control-allow-methods")).toContain("POST");
  for (const name of ["authorization", "idempotency-key", "consistency-token", "if-match", "prefer", "traceparent"])
    expect(asked.headers.get("access-control-allow-headers")).toContain(name);
  const placed = await send(gateway, "POST", "/entities/order/o-1/place", {
    body: placement,
    headers: { Origin: origin, "Sec-Fetch-Site": "cross-site" },
  });
  expect([placed.status, placed.headers.get("access-control-allow-origin")]).toEqual([200, origin]);
  expect(placed.body.version).toBe(1);
  for (const name of ["etag", "consistency-token", "retry-after", "retry-after-ms", "preference-applied", "location"])
    expect(placed.headers.get("access-control-expose-headers")).toContain(name);
  expect(placed.headers.get("access-control-allow-credentials")).toBeNull();
});

test("failures, pages of the application and unchanged documents carry the headers too", async () => {
  const headers = { Origin: origin };
  await send(gateway, "POST", "/entities/order/o-1/place", { body: placement, headers });
  const { headers: found } = await send(gateway, "GET", "/entities/order/o-1", { headers });
  const unchanged = await send(gateway, "GET", "/entities/order/o-1", { headers: { ...headers, "If-None-Match": found.get("etag")! } });
  const failed = await send(gateway, "GET", "/views/nothing/o-1", { headers });
  const malformed = await send(gateway, "GET", "/views/%zz", { headers });
  const page = await send(gateway, "GET", "/page", { headers });
  expect([unchanged.status, failed.status, malformed.status, page.status]).toEqual([304, 404, 400, 302]);
  for (const answer of [unchanged, failed, malformed, page]) expect(answer.headers.get("access-control-allow-origin")).toBe(origin);
});

test("any other origin gets no such header, and may not write; caches are told to keep answers apart", async () => {
  for (const from of [
    "https://evil.example",
    "https://shop.example.com.evil.example",
    "http://shop.example.com",
    "https://shop.example.com:444",
    "null",
    "HTTPS://SHOP.EXAMPLE.COM",
  ]) {
    const read = await send(gateway, "GET", "/definition", { headers: { Origin: from } });
    expect([from, read.status, corsHeaders(read.headers), read.headers.get("vary")]).toEqual([from, 200, [], "Origin"]);
    const asked = await preflight(gateway, from);
    expect([from, asked.status, corsHeaders(asked.headers)]).toEqual([from, 403, []]);
    const written = await send(gateway, "POST", "/entities/order/o-1/place", { body: placement, headers: { Origin: from } });
    expect([from, written.status]).toEqual([from, 403]);
  }
  expect((await send(gateway, "GET", "/definition")).headers.get("vary")).toBe("Origin");
});

test("where callers are authenticated, the server's own pages may write, and others only when they are named", async () => {
  const open = { authenticate: () => ({ subject: "ada", claims: {}, scopes: new Set<string>() }), policy: () => true };
  const of = createGateway(shop.services, { ...open, cors: { origins: [origin] } });
  const touch = async (headers: Record<string, string>) =>
    (await send(of, "POST", "/entities/order/o-1/touch", { body: {}, headers: { Host: "api.example.com", ...headers } })).status;
  expect(await touch({})).toBe(200);
  expect(await touch({ Origin: "https://api.example.com" })).toBe(200);
  expect(await touch({ Origin: origin })).toBe(200);
  for (const Origin of ["https://evil.example", "http://localhost:5173", "null", "api.example.com"])
    expect(await touch({ Origin })).toBe(403);
});

test("what no browser sends as an origin is refused at the start", () => {
  for (const bad of [
    "*",
    "shop.example.com",
    "https://shop.example.com/",
    "https://*.example.com",
    "https://shop.example.com/path",
    "null",
    "file://",
  ])
    expect(() => createGateway(shop.services, { cors: { origins: [bad] } })).toThrow(/is no origin/);
});
