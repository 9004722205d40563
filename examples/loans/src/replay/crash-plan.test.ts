import { expect, test } from "vitest";
import { crashPlan } from "./crash-plan.ts";

test("crashes are spread over the run, and one seed gives the same ones again", () => {
  const plan = crashPlan(5, 1_000, 42);
  expect(plan).toEqual(crashPlan(5, 1_000, 42));
  expect(plan).not.toEqual(crashPlan(5, 1_000, 43));
  for (const [index, { lines, delayMs }] of plan.entries()) {
    expect(lines).toBeGreaterThanOrEqual(Math.max(1, index * 200));
    expect(lines).toBeLessThan((index + 1) * 200);
    expect(delayMs).toBeLessThan(40);
  }
  expect(crashPlan(0, 1_000, 42)).toEqual([]);
});
