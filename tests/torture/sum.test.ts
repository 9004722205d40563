// What parts of a run come to together.
import { expect, test } from "vitest";
import { type Part, sumLines } from "./sum.ts";

const rounds = { kill: 10, "database kill": 5, "cut of connections": 20, stop: 0, "full disk": 0, "I/O error": 0, "power cut": 0 };
const part: Part = {
  ...{ store: "postgres", seed: 1, passed: 35, failed: 0, skipped: 0, seconds: 30.2, chapters: 2 },
  ...{ events: 1100, acknowledged: 1000, violations: 0, rounds },
};

test("parts of one store add up, and each is named by its seed", () => {
  expect(sumLines([part, { ...part, seed: 2 }])).toEqual([
    "postgres, seed 1: 10 kills, 5 database kills, 20 cuts of connections on 2 stores in 30 s; 1,100 events, 1,000 acknowledged; 0 violations",
    "postgres, seed 2: 10 kills, 5 database kills, 20 cuts of connections on 2 stores in 30 s; 1,100 events, 1,000 acknowledged; 0 violations",
    "postgres, 2 seeds: 20 kills, 10 database kills, 40 cuts of connections on 4 stores in 60 s; 2,200 events, 2,000 acknowledged; 0 violations",
    "  after 20 kills, the share of them that break a promise is below 15 % at 95% confidence",
    "  after 10 database kills, the share of them that break a promise is below 30 % at 95% confidence",
    "  after 40 cuts of connections, the share of them that break a promise is below 7.5 % at 95% confidence",
    "",
    "70 passed, 0 failed, 0 skipped",
  ]);
});

test("a part that failed is in the sum, and nothing is said of how rare failures are", () => {
  const text = sumLines([part, { ...part, seed: 2, passed: 0, failed: 35, violations: 3 }]).join("\n");
  expect(text).toContain("0 violations");
  expect(text).toMatch(/2 seeds: .*; 3 violations/);
  expect(text).not.toContain("confidence");
  expect(text).toMatch(/35 passed, 35 failed, 0 skipped$/);
});

test("a seed counts once a store", () => {
  expect(() => sumLines([part, part])).toThrow("two parts on postgres have the seed 1");
  expect(sumLines([part, { ...part, store: "sqlite" }]).at(-1)).toBe("70 passed, 0 failed, 0 skipped");
});
