import { expect, test } from "vitest";
import type { Host, Timer } from "../host/host.ts";
import { Nap } from "./nap.ts";

/** A clock that is moved by hand, and timers that ring when it passes them. */
class ByHand implements Pick<Host, "clock" | "timers"> {
  #now = 0;
  readonly #set = new Map<object, { readonly at: number; readonly run: () => void }>();
  timersSet = 0;
  readonly clock: Host["clock"] = { now: () => this.#now, elapsed: () => this.#now };
  readonly timers: Host["timers"] = {
    after: (ms, run): Timer => {
      const timer = { cancel: () => this.#set.delete(timer) };
      this.#set.set(timer, { at: this.#now + ms, run });
      this.timersSet++;
      return timer;
    },
    sleep: () => Promise.resolve(),
    turn: () => Promise.resolve(),
  };

  get pending(): number {
    return this.#set.size;
  }

  /** Moves the clock and lets everybody who was woken go on. */
  async pass(ms: number): Promise<void> {
    this.#now += ms;
    for (const [timer, { at, run }] of this.#set) {
      if (at > this.#now) continue;
      this.#set.delete(timer);
      run();
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function napping(): { host: ByHand; nap: Nap; take: (ms: number, deaf?: () => boolean) => () => boolean } {
  const host = new ByHand();
  const nap = new Nap(host);
  const take = (ms: number, deaf = (): boolean => false): (() => boolean) => {
    let over = false;
    void nap.take(ms, deaf).then(() => (over = true));
    return () => over;
  };
  return { host, nap, take };
}

test("a nap ends when its time is over, not when that of one before it would have been, and not later", async () => {
  const { host, nap, take } = napping();
  take(100);
  await host.pass(60);
  nap.signal();
  await host.pass(0);
  const second = take(100);
  await host.pass(50); // the first one's time
  expect(second()).toBe(false);
  await host.pass(49);
  expect(second()).toBe(false);
  await host.pass(1);
  expect(second()).toBe(true);
  const shorter = take(500);
  nap.signal();
  await host.pass(0);
  expect(shorter()).toBe(true);
  const last = take(10);
  await host.pass(10);
  expect(last()).toBe(true);
});

test("a signal ends the nap, or the next one before it begins; a deaf nap only once it is told to listen", async () => {
  const { host, nap, take } = napping();
  const first = take(100);
  nap.signal();
  await host.pass(0);
  expect(first()).toBe(true);
  nap.signal();
  const second = take(100);
  await host.pass(0);
  expect(second()).toBe(true);
  let isDeaf = true;
  const third = take(100, () => isDeaf);
  nap.signal();
  await host.pass(99);
  expect(third()).toBe(false);
  isDeaf = false;
  nap.signal();
  await host.pass(0);
  expect(third()).toBe(true);
});

test("naps that signals end share a timer, and none is left when no nap is to last any more", async () => {
  const { host, nap, take } = napping();
  for (let count = 0; count < 100; count++) {
    const over = take(1_000);
    nap.signal();
    await host.pass(1);
    expect(over()).toBe(true);
  }
  expect(host.timersSet).toBe(1);
  const deaf = take(1_000, () => true);
  nap.stop();
  await host.pass(0);
  expect(deaf()).toBe(true);
  expect(host.pending).toBe(0);
  const later = take(1_000);
  await host.pass(0);
  expect(later()).toBe(true);
});
