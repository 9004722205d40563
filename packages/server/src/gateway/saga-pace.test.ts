import type { SagaReading } from "convergent";
import { emptyToken } from "convergent";
import { expect, test } from "vitest";
import { SagaPace } from "./saga-pace.ts";

const now = 1_000_000;
const pace = (): SagaPace => new SagaPace({ now: () => now, elapsed: () => now });

function reading(id: string, startedAt: number, endedAt?: number): SagaReading {
  const state = { status: endedAt === undefined ? "running" : "completed", input: {}, steps: [], startedAt } as const;
  return { id, state: endedAt === undefined ? state : { ...state, endedAt }, version: 1, token: emptyToken };
}

test("before any end was seen callers come back after a second", () => {
  const unmeasured = pace();
  unmeasured.learn(reading("a", 0));
  expect([unmeasured.tookMs, unmeasured.firstLookMs, unmeasured.nextLookMs(reading("b", now))]).toEqual([undefined, 1000, 1000]);
});

test("then after the median, and while it runs when most would have ended, ever more rarely", () => {
  const measured = pace();
  for (let took = 1; took <= 100; took++) measured.learn(reading(`s-${took}`, 0, took * 10));
  expect(measured.tookMs).toEqual({ p50: 500, p75: 750, p95: 950, p99: 990 });
  expect(measured.firstLookMs).toBe(500);
  expect([0, 800, 960, 4000].map((age) => measured.nextLookMs(reading("r", now - age)))).toEqual([750, 150, 30, 2000]);
});

test("each counts once however often it is shown, and only the newest 200 count", () => {
  const measured = pace();
  for (let shown = 0; shown < 10; shown++) measured.learn(reading("slow", 0, 60_000));
  measured.learn(reading("a", 0, 10));
  expect(measured.tookMs?.p50).toBe(10);
  for (let index = 0; index < 200; index++) measured.learn(reading(`s-${index}`, 0, 20));
  expect(measured.tookMs).toEqual({ p50: 20, p75: 20, p95: 20, p99: 20 });
});
