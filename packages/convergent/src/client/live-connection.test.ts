// The one connection of a client, in virtual time over scripted sockets: when it is opened again, and when watches are told to go another way.
import { expect, test } from "vitest";
import type { SocketListener } from "../host/host.ts";
import { closeCodes } from "../protocol/live.ts";
import { LiveConnection, type WatchListener } from "./live-connection.ts";
import type { ClientHost } from "./transport.ts";

interface Opened {
  readonly listener: SocketListener;
}

class World {
  now = 0;
  readonly sockets: Opened[] = [];
  headers: () => Promise<Readonly<Record<string, string>>> = async () => ({});
  answersPings = true;
  readonly connection: LiveConnection;
  readonly #timers = new Set<{ readonly at: number; readonly run: () => void }>();

  constructor(opening: (opened: Opened) => void = () => undefined) {
    const host = {
      clock: { now: () => this.now, elapsed: () => this.now },
      random: { fraction: () => 0.5, id: () => "id" },
      timers: {
        after: (ms: number, run: () => void) => {
          const timer = { at: this.now + ms, run };
          this.#timers.add(timer);
          return { cancel: () => this.#timers.delete(timer) };
        },
      },
      network: {
        socket: (_url: string, _protocols: readonly string[], listener: SocketListener) => {
          const opened: Opened = { listener };
          this.sockets.push(opened);
          opening(opened);
          const send = (text: string): void => void (this.answersPings && text.includes("ping") && listener.heard('{"pong":1}'));
          return { send, close: () => listener.closed(1000) };
        },
      },
    } as unknown as ClientHost;
    this.connection = new LiveConnection({ host, url: "http://gateway/live", headers: () => this.headers(), spared: [] });
  }

  get timers(): number {
    return this.#timers.size;
  }

  /** Lets so much time pass, timer by timer. */
  async pass(ms: number): Promise<void> {
    const until = this.now + ms;
    for (;;) {
      for (let turn = 0; turn < 5; turn++) await Promise.resolve();
      const [next] = [...this.#timers].filter(({ at }) => at <= until).sort((one, other) => one.at - other.at);
      if (!next) break;
      this.#timers.delete(next);
      this.now = Math.max(this.now, next.at);
      next.run();
    }
    this.now = until;
  }
}

const listener = (told: unknown[] = []): WatchListener => ({
  terms: () => ({ view: "v", key: "k" }),
  told: (message) => told.push(message),
});
const reset = '{"id":1,"reset":"start"}';

test("a connection that is opened and let go of without a word is tried twice, and then ever more rarely", async () => {
  const world = new World(({ listener: heard }) => void Promise.resolve().then(() => (heard.opened(), heard.closed(1006))));
  world.connection.watch(listener());
  await world.pass(1_000);
  expect([world.sockets.length, world.connection.isBlocked]).toEqual([2, true]);
  await world.pass(600_000);
  expect(world.sockets.length).toBeLessThan(25);
});

test("a connection over which something was heard is opened again at once when it breaks", async () => {
  const world = new World(({ listener: heard }) => void Promise.resolve().then(() => (heard.opened(), heard.heard(reset))));
  world.connection.watch(listener());
  await world.pass(10);
  for (let round = 1; round <= 5; round++) {
    world.sockets.at(-1)?.listener.closed(1006);
    expect(world.connection.isBlocked).toBe(false);
    await world.pass(1_000);
    expect(world.sockets).toHaveLength(round + 1);
  }
});

test("who asks for too much comes back ever more rarely, until a connection has lasted", async () => {
  let isTooMuch = true;
  const world = new World(
    ({ listener: heard }) =>
      void Promise.resolve().then(() => {
        heard.opened();
        heard.heard(reset);
        if (isTooMuch) heard.closed(closeCodes.tooMany);
      }),
  );
  world.connection.watch(listener());
  await world.pass(300_000);
  const tries = world.sockets.length;
  expect(tries).toBeLessThan(15);
  expect(world.connection.isBlocked).toBe(true);
  isTooMuch = false;
  await world.pass(120_000);
  expect([world.sockets.length, world.connection.isBlocked]).toEqual([tries + 1, false]);
});

test("a platform that refuses to open a socket leaves the watches to polling", async () => {
  const world = new World(() => {
    throw new Error("mixed content");
  });
  let changes = 0;
  world.connection.onChange(() => changes++);
  world.connection.watch(listener());
  await world.pass(10);
  expect([world.connection.isBlocked, changes]).toEqual([true, 1]);
});

test("credentials that cannot be had leave the watches to polling, which tells why", async () => {
  const world = new World();
  world.headers = () => Promise.reject(new Error("no session"));
  world.connection.watch(listener());
  await world.pass(10);
  expect([world.connection.isBlocked, world.sockets.length]).toEqual([true, 0]);
});

test("what an older connection says late is not heard, and a watch that was asked anew hears nothing of its old id", async () => {
  const world = new World(({ listener: heard }) => void Promise.resolve().then(() => heard.opened()));
  const told: unknown[] = [];
  const watch = world.connection.watch(listener(told));
  await world.pass(10);
  const [first] = world.sockets;
  first?.listener.heard(reset);
  watch.again();
  first?.listener.heard(reset);
  expect(told).toHaveLength(1);
  first?.listener.closed(1006);
  await world.pass(1_000);
  first?.listener.heard('{"id":2,"reset":"start"}');
  expect(told).toHaveLength(1);
  world.sockets[1]?.listener.heard('{"id":2,"reset":"start"}');
  expect(told).toHaveLength(2);
});

test("a connection that has gone silent is asked once nothing was heard for thirty seconds, and given up ten seconds later", async () => {
  const world = new World(({ listener: heard }) => void Promise.resolve().then(() => (heard.opened(), heard.heard(reset))));
  world.answersPings = false;
  world.connection.watch(listener());
  await world.pass(20_000);
  world.sockets[0]?.listener.heard(reset);
  await world.pass(39_000);
  expect(world.sockets).toHaveLength(1);
  await world.pass(1_500);
  expect(world.sockets).toHaveLength(2);
});

test("a thousand watches that came and went leave one socket closed, and nothing else", async () => {
  const world = new World(({ listener: heard }) => void Promise.resolve().then(() => (heard.opened(), heard.heard(reset))));
  for (let count = 0; count < 1_000; count++) {
    const watch = world.connection.watch(listener());
    if (count % 100 === 0) await world.pass(10);
    watch.leave();
    watch.leave();
    watch.again();
  }
  await world.pass(5_000);
  expect([world.sockets.length, world.timers]).toEqual([1, 0]);
});
