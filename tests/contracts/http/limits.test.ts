// HTTP contract: how much one caller may ask for, and how large and how slow a request may be.
import { once } from "node:events";
import { connect } from "node:net";
import { createGateway, type Gateway, type Limits, serve } from "@convergent/server";
import { afterEach, beforeEach, expect, test } from "vitest";
import { placement, send, type Shop, startShop } from "./order-service.ts";

let shop: Shop;
beforeEach(async () => {
  shop = await startShop();
});
afterEach(() => shop.stop());

const under = (limits: Limits): Gateway =>
  createGateway(shop.services, {
    limits,
    authenticate: (request) => {
      const subject = request.headers.get("x-user");
      return subject === null ? undefined : { subject, claims: {}, scopes: new Set() };
    },
    policy: () => true,
  });
const ask = (gateway: Gateway, user = "ada", headers: Record<string, string> = {}) =>
  send(gateway, "GET", "/views/order-summary/o-1", { headers: { "X-User": user, ...headers } });
const slow = 0.001; // a request in 1,000 s: no machine is so slow that another one becomes due during a test

test("a caller who asks too often is 429 with the time to wait, and others go on", async () => {
  const gateway = under({ requestsPerSecond: slow, burst: 3 });
  for (let count = 0; count < 3; count++) expect((await ask(gateway)).status).toBe(404);
  const { status, headers, body } = await ask(gateway);
  expect([status, body.code, body.retry]).toEqual([429, "too_many_requests", "later"]);
  expect(Number(headers.get("retry-after"))).toBeGreaterThan(900);
  expect(Number(headers.get("retry-after-ms"))).toBeGreaterThan(900_000);
  expect((await ask(gateway, "bob")).status).toBe(404);
});

test("a caller who waits as long as was said is welcome again", async () => {
  const gateway = under({ requestsPerSecond: 20, burst: 1 });
  let answer = await ask(gateway);
  while (answer.status !== 429) answer = await ask(gateway);
  const waitMs = Number(answer.headers.get("retry-after-ms"));
  expect(waitMs).toBeLessThanOrEqual(50);
  await new Promise((resolve) => setTimeout(resolve, waitMs + 5));
  expect((await ask(gateway)).status).toBe(404);
});

test("a command that was one too many is not run", async () => {
  const gateway = under({ requestsPerSecond: slow, burst: 1 });
  const place = (id: string) => send(gateway, "POST", `/entities/order/${id}/place`, { body: placement, headers: { "X-User": "ada" } });
  expect((await place("o-1")).status).toBe(200);
  expect((await place("o-2")).status).toBe(429);
  expect((await send(shop.gateway, "GET", "/entities/order/o-2")).status).toBe(404);
});

test("requests that nobody vouches for are counted by their address, and probes not at all", async () => {
  const gateway = under({ requestsPerSecond: slow, burst: 2 });
  const from = async (remoteAddress: string, path = "/definition") =>
    (await gateway.fetch(new Request(`http://localhost${path}`), { remoteAddress })).status;
  expect([await from("10.0.0.1"), await from("10.0.0.1"), await from("10.0.0.1"), await from("10.0.0.2")]).toEqual([401, 401, 429, 401]);
  for (let count = 0; count < 5; count++) expect(await from("10.0.0.1", "/readyz")).toBe(200);
});

test("where nobody is authenticated, addresses are counted when limits are given, and nothing is when they are not", async () => {
  const gateway = createGateway(shop.services, { limits: { requestsPerSecond: slow, burst: 1 } });
  const from = async (of: Gateway, remoteAddress: string) =>
    (await of.fetch(new Request("http://localhost/definition"), { remoteAddress })).status;
  expect([await from(gateway, "127.0.0.1"), await from(gateway, "127.0.0.1"), await from(gateway, "127.0.0.2")]).toEqual([200, 429, 200]);
  for (let count = 0; count < 2000; count++) expect(await from(shop.gateway, "127.0.0.1")).toBe(200);
});

test("authenticated callers have a limit by default", async () => {
  const gateway = createGateway(shop.services, {
    authenticate: () => ({ subject: "ada", claims: {}, scopes: new Set() }),
    policy: () => true,
  });
  const statuses = await Promise.all(
    Array.from({ length: 3000 }, async () => (await gateway.fetch(new Request("http://localhost/definition"))).status),
  );
  expect(statuses.filter((status) => status === 200).length).toBeGreaterThanOrEqual(1000);
  expect(statuses).toContain(429);
});

test("reads of one caller that wait at the same time are bounded; those of others wait", async () => {
  const gateway = under({ waiting: 2 });
  const placed = await send(gateway, "POST", "/entities/order/o-1/place", { body: placement, headers: { "X-User": "ada" } });
  await shop.summaryReader.stop();
  const again = await send(gateway, "POST", "/entities/order/o-2/place", { body: placement, headers: { "X-User": "ada" } });
  expect(placed.status + again.status).toBe(400);
  const headers = { "Consistency-Token": again.body.token, Prefer: "wait=1" };
  const waiting = [ask(gateway, "ada", headers), ask(gateway, "ada", headers)];
  const refused = await ask(gateway, "ada", headers);
  expect([refused.status, refused.body.code, refused.headers.get("retry-after")]).toEqual([429, "too_many_requests", "1"]);
  expect((await ask(gateway, "ada")).status).not.toBe(429); // nothing asked for, nothing to wait for
  expect((await ask(gateway, "bob", headers)).body.fresh).toBe(false);
  for (const answer of await Promise.all(waiting)) expect(answer.body.fresh).toBe(false);
  expect((await ask(gateway, "ada", headers)).status).toBe(200); // both have left
});

test("limits that are no limits are refused at the start", () => {
  for (const limits of [
    { requestsPerSecond: 0 },
    { requestsPerSecond: -1 },
    { requestsPerSecond: Number.NaN },
    { requestsPerSecond: 1, burst: 0 },
    { waiting: 0 },
  ])
    expect(() => under(limits)).toThrow(/is a number above 0/);
});

test("an object of too many keys, a key that is too long, and too many values are 400 with their path", async () => {
  const post = (body: unknown) => send(shop.gateway, "POST", "/entities/order/o-1/touch", { body });
  const keys = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index}`, index]));
  expect((await post({ a: keys(1000) })).status).toBe(200);
  expect((await post({ a: keys(1001) })).body.issues).toEqual([{ path: "a", reason: "an object of more than 1000 keys" }]);
  expect((await post({ ["k".repeat(256)]: 1 })).status).toBe(200);
  expect((await post({ a: [{ ["k".repeat(257)]: 1 }] })).body.issues[0]?.reason).toBe("a key of more than 256 characters");
  expect((await post({ a: Array.from({ length: 99_990 }, () => 1) })).status).toBe(200);
  expect((await post({ a: Array.from({ length: 100_001 }, () => 1) })).body.issues[0]?.reason).toBe("more than 100000 values");
});

test("an address that is too long is 414, and a query of too many parameters 400", async () => {
  const get = async (path: string) => (await send(shop.gateway, "GET", path)).status;
  expect(await get(`/views/order-summary?customer=${"a".repeat(9000)}`)).toBe(414);
  expect(await get(`/views/order-summary?${Array.from({ length: 65 }, (_, index) => `f${index}=1`).join("&")}`)).toBe(400);
});

test("headers that are too large are 431, and the server goes on", async () => {
  const server = await serve({ services: shop.services, port: 0 });
  const socket = connect(server.port, "127.0.0.1");
  socket.on("error", () => undefined); // the server may hang up while this side still writes
  socket.write(`GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Large: ${"a".repeat(20_000)}\r\n\r\n`);
  const [answer] = (await once(socket, "data")) as [Buffer];
  expect(String(answer)).toMatch(/^HTTP\/1\.1 431 /);
  socket.destroy();
  expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
  await server.close();
});

test("who sends headers or a body too slowly is told so and cut off", async () => {
  const server = await serve({ services: shop.services, port: 0, slowAfter: { headers: "300ms", request: "600ms" } });
  const begun = [
    "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
    "POST /entities/order/o-1/place HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{",
  ];
  for (const text of begun) {
    const socket = connect(server.port, "127.0.0.1");
    socket.write(text);
    let received = "";
    for await (const chunk of socket) received += String(chunk);
    expect(received).toMatch(/^HTTP\/1\.1 408 /);
  }
  expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
  await server.close();
});
