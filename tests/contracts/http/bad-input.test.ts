// HTTP contract, "Bad input": every row, and what an attacker would try next.
import { mkdtemp, cp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createGateway } from "@convergent/server";
import { memory } from "convergent/memory";
import { afterEach, beforeEach, expect, test } from "vitest";
import { placement, send, type Shop, startShop } from "./order-service.ts";

let shop: Shop;
beforeEach(async () => {
  shop = await startShop();
});
afterEach(() => shop.stop());

const post = (path: string, body?: unknown, headers: Record<string, string> = {}) =>
  send(shop.gateway, "POST", path, { ...(body === undefined ? {} : { body }), headers });
const get = (path: string, headers: Record<string, string> = {}) => send(shop.gateway, "GET", path, { headers });

test("an unknown entity, view or command is 404 with the known names", async () => {
  const entity = await post("/entities/ordr/o-1/place", placement);
  expect([entity.status, entity.body.code, entity.body.known]).toEqual([404, "not_found", ["order", "stock"]]);
  expect((await get("/entities/ordr/o-1")).body.known).toEqual(["order", "stock"]);
  const command = await post("/entities/order/o-1/plaice", placement);
  expect([command.status, command.body.code, command.body.known]).toEqual([
    404,
    "not_found",
    ["place", "amend", "cancel", "touch", "explode"],
  ]);
  const view = await get("/views/orders/o-1");
  expect([view.status, view.body.code, view.body.known]).toEqual([404, "not_found", ["order-summary", "availability"]]);
  for (const name of ["constructor", "__proto__", "toString", "hasOwnProperty"]) {
    expect((await post(`/entities/order/o-1/${name}`, {})).status).toBe(404);
    expect((await post(`/entities/${name}/o-1/place`, {})).status).toBe(404);
    expect((await get(`/views/${name}`)).status).toBe(404);
  }
});

test("an unknown address is 404 with the addresses there are, and a wrong method 405 with the right ones", async () => {
  const nowhere = await get("/nowhere");
  expect([nowhere.status, nowhere.body.code]).toEqual([404, "not_found"]);
  expect(nowhere.body.known).toContain("POST /entities/{entity}/{id}/{command}");
  const wrong = await send(shop.gateway, "DELETE", "/entities/order/o-1");
  expect([wrong.status, wrong.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
  expect((await get("/entities/order/o-1/place")).headers.get("allow")).toBe("POST");
  expect((await post("/entities//o-1/place", {})).status).toBe(404);
});

test("a body that is no JSON is 400 invalid_input", async () => {
  for (const body of ["{", "customer=ada", "undefined", "{'a':1}", '{"a":1}x', " "]) {
    const answer = await post("/entities/order/o-1/place", body);
    expect([body, answer.status, answer.body.code]).toEqual([body, 400, "invalid_input"]);
    expect(answer.body.issues[0]?.reason).toMatch(/JSON/);
  }
});

test("a body that is no valid UTF-8 is 400", async () => {
  const { status, body } = await post("/entities/order/o-1/place", new Uint8Array([0x22, 0xff, 0xfe, 0x22]));
  expect([status, body.code]).toEqual([400, "invalid_input"]);
});

test("a body that does not meet its schema is 400 with path and reason for each field", async () => {
  const { status, headers, body } = await post("/entities/order/o-1/place", { customer: 7, lines: [{ product: "tea", quantity: 1.5 }] });
  expect(status).toBe(400);
  expect(headers.get("content-type")).toBe("application/problem+json");
  expect(body).toMatchObject({ code: "invalid_input", status: 400, retry: "never" });
  expect(body.issues.map((issue) => issue.path)).toEqual(["customer", "lines.0.quantity", "lines.0.price"]);
  for (const issue of body.issues) expect(issue.reason).toEqual(expect.stringMatching(/\w/));
});

test("an empty body is an empty input: enough for a command that needs none, else the missing fields are named", async () => {
  expect((await post("/entities/order/o-1/touch")).status).toBe(200);
  const { status, body } = await post("/entities/order/o-1/place", "");
  expect([status, body.code]).toEqual([400, "invalid_input"]);
  expect(body.issues.map((issue) => issue.path)).toEqual(["customer", "lines"]);
});

test("a body over 1 MB is 413, and the rest of it is not read", async () => {
  let sent = 0;
  let cancelled = false;
  const endless = new ReadableStream({
    pull: (controller) => {
      sent += 65_536;
      controller.enqueue(new Uint8Array(65_536).fill(0x20));
    },
    cancel: () => {
      cancelled = true;
    },
  });
  const request = new Request("http://localhost/entities/order/o-1/place", {
    method: "POST",
    body: endless,
    duplex: "half",
  });
  const response = await shop.gateway.fetch(request);
  expect(response.status).toBe(413);
  expect(((await response.json()) as { code: string }).code).toBe("payload_too_large");
  expect(cancelled).toBe(true);
  expect(sent).toBeLessThan(1_500_000);
});

test("a body of a declared length over 1 MB is 413 before any of it is read; up to 1 MB it is read", async () => {
  const declared = await post("/entities/order/o-1/place", "{}", { "Content-Length": "1000001" });
  expect([declared.status, declared.body.code]).toEqual([413, "payload_too_large"]);
  const large = { ...placement, customer: "a".repeat(999_800) };
  expect((await post("/entities/order/o-1/place", large)).status).toBe(200);
});

test("a body deeper than 32 is 400, however deep it is", async () => {
  const nested = (depth: number): string => "[".repeat(depth) + "]".repeat(depth);
  for (const depth of [33, 100_000]) {
    const { status, body } = await post("/entities/order/o-1/touch", nested(depth));
    expect([status, body.code]).toEqual([400, "invalid_input"]);
    expect(body.issues[0]?.reason).toMatch(/32/);
  }
  expect((await post("/entities/order/o-1/touch", `{"a":${nested(31)}}`)).status).toBe(200);
});

test("keys that reach into prototypes are 400 with their path, at any depth and in any spelling", async () => {
  const bodies: Record<string, string> = {
    '{"__proto__":{"admin":true}}': "__proto__",
    '{"a":[{"\\u005f_proto__":1}]}': "a.0.__proto__",
    '{"a":{"constructor":{"prototype":{"admin":true}}}}': "a.constructor",
  };
  for (const [body, path] of Object.entries(bodies)) {
    const answer = await post("/entities/order/o-1/touch", body);
    expect([answer.status, answer.body.code, answer.body.issues[0]?.path]).toEqual([400, "invalid_input", path]);
  }
  expect(({} as { admin?: boolean }).admin).toBeUndefined();
  expect((await post("/entities/order/o-1/touch", { constructor: "Ferrari" })).status).toBe(200);
});

test("a number that no double can hold is 400", async () => {
  expect((await post("/entities/order/o-1/touch", '{"a":1e999}')).body.issues[0]?.path).toBe("a");
});

test("percent-encoded ids are the ids they encode, slashes included", async () => {
  for (const id of ["a/b", "100%", "ä ö", "a?b#c", "%2F", "\u{1f375}"]) {
    const path = `/entities/order/${encodeURIComponent(id)}`;
    expect((await post(`${path}/place`, placement)).status).toBe(200);
    expect((await get(path)).body.version).toBe(1);
    const { body } = await get(`/views/order-summary/${encodeURIComponent(id)}`, { "Cache-Control": "no-cache" });
    expect(body.value?.order).toBe(id);
  }
});

test("malformed percent-encoding is 400, and so is an id that cannot be stored", async () => {
  for (const id of ["%", "%zz", "%E0%A4%A", "%ff", "%00", "x".repeat(513)]) {
    const { status, body } = await post(`/entities/order/${id}/place`, placement);
    expect([id, status, body.code]).toEqual([id, 400, "invalid_input"]);
  }
  expect((await get("/views/order-summary?customer=%zz")).status).toBe(400);
});

test("a command refused by the entity is 409 with the entity's own reason", async () => {
  await post("/entities/order/o-1/place", placement);
  const { status, body } = await post("/entities/order/o-1/place", placement);
  expect([status, body.code, body.reason, body.detail]).toEqual([
    409,
    "rejected",
    "the order is placed already",
    "the order is placed already",
  ]);
});

test("a name that somebody else's DNS points here is 403", async () => {
  for (const host of ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "192.168.0.7:4000", "0.0.0.0", "[::2]"]) {
    const { status, body } = await get("/definition", { Host: host });
    expect([host, status, body.code]).toEqual([host, 403, "forbidden"]);
  }
  for (const host of ["localhost", "LOCALHOST:4000", "127.0.0.1:4000", "127.9.9.9", "[::1]:4000", "shop.localhost"])
    expect((await get("/definition", { Host: host })).status).toBe(200);
});

test("a page of another site may not write, and a page of this machine may", async () => {
  const from = (headers: Record<string, string>) => post("/entities/order/o-1/touch", {}, headers);
  for (const origin of ["https://evil.example", "null", "http://localhost.evil.example", "file://"])
    expect((await from({ Origin: origin })).body.code).toBe("forbidden");
  expect((await from({ "Sec-Fetch-Site": "cross-site" })).status).toBe(403);
  for (const origin of ["http://localhost:4000", "http://127.0.0.1:5173", "https://shop.localhost"])
    expect((await from({ Origin: origin })).status).toBe(200);
  expect((await get("/definition", { Origin: "https://evil.example" })).status).toBe(200);
});

test("a store that cannot be reached is 503 unavailable with Retry-After", async () => {
  shop.store.failing = "unavailable";
  const { status, headers, body } = await post("/entities/order/o-1/place", placement);
  expect([status, body.code, body.retry]).toEqual([503, "unavailable", "later"]);
  expect(Number(headers.get("retry-after"))).toBeGreaterThan(0);
});

test("a write whose outcome is not known is 503 outcome_unknown, and a retry with the same key tells", async () => {
  const key = { "Idempotency-Key": "k-1" };
  shop.store.failing = "outcome_unknown";
  const unknown = await post("/entities/order/o-1/place", placement, key);
  expect([unknown.status, unknown.body.code, unknown.body.retry]).toEqual([503, "outcome_unknown", "later"]);
  shop.store.failing = undefined;
  expect((await post("/entities/order/o-1/place", placement, key)).status).toBe(200);
});

test("an unexpected failure is 500 without a code or a word of the inside, and is reported once", async () => {
  const { status, headers, body } = await post("/entities/order/o-1/explode", {});
  expect(status).toBe(500);
  expect(headers.get("content-type")).toBe("application/problem+json");
  expect(body).not.toHaveProperty("code");
  expect(JSON.stringify(body)).not.toMatch(/secret|TypeError|\.ts|at /);
  expect(shop.errors).toHaveLength(1);
  expect(shop.errors[0]).toBeInstanceOf(TypeError);
});

test("a failing fallback is an unexpected failure too", async () => {
  const errors: unknown[] = [];
  const gateway = createGateway(shop.services, {
    fallback: () => Promise.reject(new Error("page broke")),
    onError: (error) => errors.push(error),
  });
  expect((await send(gateway, "GET", "/page")).status).toBe(500);
  expect(errors).toHaveLength(1);
});

test("a token past a restore is 409 token_epoch with the fork, for reads and commands", async () => {
  const directory = await mkdtemp(join(tmpdir(), "convergent-http-"));
  const before = await startShop({ driver: memory({ directory: join(directory, "now") }) });
  await send(before.gateway, "POST", "/entities/order/o-1/place", { body: placement });
  await cp(join(directory, "now"), join(directory, "older"), { recursive: true });
  const lost = await send(before.gateway, "POST", "/entities/order/o-2/place", { body: placement });
  await before.stop();
  const after = await startShop({ driver: memory({ directory: join(directory, "older") }) });
  const headers = { "Consistency-Token": lost.body.token };
  for (const answer of [
    await send(after.gateway, "GET", "/views/order-summary/o-2", { headers }),
    await send(after.gateway, "GET", "/entities/order/o-1", { headers }),
    await send(after.gateway, "POST", "/entities/order/o-1/touch", { headers }),
  ])
    expect([answer.status, answer.body.code, answer.body.store, answer.body.fork]).toEqual([409, "token_epoch", "orders", 1]);
  await after.stop();
  await rm(directory, { recursive: true });
});
