// What routes are told while the log is looked at: the test decides what is there, and when and how a question is answered.
import { expect, test } from "vitest";
import { nodeHost } from "../host-node/host.ts";
import type { Host } from "../host/host.ts";
import { position, type Position } from "../position/position.ts";
import type { StoredEvent } from "./event.ts";
import { Followers, type Followed, type Route } from "./followers.ts";

class ScriptedLog implements Followed {
  readonly #polls = new Set<() => void>();
  readonly host: Host = {
    ...nodeHost(),
    timers: {
      ...nodeHost().timers,
      after: (_, run) => {
        this.#polls.add(run);
        return { cancel: () => void this.#polls.delete(run) };
      },
    },
  };
  readonly events: StoredEvent[] = [];
  /** Awaited before and after each question is answered. */
  answers: () => Promise<void> = async () => undefined;
  /** Events of one page at most, as where what is remembered ends before what is stored. */
  pageMax = Number.MAX_SAFE_INTEGER;

  async head(): Promise<{ position: Position; at: number }> {
    await this.answers();
    const head = { position: position(this.events.length), at: 0 };
    await this.answers();
    return head;
  }

  async read({ after, limit }: { after: Position; limit: number }): ReturnType<Followed["read"]> {
    await this.answers();
    const head = { position: position(this.events.length), at: 0 };
    const events = this.events.slice(after, after + Math.min(limit, this.pageMax));
    await this.answers();
    return { events, scanned: position(after + events.length), head };
  }

  commit(...types: readonly string[]): StoredEvent[] {
    const first = this.events.length;
    for (const type of types) this.events.push(eventAt(this.events.length + 1, type));
    return this.events.slice(first);
  }

  /** The time of a poll has come. */
  poll(): void {
    for (const run of [...this.#polls]) {
      this.#polls.delete(run);
      run();
    }
  }

  settled(): Promise<void> {
    return this.host.timers.sleep(1);
  }
}

function eventAt(at: number, type: string): StoredEvent {
  return { position: position(at), id: `e${at}`, stream: "order/o-1", version: at, type, at: 0, data: "{}", metadata: "{}", digest: "" };
}

test("a reader that goes back behind events that were not looked at finds its way by reading, whatever it was told after them", async () => {
  const log = new ScriptedLog();
  const followers = new Followers(log);
  const route = followers.follow({ types: ["paid"] }, () => undefined);
  followers.published(log.commit("paid"));
  log.commit(...Array.from({ length: 5000 }, (_, index) => (index % 10 === 0 ? "paid" : "placed")));
  followers.committed("others");
  await log.settled();
  followers.published(log.commit("placed", "paid"));
  expect(route.quiet(position(5001))).toBe(5002);
  expect(route.quiet(position(1))).toBe(1);
  expect(route.quiet(position(2000))).toBe(2000);
  followers.close();
});

test("what this process commits wakes at once, also while a question about what others committed is not answered", async () => {
  const log = new ScriptedLog();
  const followers = new Followers(log);
  let woken = 0;
  const route = followers.follow({ types: ["paid"] }, () => woken++);
  let answer: () => void = () => undefined;
  log.answers = () => new Promise((resolve) => (answer = resolve));
  followers.committed("others");
  followers.published(log.commit("placed", "paid"));
  expect(woken).toBe(1);
  expect(route.quiet(position(0))).toBe(1);
  log.commit("paid");
  log.answers = async () => undefined;
  answer();
  await log.settled();
  expect(woken).toBe(2);
  expect([2, 3].map((after) => route.quiet(position(after)))).toEqual([2, 3]);
  followers.close();
});

test("a look goes on to the head that it has seen, although a page ends before it", async () => {
  const log = new ScriptedLog();
  const followers = new Followers(log);
  let woken = 0;
  const route = followers.follow({ types: ["paid"] }, () => woken++);
  log.pageMax = 2;
  log.commit("placed", "placed", "placed", "placed", "paid", "placed");
  followers.committed("others");
  await log.settled();
  expect(woken).toBe(1);
  expect([0, 5].map((after) => route.quiet(position(after)))).toEqual([4, 6]);
  followers.close();
});

/** Numbers from 0 (included) to `below` (excluded), the same for the same seed. */
function drawing(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const types = ["a", "b", "c", "d", "e"];

/** A reader that believes its route, sleeps until it is woken, and now and then goes back. */
class Believer {
  readonly #log: ScriptedLog;
  readonly #wanted: ReadonlySet<string>;
  readonly #route: Route;
  cursor: number;
  awake = true;

  constructor(log: ScriptedLog, followers: Followers, wanted: readonly string[]) {
    this.#log = log;
    this.#wanted = new Set(wanted);
    const isOther = (type: string): boolean => type === wanted[0];
    this.#route = followers.follow({ types: wanted.slice(1), others: isOther }, () => (this.awake = true));
    this.cursor = log.events.length;
  }

  /** What it wants between its place and where it is told that it may go. */
  passedOver(): readonly StoredEvent[] {
    const told = this.#route.quiet(position(this.cursor));
    const passed = this.#log.events.slice(this.cursor, told).filter((event) => this.#wanted.has(event.type));
    if (told > this.#log.events.length) throw new Error(`quiet up to ${told}, past the head`);
    this.cursor = told;
    return passed;
  }

  /** One page; answers nothing of it, because what it reads it applies. */
  read(limit: number): void {
    this.cursor = Math.min(this.#log.events.length, this.cursor + limit);
  }

  /** Whether something that it wants lies before it. */
  get lacks(): boolean {
    return this.#log.events.slice(this.cursor).some((event) => this.#wanted.has(event.type));
  }

  stop(): void {
    this.#route.stop();
  }
}

test.each(Array.from({ length: 12 }, (_, seed) => seed))(
  "whatever happens while it is looked, nothing wanted is called quiet: seed %i",
  async (seed) => {
    const draw = drawing(seed);
    const log = new ScriptedLog();
    const followers = new Followers(log);
    const believers: Believer[] = [];
    let failing = true;
    log.pageMax = seed % 3 === 0 ? 7 : Number.MAX_SAFE_INTEGER;
    log.answers = async () => {
      for (let turns = draw(4); turns > 0; turns--) await log.host.timers.turn();
      if (failing && draw(15) === 0) throw new Error("the store is away");
    };
    const unpublished: StoredEvent[][] = [];
    const batch = (): string[] =>
      Array.from({ length: draw(300) === 0 ? 5000 : 1 + draw(draw(20) === 0 ? 600 : 4) }, () => types[draw(5)] as string);
    const acts = [
      () => unpublished.push(log.commit(...batch())),
      () => followers.published(unpublished.splice(draw(10) === 0 ? draw(unpublished.length) : 0, 1)[0] ?? []),
      () => (log.commit(...batch()), draw(2) === 0 && followers.committed("others")), // or the hint is lost
      () => followers.committed("others"),
      () => draw(3) === 0 && log.poll(),
      () => believers.length < 10 && believers.push(new Believer(log, followers, types.slice(draw(4)))),
      () => draw(3) === 0 && believers.splice(draw(10), 1)[0]?.stop(),
      () => believers[draw(10)]?.read(1 + draw(128)),
      () => believers[draw(10)]?.read(1 + draw(128)),
      () => {
        const back = draw(4) === 0 ? believers[draw(10)] : undefined;
        if (back) [back.cursor, back.awake] = [draw(back.cursor + 1), true];
      },
    ];
    for (let step = 0; step < 3000; step++) {
      acts[draw(acts.length)]?.();
      if (draw(8) === 0) await log.host.timers.turn();
      const asked = believers[draw(10)];
      if (asked) expect(asked.passedOver()).toEqual([]);
    }
    failing = false;
    for (const believer of believers) [believer.cursor, believer.awake] = [Math.max(0, log.events.length - 1000), false];
    log.commit("a", "b", "c", "d", "e");
    log.poll();
    for (let turn = 0; turn < 20_000 && believers.some(({ awake }) => !awake); turn++) await log.host.timers.turn();
    for (const believer of believers) {
      expect(believer.awake).toBe(true);
      while (believer.lacks) {
        expect(believer.passedOver()).toEqual([]);
        believer.read(100);
      }
      believer.read(1);
      expect([believer.passedOver(), believer.cursor]).toEqual([[], log.events.length]);
    }
    followers.close();
  },
);
