import { expect, test } from "vitest";
import { jittered, pauseOf, pollIntervals } from "./poller.ts";

function first(count: number, intervals: Generator<number, never>): number[] {
  return Array.from({ length: count }, () => intervals.next().value);
}

const measured = { p50: 20, p75: 40, p95: 90, p99: 200 };

test("the waits are the measured p75, p95 and p99, then 1.5 times more each", () => {
  expect(first(6, pollIntervals(measured, { maxMs: 60_000 }))).toEqual([40, 90, 200, 300, 450, 675]);
});

test("a server that has measured nothing is asked after 500, 750 and 1300 ms, then 1.5 times more each", () => {
  expect(first(5, pollIntervals(undefined, { maxMs: 60_000 }))).toEqual([500, 750, 1300, 1950, 2925]);
});

test("no wait is longer than the maximum", () => {
  expect(first(6, pollIntervals(undefined, { maxMs: 1000 }))).toEqual([500, 750, 1000, 1000, 1000, 1000]);
});

test("a very fast server is not asked without pause, and no wait is shorter than the one before", () => {
  const intervals = first(8, pollIntervals({ p50: 0.1, p75: 0.1, p95: 0.3, p99: 0.2 }, { maxMs: 1000 }));
  expect(intervals[0]).toBe(10);
  expect(intervals).toEqual([...intervals].sort((a, b) => a - b));
});

test("the server's Retry-After counts while the percentiles last, the longer of the two afterwards", () => {
  expect(pauseOf({ attempt: 1, intervalMs: 40, retryAfterMs: 15, isMeasured: true })).toBe(15);
  expect(pauseOf({ attempt: 3, intervalMs: 200, retryAfterMs: 1, isMeasured: true })).toBe(10);
  expect(pauseOf({ attempt: 4, intervalMs: 300, retryAfterMs: 15, isMeasured: true })).toBe(300);
  expect(pauseOf({ attempt: 4, intervalMs: 300, retryAfterMs: 900, isMeasured: true })).toBe(900);
});

test("a Retry-After that rests on no measurement shortens no wait", () => {
  expect(pauseOf({ attempt: 1, intervalMs: 500, retryAfterMs: 100, isMeasured: false })).toBe(500);
  expect(pauseOf({ attempt: 1, intervalMs: 500, retryAfterMs: 0, isMeasured: true })).toBe(500);
});

test("jitter lengthens a wait by at most a fifth and never shortens it", () => {
  expect(jittered(100, 0)).toBe(100);
  expect(jittered(100, 0.999)).toBeLessThan(120);
  expect(jittered(100, 0.999)).toBeGreaterThan(100);
});
