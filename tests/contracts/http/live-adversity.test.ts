// HTTP contract: `/live` against handshakes that come to nothing, readers that do not read, policies that fail, and gateways that are behind others.
import { connect as tcp, type Socket } from "node:net";
import { type Asked, type Policy, serve, type ServeOptions, type Serving } from "@convergent/server";
import { live } from "convergent";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { send, type Shop, startShop } from "./order-service.ts";
import { type Heard, Watcher } from "./live-wire.ts";
import { Travel } from "./saga-service.ts";

let shop: Shop;
let expected = 0;
const servers: Serving[] = [];
const watchers: Watcher[] = [];
const sockets: Socket[] = [];

beforeEach(async () => {
  expected = 0;
  shop = await startShop();
});

afterEach(async () => {
  for (const watcher of watchers.splice(0)) watcher.cut();
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const server of servers.splice(0)) await server.close();
  await shop.stop();
  if (shop.errors.length !== expected) throw new AggregateError(shop.errors, "the server failed unexpectedly");
});

async function served(options: Partial<ServeOptions> = {}): Promise<Serving> {
  const server = await serve({ services: shop.services, port: 0, onError: (error) => shop.errors.push(error), ...options });
  servers.push(server);
  return server;
}

async function connected(url: string, as?: string): Promise<Watcher> {
  const watcher = await Watcher.open(url, as === undefined ? {} : { headers: { authorization: `Bearer ${as}` } });
  watchers.push(watcher);
  return watcher;
}

const order = (id: string, command: string, body: object) => send(shop.gateway, "POST", `/entities/order/${id}/${command}`, { body });
const place = (id: string, quantity = 2) => order(id, "place", { customer: "ada", lines: [{ product: "tea", quantity, price: 300 }] });
const amend = (id: string, quantity: number) => order(id, "amend", { lines: [{ product: "tea", quantity, price: 300 }] });
const cancel = (id: string) => order(id, "cancel", { reason: "why not" });
const total = (heard: Heard | undefined): number | undefined => (heard?.value as { total?: number } | null | undefined)?.total;
const patient = { timeout: 10_000, interval: 5 } as const;

const authenticate = (request: Request) => {
  const subject = request.headers.get("authorization")?.replace("Bearer ", "");
  return subject === undefined ? undefined : { subject, claims: {}, scopes: new Set<string>() };
};

async function connections(url: string): Promise<number> {
  return Number(/convergent_live_connections (\d+)/.exec(await (await fetch(`${url}/metrics`)).text())?.[1]);
}

/** A connection that never closes its own side, and what came over it. */
function raw(port: number, text: string): { readonly socket: Socket; readonly heard: () => string } {
  let heard = "";
  const socket = tcp({ port, host: "127.0.0.1", allowHalfOpen: true });
  sockets.push(socket);
  socket.on("error", () => undefined);
  socket.on("data", (data) => (heard += String(data)));
  socket.write(text);
  return { socket, heard: () => heard };
}

const handshake = (path: string, port: number, more = ""): string =>
  `GET ${path} HTTP/1.1\r\nhost: localhost:${port}\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-protocol: ${live.subprotocol}\r\n${more}\r\n`;
const key = "sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

describe("a handshake", () => {
  test("that is none counts as nobody who waits, and its connection is closed from here", async () => {
    const { url, port } = await served({ limits: { waiting: 2 } });
    for (let round = 0; round < 3; round++) {
      const { socket, heard } = raw(port, handshake("/live", port));
      await vi.waitUntil(() => heard().startsWith("HTTP/1.1 400"), patient);
      socket.destroy();
    }
    await connected(url);
    const { socket, heard } = raw(port, handshake("/elsewhere", port, key));
    await vi.waitUntil(() => heard().startsWith("HTTP/1.1 404"), patient);
    // A side that is closed resets what is sent to it; one that is half open would take it.
    await expect.poll(() => (socket.write("more"), socket.destroyed), patient).toBe(true);
  });

  test("at what is no address is not found, and no failure of the server", async () => {
    const { port } = await served();
    for (const path of ["//[", "http://["]) {
      const { heard } = raw(port, handshake(path, port, key));
      await expect.poll(heard, patient).toMatch(/^HTTP\/1\.1 404/);
    }
  });

  test("without credentials counts as a request of its address", async () => {
    const { port } = await served({ authenticate, policy: () => true, limits: { requestsPerSecond: 0.01, burst: 2 } });
    for (const status of ["401", "401", "429"]) {
      const { heard } = raw(port, handshake("/live", port, key));
      await expect.poll(() => heard().slice(0, 12), patient).toBe(`HTTP/1.1 ${status}`);
    }
  });

  test("during which the server closes is refused, and holds up nothing", async () => {
    let isAsked = false;
    const server = await served({
      authenticate: () => {
        isAsked = true;
        return new Promise(() => undefined);
      },
      policy: () => true,
    });
    const { heard } = raw(server.port, handshake("/live", server.port, key));
    await vi.waitUntil(() => isAsked, patient);
    const startedAt = performance.now();
    await server.close();
    expect(performance.now() - startedAt).toBeLessThan(5_000);
    await vi.waitUntil(() => heard().startsWith("HTTP/1.1 503"), patient);
  });

  test("of a server that closed while it was found out who asks is not let in", async () => {
    let answer: () => void = () => undefined;
    const answered = new Promise<void>((resolve) => (answer = resolve));
    const server = await served({ authenticate: (request) => answered.then(() => authenticate(request)), policy: () => true });
    const watcher = new Watcher(server.url, { headers: { authorization: "Bearer ada" } });
    watchers.push(watcher);
    await new Promise((resolve) => setTimeout(resolve, 200));
    const closing = server.close();
    answer();
    await closing;
    await watcher.end();
    expect(watcher.socket.protocol).toBe("");
  });

  test("for HTTP/2, as some clients offer with every request, is answered as a request", async () => {
    const { port } = await served();
    const offer = "connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n";
    const { heard } = raw(port, `GET /healthz HTTP/1.1\r\nhost: localhost:${port}\r\n${offer}\r\n`);
    await expect.poll(heard, patient).toMatch(/^HTTP\/1\.1 200/);
  });
});

describe("server-sent events", () => {
  const address = (url: string, ...watches: object[]): string =>
    `${url}/live?${watches.map((watch) => `watch=${encodeURIComponent(JSON.stringify(watch))}`).join("&")}`;
  const accept = "text/event-stream";

  test("that are asked for by HEAD, or left before they begin, hold no connection", async () => {
    const { url } = await served({
      authenticate: async (request) => {
        await new Promise((resolve) => setTimeout(resolve, 100));
        return authenticate(request) ?? { subject: "eve", claims: {}, scopes: new Set<string>() };
      },
      policy: () => true,
    });
    const at = address(url, { id: 1, view: "order-summary", key: "a" });
    const head = await fetch(at, { method: "HEAD", headers: { accept } });
    expect([head.status, head.headers.get("content-type")]).toEqual([200, accept]);
    expect(await connections(url)).toBe(0);
    await expect(fetch(at, { headers: { accept }, signal: AbortSignal.timeout(20) })).rejects.toThrow();
    await new Promise((resolve) => setTimeout(resolve, 300));
    await vi.waitUntil(async () => (await connections(url)) === 0, patient);
  });

  test("resume by an id that fits into a header, however large the pages are", async () => {
    const { url } = await served();
    for (let count = 0; count < 300; count++) await place(`order-${count}`);
    await vi.waitUntil(() => shop.summaryReader.position >= 300, patient);
    const at = address(url, ...[1, 2, 3, 4, 5, 6].map((id) => ({ id, view: "order-summary", limit: 290 + id })));
    let told = "";
    const first = await fetch(at, { headers: { accept } });
    for await (const chunk of first.body as unknown as AsyncIterable<Uint8Array>) {
      told += Buffer.from(chunk).toString();
      if (told.endsWith("\n\n") && told.split('"keys"').length === 7) break;
    }
    const id = [...told.matchAll(/^id: (.*)$/gm)].at(-1)?.[1] as string;
    const second = await fetch(at, { headers: { accept, "last-event-id": id } });
    expect(second.status).toBe(200);
    let again = "";
    for await (const chunk of second.body as unknown as AsyncIterable<Uint8Array>) {
      again += Buffer.from(chunk).toString();
      if (again.endsWith("\n\n") && again.split('"keys"').length === 7) break;
    }
    expect(again.split('"resumed":true')).toHaveLength(7);
  });
});

test("who asks and never reads is not read either, and holds nothing here", { timeout: 60_000 }, async () => {
  const { port } = await served();
  const { socket, heard } = raw(port, handshake("/live", port, key));
  await vi.waitUntil(() => heard().includes("101"), patient);
  socket.pause();
  const ping = Buffer.from('{"ping":123456789}');
  const frame = Buffer.concat([Buffer.from([0x81, 0x80 | ping.length]), Buffer.alloc(4), ping]);
  const many = Buffer.concat(Array.from({ length: 2_000 }, () => frame));
  for (let round = 0; round < 500; round++) {
    socket.write(many);
    await new Promise((resolve) => setImmediate(resolve));
  }
  // A million pings are 24 MB: what both kernels do not hold is still at the sender.
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  expect(socket.writableLength).toBeGreaterThan(14_000_000);
  const before = heard().length;
  socket.resume();
  await vi.waitUntil(() => heard().length > before + 1_000_000, { timeout: 20_000 });
});

describe("a policy", () => {
  test("that fails over a value ends the watch of that caller, and nobody else's", async () => {
    expected = 2;
    const policy: Policy = ({ kind, caller }: Asked) => {
      if (kind !== "view" || caller.subject !== "eve") return true;
      const visible = (value: unknown): boolean => {
        if ((value as { total: number }).total > 600) throw new TypeError("a policy that is wrong");
        return true;
      };
      return { allow: true, visible };
    };
    const { url } = await served({ authenticate, policy });
    await place("o-1");
    const [ada, eve] = [await connected(url, "ada"), await connected(url, "eve")];
    for (const watcher of [ada, eve]) {
      watcher.watch({ view: "order-summary", key: "o-1" });
      await watcher.until((heard) => total(heard) === 600);
    }
    await amend("o-1", 9);
    await ada.until((heard) => total(heard) === 2700);
    await eve.until(({ error }) => error?.status === 500);
    eve.watch({ id: 2, view: "order-summary", key: "o-1" });
    await eve.until(({ id, error }) => id === 2 && error?.status === 500);
    await amend("o-1", 10);
    await ada.until((heard) => total(heard) === 3000);
    expect(ada.heard.some(({ error }) => error)).toBe(false);
    expect(eve.of(2)).toHaveLength(2);
  });

  test("hides a document and an entity so that they cannot be told from what is not there, by no member and no cursor", async () => {
    const policy: Policy = ({ kind }: Asked) => (kind === "view" || kind === "entity" ? { allow: true, visible: () => false } : true);
    const { url } = await served({ authenticate, policy });
    await place("there");
    const ada = await connected(url, "ada");
    const subjects = ["there", "nowhere"].flatMap((id) => [
      { view: "order-summary", key: id },
      { entity: "order", key: id },
    ]);
    for (const [index, subject] of subjects.entries()) ada.watch({ id: index + 1, ...subject });
    await vi.waitUntil(() => [1, 2, 3, 4].every((id) => ada.values(id).length === 1), patient);
    await amend("there", 5);
    await cancel("there");
    await vi.waitUntil(() => [1, 2, 3, 4].every((id) => ada.of(id).at(-1)?.asOf === 3), patient);
    const seen = (id: number) =>
      ada.of(id).map((heard) => ({ ...heard, id: 0, behind: 0, cursor: heard.cursor?.split(".").slice(1) ?? [] }));
    const valuesOf = (id: number) => seen(id).filter((heard) => "value" in heard);
    expect(valuesOf(1)).toEqual(valuesOf(3));
    expect(valuesOf(2)).toEqual(valuesOf(4));
    expect(new Set(seen(1).flatMap(({ cursor }) => cursor.slice(3)))).toEqual(new Set(seen(3).flatMap(({ cursor }) => cursor.slice(3))));
  });

  test("hides a saga in the words in which one is not there, and is shown what it is shown over HTTP", async () => {
    const travel = await Travel.open();
    const shown: unknown[] = [];
    const policy: Policy = ({ kind }: Asked) => {
      if (kind !== "saga-read") return true;
      return { allow: true, visible: (state) => (shown.push(state), false) };
    };
    const server = await serve({ services: [travel.running], port: 0, authenticate, policy });
    try {
      await travel.post("/sagas/approval/a-1", { amount: 3 });
      const watcher = await connected(server.url, "ada");
      watcher.watch({ id: 1, saga: "approval", key: "a-1" });
      watcher.watch({ id: 2, saga: "approval", key: "a-2" });
      await vi.waitUntil(() => [1, 2].every((id) => watcher.of(id).some(({ error }) => error)), patient);
      const problemOf = (id: number): string => JSON.stringify(watcher.of(id)).replaceAll(`"id":${id}`, "").replaceAll(`a-${id}`, "a");
      expect(problemOf(1)).toBe(problemOf(2));
      await fetch(`${server.url}/sagas/approval/a-1`, { headers: { authorization: "Bearer ada" } });
      expect(Object.keys(shown[0] as object)).toEqual(Object.keys(shown.at(-1) as object));
    } finally {
      await server.close();
      await travel.running.stop();
    }
  });
});

describe("several gateways", () => {
  test("tell nobody what is older than what another one told", { timeout: 60_000 }, async () => {
    const [one, two] = [await served(), await served()];
    await place("o-1");
    const [first, second] = [await connected(one.url), await connected(two.url)];
    for (const watcher of [first, second]) {
      watcher.watch({ id: 0, view: "order-summary", key: "o-1" });
      await watcher.until((heard) => total(heard) === 600);
    }
    for (let quantity = 3; quantity <= 150; quantity++) {
      await amend("o-1", quantity);
      const { cursor } = await first.until((heard) => total(heard) === quantity * 300);
      second.watch({ id: quantity, view: "order-summary", key: "o-1", from: cursor });
      await vi.waitUntil(() => second.of(quantity).some(({ asOf }) => asOf !== undefined), { timeout: 5_000, interval: 1 });
      expect(second.of(quantity).map(({ reset, value }) => reset ?? value)).not.toContain("history");
      expect(second.values(quantity)).toEqual([]);
      second.ask({ unwatch: quantity });
    }
  });

  // Deterministic: the numbers of a linear congruential generator.
  test("tell a page by its changes, through cuts and resumes at either of them, exactly as it is", { timeout: 60_000 }, async () => {
    let seed = 7;
    const random = (below: number): number => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
      return Math.floor((seed / 2_147_483_648) * below);
    };
    const urls = [(await served()).url, (await served()).url];
    const target = { view: "order-summary", where: { customer: "ada" }, orderBy: "total", order: "desc", limit: 5 };
    const page = new Map<string, unknown>();
    let keys: readonly string[] = [];
    let at = { asOf: -1, cursor: undefined as string | undefined };
    let taken = 0;
    let watcher = await connected(urls[0] as string);
    watcher.watch(target);
    const take = (): void => {
      for (const heard of watcher.heard.slice(taken)) {
        taken++;
        if (heard["reset"] !== undefined) {
          expect(at.cursor).toBeUndefined();
          page.clear();
        }
        if (heard.asOf === undefined) continue;
        expect(heard.asOf).toBeGreaterThanOrEqual(at.asOf);
        at = { asOf: heard.asOf, cursor: heard.cursor };
        for (const { key: name, value } of (heard["changed"] ?? []) as Array<{ key: string; value: unknown }>) page.set(name, value);
        for (const name of (heard["gone"] ?? []) as string[]) page.delete(name);
        keys = (heard["keys"] as readonly string[] | undefined) ?? keys;
        for (const name of [...page.keys()]) if (!keys.includes(name)) page.delete(name);
      }
    };
    const placed = new Set<string>();
    let position = 0;
    for (let step = 0; step < 150; step++) {
      const id = `o-${random(9)}`;
      // Few quantities, so that values come back to what they were.
      const answer = placed.has(id) ? await amend(id, 1 + random(4)) : await place(id, 1 + random(4));
      placed.add(id);
      position = answer.body.events[0]?.position ?? position;
      if (random(4) > 0) continue;
      take();
      if (random(2) === 0) {
        watcher.cut();
        watcher = await connected(urls[random(2)] as string);
        taken = 0;
        watcher.watch({ ...target, ...(at.cursor === undefined ? {} : { from: at.cursor }) });
      }
      if (random(2) === 0) continue;
      await vi.waitUntil(() => (take(), at.asOf >= position), patient);
      const { body } = await send(shop.gateway, "GET", "/views/order-summary?customer=ada&orderBy=total&order=desc&limit=5");
      expect(keys.map((name) => ({ key: name, value: page.get(name) }))).toEqual(body.value);
    }
  });
});
