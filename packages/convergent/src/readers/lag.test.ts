// Which events are given, and when, on a clock that stands still until it is set.
import { expect, test } from "vitest";
import type { Log } from "../log/log.ts";
import type { StoredEvent } from "../log/event.ts";
import type { LogPage } from "../log/source.ts";
import { late, parseLag } from "./lag.ts";
import type { ReaderOptions } from "./reader-options.ts";

/** A log of events of these times, which the reader's process reads at `now`. */
function lateLog(range: string, times: readonly number[]) {
  const clock = { now: 100_000, wakes: 0, timers: [] as number[] };
  const events = times.map((at, index) => ({ position: index + 1, at, stream: "note/a", type: "note.added" }) as unknown as StoredEvent);
  const log = {
    host: {
      clock: { now: () => clock.now, elapsed: () => clock.now - 90_000 },
      random: { fraction: () => 0.5 },
      timers: { after: (ms: number, run: () => void) => (clock.timers.push(ms), run(), { cancel: () => undefined }) },
    },
    read: async ({ after }: { after: number }) => ({
      events: events.slice(after),
      scanned: events.length,
      head: { position: events.length },
    }),
    follow: () => ({ stop: () => undefined }),
  } as unknown as Log;
  const options = { lag: parseLag(range, "listing"), source: log, effects: log } as unknown as ReaderOptions<string>;
  const { effects, source } = late(options, (key) => key);
  effects.follow({}, () => void clock.wakes++);
  const read = async (after: number, which: "wanted" | "any" = "wanted"): Promise<LogPage> =>
    source.read({ after: after as never, limit: 100, ...(which === "wanted" ? { types: ["note.added"] } : {}) });
  return { clock, read, source, effects, log };
}

test("events older than their lag are given at once, younger ones not, and nothing behind them", async () => {
  const { read, clock } = lateLog("1s..3s", [90_000, 97_900, 98_100, 50_000]);
  const page = await read(0);
  expect([page.events.length, page.scanned, page.head.position]).toEqual([2, 2, 4]); // the lag is 2 s, in the middle of the range
  expect([clock.timers, clock.wakes]).toEqual([[100], 1]);
  clock.now += 100;
  expect((await read(2)).events.map(({ position }) => position)).toEqual([3, 4]);
});

test("events of a clock that is ahead are as late as if they had just come, all of them together", async () => {
  const { read, clock } = lateLog("2s", [500_000, 500_000, 500_000]);
  expect((await read(0)).events).toEqual([]);
  clock.now += 1_999;
  expect((await read(0)).scanned).toBe(0);
  clock.now += 1;
  expect((await read(0)).events.length).toBe(3);
});

test("an event that was set aside is read by its place at once", async () => {
  const { read } = lateLog("1h", [100_000]);
  expect((await read(0)).events).toEqual([]);
  expect((await read(0, "any")).events.length).toBe(1);
});

test("without a lag the options are what they were", () => {
  const options = { source: {} } as unknown as ReaderOptions<string>;
  expect(late(options, (key) => key)).toBe(options);
  const { source, effects, log } = lateLog("1s", []);
  expect(source).toBe(effects); // a reader of its own log stays one
  expect(source).not.toBe(log);
});

test.each([
  ["500ms", { leastMs: 500, mostMs: 500 }],
  ["300ms..2s", { leastMs: 300, mostMs: 2000 }],
  ["0ms..0.5m", { leastMs: 0, mostMs: 30_000 }],
])("%s is read as a range", (text, range) => expect(parseLag(text, "listing")).toEqual(range));
