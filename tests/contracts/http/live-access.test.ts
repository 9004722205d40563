// HTTP contract: who may watch what, for how long, and how much; and what becomes of those who do not keep to the protocol.
import { connect as tcp, type Socket } from "node:net";
import { randomBytes } from "node:crypto";
import { type Asked, createGateway, serve, type ServeOptions, type Serving } from "@convergent/server";
import { live } from "convergent";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { WebSocket } from "ws";
import { send, type Shop, startShop } from "./order-service.ts";
import { Watcher } from "./live-wire.ts";

let shop: Shop;
const servers: Serving[] = [];
const watchers: Watcher[] = [];

beforeEach(async () => {
  shop = await startShop();
});

afterEach(async () => {
  for (const watcher of watchers.splice(0)) watcher.cut();
  for (const server of servers.splice(0)) await server.close();
  await shop.stop();
  if (shop.errors.length > 0) throw new AggregateError(shop.errors, "the server failed unexpectedly");
});

async function served(options: Partial<ServeOptions> = {}): Promise<Serving> {
  const server = await serve({ services: shop.services, port: 0, onError: (error) => shop.errors.push(error), ...options });
  servers.push(server);
  return server;
}

async function connected(url: string, options: ConstructorParameters<typeof Watcher>[1] = {}): Promise<Watcher> {
  const watcher = await Watcher.open(url, options);
  watchers.push(watcher);
  return watcher;
}

/** The status that a handshake is refused with, and the code of the problem. */
function refusal(
  url: string,
  { headers = {}, protocols = [live.subprotocol] }: { headers?: Record<string, string>; protocols?: string[] } = {},
) {
  return new Promise<readonly [status: number | undefined, code: unknown]>((resolve, reject) => {
    const socket = new WebSocket(url.replace("http", "ws"), protocols, { headers });
    socket.on("open", () => reject(new Error("it was let in")));
    socket.on("error", () => undefined);
    socket.on("unexpected-response", (_request, response) => {
      let body = "";
      response.on("data", (chunk) => (body += String(chunk)));
      response.on("end", () => resolve([response.statusCode, (JSON.parse(body) as { code?: string }).code]));
    });
  });
}

const place = (id: string) =>
  send(shop.gateway, "POST", `/entities/order/${id}/place`, {
    body: { customer: "ada", lines: [{ product: "tea", quantity: 2, price: 300 }] },
  });

/** Callers by their header or bearer token; those in `banned` are not accepted any more. */
function callers({ banned = new Set<string>(), exp }: { readonly banned?: Set<string>; readonly exp?: number } = {}) {
  return (request: Request) => {
    const subject = request.headers.get("authorization")?.replace("Bearer ", "");
    if (subject === undefined || banned.has(subject)) return undefined;
    return { subject, claims: exp === undefined ? {} : { exp }, scopes: new Set<string>() };
  };
}

describe("the handshake", () => {
  test("is for /live, its subprotocol, and pages of this origin", async () => {
    const { url } = await served();
    expect(await refusal(`${url}/elsewhere`)).toEqual([404, "not_found"]);
    expect(await refusal(`${url}/live`, { protocols: [] })).toEqual([400, "invalid_input"]);
    expect(await refusal(`${url}/live`, { headers: { origin: "https://evil.example.com" } })).toEqual([403, "forbidden"]);
    expect(await refusal(`${url}/live`, { headers: { host: "evil.example.com" } })).toEqual([403, "forbidden"]);
    const own = await connected(url, { headers: { origin: url } });
    expect(own.socket.protocol).toBe(live.subprotocol);
  });

  test("wants credentials, in a header or, from a browser, in a subprotocol that is not echoed", async () => {
    const { url } = await served({ authenticate: callers(), policy: () => true });
    expect(await refusal(`${url}/live`)).toEqual([401, "unauthenticated"]);
    await connected(url, { headers: { authorization: "Bearer ada" } });
    const browser = await connected(url, { protocols: [live.subprotocol, `${live.bearerPrefix}ada`] });
    expect(browser.socket.protocol).toBe(live.subprotocol);
  });

  test("counts as one of those who wait, as long as the connection lasts", async () => {
    const { url } = await served({ limits: { waiting: 2 } });
    const first = await connected(url);
    await connected(url);
    expect(await refusal(`${url}/live`)).toEqual([429, "too_many_requests"]);
    first.cut();
    await vi.waitUntil(async () => connected(url).then(Boolean, () => false), { timeout: 10_000 });
  });
});

describe("a socket of another runtime", () => {
  const handshake = (protocols = live.subprotocol as string) =>
    new Request("http://localhost/live", { headers: { "sec-websocket-protocol": protocols } });

  test("is let in as one of Node is, told what it watches, and held to the same limits", async () => {
    const gateway = createGateway(shop.services, { authenticate: callers(), policy: () => true, limits: { waiting: 1 } });
    const refusedWith = async (request: Request) => ((await gateway.accept(request)) as Response).status;
    expect(await refusedWith(handshake())).toBe(401);
    expect(await refusedWith(new Request("http://localhost/elsewhere"))).toBe(404);
    const own = `${live.subprotocol}, ${live.bearerPrefix}ada`;
    const take = await gateway.accept(handshake(own));
    if (take instanceof Response) throw new Error(`it was refused: ${take.status}`);
    expect(await refusedWith(handshake(own))).toBe(429);
    const sent: Array<Record<string, unknown>> = [];
    const closed: number[] = [];
    const socket = take({ send: (text) => sent.push(JSON.parse(text) as never), close: (code) => closed.push(code) });
    socket.heard('{"watch":{"id":1,"view":"order-summary","key":"o-1"}}');
    await vi.waitUntil(() => sent.some(({ value }) => value === null), { timeout: 10_000 });
    expect(sent[0]).toEqual({ id: 1, reset: "start" });
    await place("o-1");
    await vi.waitUntil(() => sent.some(({ value }) => value), { timeout: 10_000 });
    socket.heard("x".repeat(70_000));
    expect(closed).toEqual([live.closeCodes.tooBig]);
    socket.closed();
    expect(await gateway.accept(handshake(own))).toBeTypeOf("function");
    gateway.end();
  });
});

describe("a caller", () => {
  test("is asked about with each watch, and what is not allowed is refused alone", async () => {
    const asked: Asked[] = [];
    const policy = (question: Asked) => {
      asked.push(question);
      return question.kind === "view"
        ? { allow: true as const, visible: () => false }
        : question.kind === "query"
          ? { allow: true as const, conditions: { customer: "ada" } }
          : false;
    };
    const { url } = await served({ authenticate: callers(), policy });
    await place("o-1");
    const watcher = await connected(url, { headers: { authorization: "Bearer ada" } });
    watcher.watch({ id: 1, entity: "order", key: "o-1" });
    watcher.watch({ id: 2, view: "order-summary", key: "o-1" });
    watcher.watch({ id: 3, view: "order-summary" });
    watcher.watch({ id: 4, view: "order-summary", where: { customer: "bob" } });
    watcher.watch({ id: 5, view: "nothing", key: "o-1" });
    await vi.waitUntil(() => watcher.of(3).some(({ keys }) => (keys as unknown[] | undefined)?.length === 1), { timeout: 10_000 });
    await vi.waitUntil(() => [1, 4, 5].every((id) => watcher.of(id).some(({ error }) => error)), { timeout: 10_000 });
    expect(watcher.of(1).at(-1)?.error).toMatchObject({ code: "forbidden", status: 403 });
    expect(watcher.of(4).at(-1)?.error?.code).toBe("forbidden");
    expect([watcher.of(5).at(-1)?.error?.code, watcher.of(5).at(-1)?.error?.known]).toEqual(["not_found", undefined]);
    await place("o-2");
    await vi.waitUntil(() => watcher.of(3).some(({ keys }) => (keys as unknown[] | undefined)?.length === 2), { timeout: 10_000 });
    // What it may not see is told as if it were not there, also when it changes.
    expect(watcher.values(2)).toEqual([null]);
    expect(asked.filter(({ kind }) => kind !== "definition").map(({ kind, caller }) => [kind, caller.subject])).toEqual([
      ["entity", "ada"],
      ["view", "ada"],
      ["query", "ada"],
      ["query", "ada"],
    ]);
  });

  test("whose right is taken away loses the watch, and keeps the others", async () => {
    let allowed = true;
    const policy = (question: Asked) => question.kind === "view" || (question.kind === "entity" && allowed);
    const { url } = await served({ authenticate: callers(), policy, live: { recheck: "1s" } });
    await place("o-1");
    const watcher = await connected(url, { headers: { authorization: "Bearer ada" } });
    watcher.watch({ id: 1, entity: "order", key: "o-1" });
    watcher.watch({ id: 2, view: "order-summary", key: "o-1" });
    await vi.waitUntil(() => watcher.values(1).length === 1 && watcher.values(2).some((value) => value !== null), { timeout: 10_000 });
    allowed = false;
    await vi.waitUntil(() => watcher.of(1).some(({ error }) => error?.code === "forbidden"), { timeout: 10_000 });
    const before = watcher.of(1).length;
    await send(shop.gateway, "POST", "/entities/order/o-1/amend", { body: { lines: [{ product: "tea", quantity: 9, price: 300 }] } });
    await vi.waitUntil(() => watcher.values(2).some((value) => (value as { total?: number } | null)?.total === 2700), { timeout: 10_000 });
    expect(watcher.of(1)).toHaveLength(before);
  });

  test("whose credentials expire, or are not accepted any more, is let go with a code that says so", async () => {
    const banned = new Set<string>();
    const expiring = await served({ authenticate: callers({ banned, exp: Date.now() / 1000 + 1.5 }), policy: () => true });
    const first = await connected(expiring.url, { headers: { authorization: "Bearer ada" } });
    banned.add("ada");
    expect(await first.end()).toMatchObject({ code: live.closeCodes.unauthenticated });
    const revoking = await served({ authenticate: callers({ banned }), policy: () => true, live: { recheck: "1s" } });
    const second = await connected(revoking.url, { headers: { authorization: "Bearer bob" } });
    banned.add("bob");
    expect(await second.end()).toMatchObject({ code: live.closeCodes.unauthenticated });
  });
});

describe("a connection", () => {
  test("has a hundred watches; of 10,000 the rest are refused one by one, and the hundred are told on", async () => {
    const { url } = await served();
    const watcher = await connected(url);
    for (let id = 1; id <= 10_000; id++) watcher.watch({ id, view: "order-summary", key: `o-${id}` });
    await vi.waitUntil(() => watcher.heard.filter(({ error }) => error?.code === "too_many_requests").length === 9_900, {
      timeout: 30_000,
    });
    await place("o-100");
    await vi.waitUntil(() => watcher.values(100).length === 2, { timeout: 10_000 });
    expect(watcher.closed).toBeUndefined();
  });

  test("is told about frames that it got wrong, and is closed after eleven; another one hears nothing of it", async () => {
    const { url } = await served();
    const [good, bad] = [await connected(url), await connected(url)];
    good.watch({ view: "order-summary", key: "o-1" });
    await good.until(({ value }) => value === null);
    const frames = [
      "",
      "{",
      "[]",
      "7",
      "null",
      '{"watch":7}',
      '{"unwatch":"x"}',
      '{"watch":{"id":-1}}',
      '{"watch":{"id":1.5}}',
      '{"watch":{"id":1}}',
    ];
    for (const frame of frames) bad.ask(frame);
    await vi.waitUntil(() => bad.heard.length === frames.length, { timeout: 10_000 });
    expect(bad.heard.every(({ error }) => error?.code === "invalid_input")).toBe(true);
    expect(bad.heard.at(-1)?.id).toBe(1);
    bad.ask('{"watch":{"id":1,"view":"a","entity":"b","key":"c"}}');
    expect(await bad.end()).toMatchObject({ code: live.closeCodes.policy });
    await place("o-1");
    await vi.waitUntil(() => good.values().length === 2, { timeout: 10_000 });
  });

  test("that sends what is no text, or too much of it, is closed with the code for that", async () => {
    const { url } = await served();
    const binary = await connected(url);
    binary.socket.send(Buffer.from([1, 2, 3]));
    expect(await binary.end()).toMatchObject({ code: live.closeCodes.unsupported });
    const large = await connected(url);
    large.ask("x".repeat(70_000));
    expect(await large.end()).toMatchObject({ code: live.closeCodes.tooBig });
  });

  test("that sends bytes which are no frames is cut off, 500 times, and others are told on", { timeout: 60_000 }, async () => {
    const { url, port } = await served();
    const good = await connected(url);
    good.watch({ view: "order-summary", key: "o-1" });
    await good.until(({ value }) => value === null);
    for (let round = 0; round < 500; round++) {
      const socket = await raw(port);
      const ended = new Promise((resolve) => socket.once("close", resolve));
      // The first bit pattern of reserved bits, opcodes and lengths is the round's own.
      socket.write(Buffer.concat([Buffer.from([round & 0xff, (round * 7) & 0xff]), randomBytes(200)]));
      socket.end();
      socket.resume();
      await ended;
    }
    await place("o-1");
    await vi.waitUntil(() => good.values().length === 2, { timeout: 10_000 });
    expect(good.closed).toBeUndefined();
  });

  test("that never reads holds a bounded backlog here, is told the newest when it reads again, and delays nobody", {
    timeout: 60_000,
  }, async () => {
    const { url, port } = await served();
    const deaf = await raw(port);
    deaf.pause();
    const reader = await connected(url);
    for (let id = 1; id <= 50; id++) {
      const watch = { id, view: "order-summary", key: "o-1" };
      deaf.write(masked(JSON.stringify({ watch })));
    }
    reader.watch({ view: "order-summary", key: "o-1" });
    const customer = "a".repeat(20_000);
    await send(shop.gateway, "POST", "/entities/order/o-1/place", {
      body: { customer, lines: [{ product: "tea", quantity: 1, price: 1 }] },
    });
    const before = process.memoryUsage();
    for (let quantity = 2; quantity <= 200; quantity++) {
      await send(shop.gateway, "POST", "/entities/order/o-1/amend", { body: { lines: [{ product: "tea", quantity, price: 1 }] } });
      await vi.waitUntil(() => reader.values().some((value) => (value as { total?: number } | null)?.total === quantity), {
        timeout: 10_000,
        interval: 1,
      });
    }
    // 50 watches of 20 kB, 200 times, would be 200 MB.
    expect(process.memoryUsage().arrayBuffers - before.arrayBuffers).toBeLessThan(30_000_000);
    let heard = "";
    deaf.on("data", (chunk) => (heard = (heard + String(chunk)).slice(-200_000)));
    deaf.resume();
    await vi.waitUntil(() => heard.includes('"total":200'), { timeout: 20_000 });
    deaf.destroy();
  });

  test("that does not answer pings is cut off", async () => {
    const { url, port } = await served({ live: { heartbeat: "1s" } });
    const alive = await connected(url);
    const silent = await raw(port);
    silent.resume();
    await new Promise((resolve) => silent.once("close", resolve));
    expect(alive.closed).toBeUndefined();
  });

  test("is told that the server stops, which does not wait for it", async () => {
    const server = await served();
    const watcher = await connected(server.url);
    const deaf = await raw(server.port);
    deaf.pause();
    deaf.on("error", () => undefined);
    const startedAt = performance.now();
    await server.close();
    expect(performance.now() - startedAt).toBeLessThan(5_000);
    expect(await watcher.end()).toMatchObject({ code: live.closeCodes.goingAway });
  });
});

/** A WebSocket of which the test moves the bytes itself. */
async function raw(port: number): Promise<Socket> {
  const socket = tcp(port, "127.0.0.1");
  socket.on("error", () => undefined);
  socket.write(
    `GET /live HTTP/1.1\r\nhost: localhost:${port}\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: ${randomBytes(16).toString("base64")}\r\nsec-websocket-protocol: ${live.subprotocol}\r\n\r\n`,
  );
  const [head] = await new Promise<[Buffer]>((resolve) => socket.once("data", (data: Buffer) => resolve([data])));
  expect(String(head)).toContain("101 Switching Protocols");
  return socket;
}

/** A text frame of a client, with a mask of zeros. */
function masked(text: string): Buffer {
  const body = Buffer.from(text);
  const head =
    body.length < 126 ? Buffer.from([0x81, 0x80 | body.length]) : Buffer.from([0x81, 0xfe, body.length >> 8, body.length & 0xff]);
  return Buffer.concat([head, Buffer.alloc(4), body]);
}
