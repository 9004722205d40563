// HTTP contract: what is watched over `/live` is told at once, goes on where it was, and never goes back.
import { serve, type Serving } from "@convergent/server";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { send, type Shop, startShop } from "./order-service.ts";
import { type Heard, Watcher } from "./live-wire.ts";
import { Travel, trip } from "./saga-service.ts";

let shop: Shop;
let server: Serving;
const watchers: Watcher[] = [];

beforeEach(async () => {
  shop = await startShop();
  server = await serve({ services: shop.services, port: 0, onError: (error) => shop.errors.push(error) });
});

afterEach(async () => {
  for (const watcher of watchers.splice(0)) watcher.cut();
  await server.close();
  await shop.stop();
  if (shop.errors.length > 0) throw new AggregateError(shop.errors, "the server failed unexpectedly");
});

async function connected(options: ConstructorParameters<typeof Watcher>[1] = {}): Promise<Watcher> {
  const watcher = await Watcher.open(server.url, options);
  watchers.push(watcher);
  return watcher;
}

const place = (id: string, quantity = 2) =>
  send(shop.gateway, "POST", `/entities/order/${id}/place`, {
    body: { customer: "ada", lines: [{ product: "tea", quantity, price: 300 }] },
  });
const amend = (id: string, quantity: number) =>
  send(shop.gateway, "POST", `/entities/order/${id}/amend`, { body: { lines: [{ product: "tea", quantity, price: 300 }] } });
const cancel = (id: string) => send(shop.gateway, "POST", `/entities/order/${id}/cancel`, { body: { reason: "why not" } });
const total = (heard: Heard): number | undefined => (heard.value as { total?: number } | null | undefined)?.total;

describe("a document", () => {
  test("begins anew with what there is, and every change follows", async () => {
    const watcher = await connected();
    watcher.watch({ view: "order-summary", key: "o-1" });
    const first = await watcher.until(({ value }) => value === null);
    expect(watcher.heard[0]).toEqual({ id: 1, reset: "start" });
    expect(first).toMatchObject({ id: 1, value: null, asOf: 0, fresh: true, behind: { positions: 0, ms: 0 } });
    const { body } = await place("o-1");
    const placed = await watcher.until((heard) => total(heard) === 600);
    expect(placed).toMatchObject({ asOf: body.events[0]?.position, fresh: true });
    expect(placed.token).toBe(body.token);
    await amend("o-1", 5);
    await watcher.until((heard) => total(heard) === 1500);
    await cancel("o-1");
    await vi.waitUntil(() => watcher.values().length === 4 && watcher.values()[3] === null);
  });

  test("whose value stays as it is tells how far it is by now", async () => {
    const watcher = await connected();
    watcher.watch({ view: "order-summary", key: "o-1" });
    await watcher.until(({ value }) => value === null);
    const { body } = await place("o-2");
    const progress = await watcher.until(({ asOf }) => asOf === body.events[0]?.position);
    expect(Object.keys(progress).sort()).toEqual(["asOf", "behind", "cursor", "fresh", "id", "token"]);
    expect(progress.token).toBe(body.token);
    expect(watcher.values()).toEqual([null]);
  });

  test("that lacks what a token names is not fresh, and becomes it", async () => {
    shop.summaryReader.pause();
    await vi.waitUntil(async () => (await shop.summaryReader.status()).state === "paused", { timeout: 10_000 });
    const { body } = await place("o-1");
    const watcher = await connected();
    watcher.watch({ view: "order-summary", key: "o-1", after: body.token });
    const stale = await watcher.until(({ value }) => value === null);
    expect(stale.fresh).toBe(false);
    shop.summaryReader.resume();
    expect(await watcher.until((heard) => total(heard) === 600)).toMatchObject({ fresh: true });
    // Effects of another service's write are waited for, too.
    const other = await connected();
    other.watch({ view: "availability", key: "tea", after: body.token });
    await other.until(({ fresh, value }) => fresh === true && (value as { reserved: number }).reserved === 2);
  });

  test("goes on behind a cursor: nothing is sent again, and what was missed is", async () => {
    await place("o-1");
    const first = await connected();
    first.watch({ view: "order-summary", key: "o-1" });
    const { cursor } = await first.until((heard) => total(heard) === 600);
    first.cut();
    const second = await connected();
    second.watch({ view: "order-summary", key: "o-1", from: cursor });
    await second.until(({ resumed }) => resumed === true);
    await second.until(({ fresh }) => fresh === true);
    expect(second.values()).toEqual([]);
    second.cut();
    await amend("o-1", 7);
    await amend("o-1", 8);
    const third = await connected();
    third.watch({ view: "order-summary", key: "o-1", from: cursor });
    await third.until((heard) => total(heard) === 2400);
    expect(third.heard[0]).toEqual({ id: 1, resumed: true });
    expect(third.values()).toHaveLength(1);
  });

  test("is told anew, with the reason, by a cursor of something else or of nothing", async () => {
    await place("o-1");
    const watcher = await connected();
    watcher.watch({ view: "order-summary", key: "o-1" });
    const { cursor = "" } = await watcher.until((heard) => total(heard) === 600);
    const [target, epoch, version, position, tag] = cursor.split(".");
    const cases = [
      ["cursor", "no cursor"],
      ["target", `xxxxxxxx.${epoch}.${version}.${position}.${tag}`],
      ["version", `${target}.${epoch}.9.${position}.${tag}`],
      ["history", `${target}.elsewhere.${version}.${position}.${tag}`],
    ];
    for (const [index, [reason, from]] of cases.entries()) {
      watcher.watch({ id: 10 + index, view: "order-summary", key: "o-1", from });
      await vi.waitUntil(() => watcher.of(10 + index).length >= 2, { timeout: 10_000 });
      expect(watcher.of(10 + index)[0]).toEqual({ id: 10 + index, reset: reason });
      expect(total(watcher.of(10 + index)[1] as Heard)).toBe(600);
    }
    // A cursor past the head of this history can only be of another one.
    watcher.watch({ id: 20, view: "order-summary", key: "o-1", from: `${target}.${epoch}.${version}.999.${tag}` });
    await vi.waitUntil(() => watcher.values(20).length === 1, { timeout: 10_000 });
    expect(watcher.of(20).slice(0, 2)).toEqual([
      { id: 20, resumed: true },
      { id: 20, reset: "history" },
    ]);
  });

  test("is told to many watchers of one and of several connections, each under its own id, until they unwatch", async () => {
    const some = [await connected(), await connected()];
    for (const watcher of some) {
      watcher.watch({ id: 1, view: "order-summary", key: "o-1" });
      watcher.watch({ id: 7, view: "order-summary", key: "o-1" });
    }
    for (const watcher of some) await vi.waitUntil(() => watcher.values(1).length === 1 && watcher.values(7).length === 1);
    some[0]?.ask({ unwatch: 7 });
    await vi.waitUntil(async () => /convergent_live_watches 3\n/.test(await (await fetch(`${server.url}/metrics`)).text()), {
      timeout: 10_000,
    });
    await place("o-1");
    await vi.waitUntil(() => some.every((watcher) => watcher.values(1).length === 2) && some[1]?.values(7).length === 2);
    expect(some[0]?.values(7)).toEqual([null]);
  });
});

describe("a query", () => {
  const keysOf = (heard: Heard): unknown => heard["keys"];

  test("tells its page, then what changed of it, what is gone, and another order", async () => {
    for (const [index, id] of ["a", "b", "c"].entries()) await place(id, index + 1);
    await runningAt(3);
    const watcher = await connected();
    watcher.watch({ view: "order-summary", where: { customer: "ada" }, orderBy: "total" });
    const page = await watcher.until((heard) => (keysOf(heard) as unknown[] | undefined)?.length === 3);
    expect(keysOf(page)).toEqual(["a", "b", "c"]);
    expect((page["changed"] as Array<{ key: string }>).map(({ key }) => key)).toEqual(["a", "b", "c"]);
    await amend("a", 9);
    const moved = await watcher.until((heard) => (keysOf(heard) as string[] | undefined)?.[2] === "a");
    expect(moved["changed"]).toMatchObject([{ key: "a", value: { total: 2700 } }]);
    await cancel("b");
    const left = await watcher.until((heard) => heard["gone"] !== undefined);
    expect([left["gone"], left["changed"], keysOf(left)]).toEqual([["b"], [], ["c", "a"]]);
  });

  test("goes on behind a cursor with the present keys and only what changed", async () => {
    for (const id of ["a", "b", "c"]) await place(id);
    await runningAt(3);
    const first = await connected();
    first.watch({ view: "order-summary", where: { customer: "ada" }, limit: 2, orderBy: "order" });
    const { cursor } = await first.until((heard) => keysOf(heard) !== undefined);
    first.cut();
    await amend("b", 4);
    await cancel("a");
    await runningAt(5);
    const second = await connected();
    second.watch({ view: "order-summary", where: { customer: "ada" }, limit: 2, orderBy: "order", from: cursor });
    // What its subject knew when the line was cut may be told first.
    const page = await second.until((heard) => (keysOf(heard) as string[] | undefined)?.[0] === "b");
    expect(second.heard[0]).toEqual({ id: 1, resumed: true });
    expect([keysOf(page), (page["changed"] as Array<{ key: string }>).map(({ key }) => key)]).toEqual([
      ["b", "c"],
      ["b", "c"],
    ]);
    second.watch({ id: 2, view: "order-summary", where: { customer: "ada" }, limit: 2, orderBy: "order", from: page.cursor });
    await vi.waitUntil(() => second.of(2).length === 2, { timeout: 10_000 });
    expect(second.of(2)[1]).toMatchObject({ changed: [], keys: ["b", "c"] });
  });

  test("by what is no index, of a view or an order that are not there, is refused under its id alone", async () => {
    const watcher = await connected();
    watcher.watch({ id: 1, view: "order-summary", where: { colour: "red" } });
    watcher.watch({ id: 2, view: "nothing", key: "x" });
    watcher.watch({ id: 3, view: "order-summary", where: { customer: { near: 1 } } });
    watcher.watch({ id: 4, view: "order-summary", key: "o-1" });
    await vi.waitUntil(() => watcher.values(4).length === 1 && [1, 2, 3].every((id) => watcher.of(id).some(({ error }) => error)));
    expect([1, 2, 3].map((id) => watcher.of(id).at(-1)?.error?.code)).toEqual(["index_not_declared", "not_found", "invalid_input"]);
    expect(watcher.of(2)[0]?.error?.known).toEqual(["order-summary", "availability"]);
    expect(watcher.closed).toBeUndefined();
  });
});

describe("an entity", () => {
  test("is told as it becomes, with its version and what is pending", async () => {
    const watcher = await connected();
    watcher.watch({ entity: "order", key: "o-1" });
    expect(await watcher.until(({ value }) => value === null)).toMatchObject({ version: 0, fresh: true });
    await place("o-1");
    const placed = await watcher.until(({ version }) => version === 1);
    expect(placed).toMatchObject({ value: { status: "placed", total: 600 }, pending: ["returnCode"] });
    await place("o-2");
    await amend("o-1", 3);
    await watcher.until(({ version }) => version === 2);
    expect(watcher.values()).toHaveLength(3);
    const again = await connected();
    again.watch({ entity: "order", key: "o-1", from: watcher.of(1).findLast(({ cursor }) => cursor)?.cursor });
    await again.until(({ fresh }) => fresh === true);
    expect([again.heard[0], again.values()]).toEqual([{ id: 1, resumed: true }, []]);
  });
});

describe("a saga", () => {
  test("shows each stage in order, and goes on behind a cursor", async () => {
    const travel = await Travel.open();
    const served = await serve({ services: [travel.running], port: 0 });
    try {
      await travel.post("/sagas/approval/a-1", { amount: 3 });
      const watcher = await Watcher.open(served.url);
      watcher.watch({ saga: "approval", key: "a-1" });
      await watcher.until(({ value }) => (value as { steps?: Array<{ name: string }> } | undefined)?.steps?.at(-1)?.name === "decided");
      const { cursor } = watcher.heard.at(-1) as Heard;
      watcher.cut();
      const again = await Watcher.open(served.url);
      again.watch({ saga: "approval", key: "a-1", from: cursor });
      await again.until(({ resumed }) => resumed === true);
      await travel.post("/sagas/approval/a-1/cancel", { reason: "enough" });
      const end = await again.until(({ value }) => (value as { status?: string } | undefined)?.status === "compensated");
      const versions = again.of(1).flatMap(({ version }) => (version === undefined ? [] : [version as number]));
      expect(versions).toEqual([...versions].sort((one, other) => one - other));
      expect(new Set(versions).size).toBe(versions.length);
      expect(end.value).toMatchObject({ id: "a-1", cancelled: "enough" });
      again.watch({ id: 2, saga: "approval", key: "nobody" });
      await vi.waitUntil(() => again.of(2).at(-1)?.error?.code === "saga_not_found", { timeout: 10_000 });
      again.cut();
      await travel.post("/sagas/book-trip/t-1", trip);
    } finally {
      await served.close();
      await travel.running.stop();
    }
  });

  test("that is parked is told on when an operator lets it go on, also to whoever joins just then", async () => {
    const travel = await Travel.open();
    const served = await serve({ services: [travel.running], port: 0 });
    try {
      travel.world.behaviour.set("car", "refuses");
      travel.world.behaviour.set("cancel hotel", "breaks");
      await travel.post("/sagas/book-trip/t-1", trip);
      await travel.ended("/sagas/book-trip/t-1");
      const statusOf = ({ value }: Heard): unknown => (value as { status?: string } | undefined)?.status;
      const first = await Watcher.open(served.url);
      first.watch({ saga: "book-trip", key: "t-1" });
      await first.until((heard) => statusOf(heard) === "parked");
      travel.world.behaviour.delete("cancel hotel");
      await travel.post("/sagas/book-trip/t-1/retry", { reason: "the desk is back" });
      const second = await Watcher.open(served.url);
      second.watch({ saga: "book-trip", key: "t-1" });
      for (const watcher of [first, second]) await watcher.until((heard) => statusOf(heard) === "compensated");
      expect(second.of(1).map(statusOf)).not.toContain("parked");
      first.cut();
      second.cut();
    } finally {
      await served.close();
      await travel.running.stop();
    }
  });
});

describe("server-sent events", () => {
  const address = (...watches: object[]): string =>
    `${server.url}/live?${watches.map((watch) => `watch=${encodeURIComponent(JSON.stringify(watch))}`).join("&")}`;

  test("tell the same, and an event's id resumes all watches of the stream", async () => {
    await place("o-1");
    const first = await stream(address({ id: 1, view: "order-summary", key: "o-1" }, { id: 2, entity: "order", key: "o-1" }));
    const events = await first.take((all) => all.filter(({ data }) => "value" in data).length === 2);
    expect(events[0]?.data).toEqual({ id: 1, reset: "start" });
    await first.end();
    await amend("o-1", 4);
    const second = await stream(address({ id: 1, view: "order-summary", key: "o-1" }, { id: 2, entity: "order", key: "o-1" }), {
      "last-event-id": events.at(-1)?.id ?? "",
    });
    const later = await second.take((all) => all.filter(({ data }) => "value" in data).length === 2);
    await second.end();
    expect(later.filter(({ data }) => "resumed" in data).map(({ data }) => data.id)).toEqual([1, 2]);
    expect(later.filter(({ data }) => "value" in data).map(({ data }) => (data.value as { total: number }).total)).toEqual([1200, 1200]);
  });

  test("want a watch, and the right Accept", async () => {
    const sse = { accept: "text/event-stream" };
    expect((await fetch(`${server.url}/live`)).status).toBe(426);
    expect((await fetch(`${server.url}/live`, { headers: sse })).status).toBe(400);
    expect((await fetch(`${server.url}/live?watch=nonsense`, { headers: sse })).status).toBe(400);
  });

  interface Told {
    readonly id: string;
    readonly data: Heard;
  }

  async function stream(url: string, headers: Record<string, string> = {}) {
    const controller = new AbortController();
    const response = await fetch(url, { headers: { accept: "text/event-stream", ...headers }, signal: controller.signal });
    expect(response.headers.get("content-type")).toBe("text/event-stream");
    const all: Told[] = [];
    const reading = (async () => {
      let rest = "";
      for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
        const blocks = (rest + Buffer.from(chunk).toString()).split("\n\n");
        rest = blocks.pop() as string;
        for (const block of blocks) {
          const [, id = ""] = /^id: (.*)$/m.exec(block) ?? [];
          const [, data] = /^data: (.*)$/m.exec(block) ?? [];
          if (data) all.push({ id, data: JSON.parse(data) as Heard });
        }
      }
    })().catch(() => undefined);
    return {
      take: async (enough: (all: readonly Told[]) => boolean): Promise<readonly Told[]> => {
        await vi.waitUntil(() => enough(all), { timeout: 10_000, interval: 5 });
        return [...all];
      },
      end: async () => {
        controller.abort();
        await reading;
      },
    };
  }
});

/** Waits until the view holds so many events. */
async function runningAt(position: number): Promise<void> {
  await vi.waitUntil(() => shop.summaryReader.position >= position, { timeout: 10_000, interval: 5 });
}
