// Seeds that once failed are run for ever, and a seed is one run. How many seeds there are beside these is `npm run simulate`'s affair.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { faultKinds, historyText, parseHistory, traceOf } from "convergent/simulator";
import { expect, test } from "vitest";
import { type Overrides, runSeed } from "./run-seed.ts";

interface Regression {
  readonly found: string;
  readonly mended: string;
  readonly seed: number;
  readonly overrides: Overrides;
}

const folder = join(import.meta.dirname, "regressions");

for (const name of readdirSync(folder)) {
  const { found, seed, overrides } = JSON.parse(readFileSync(join(folder, name), "utf8")) as Regression;
  test(`seed ${seed} finds no more: ${found}`, async () => {
    expect((await runSeed(seed, overrides)).violations).toEqual([]);
  });
}

test("a seed is one run: the same steps, the same history; another seed is another one", async () => {
  const [one, again, other] = [await runSeed(11), await runSeed(11), await runSeed(12)];
  expect(again.hash).toBe(one.hash);
  expect(historyText(again.history)).toBe(historyText(one.history));
  expect(other.hash).not.toBe(one.hash);
});

test("a run without faults has none, and clients get what they ask for", async () => {
  const { faults, marks, violations, steps } = await runSeed(3, { faults: "none" });
  expect(violations).toEqual([]);
  expect(faults).toEqual({});
  expect(steps).toBe(2000);
  expect(marks["append.acknowledged"]).toBeGreaterThan(10);
  expect(marks["start failed"]).toBeUndefined();
});

test("a fault that is asked for happens, and one that is left out does not", async () => {
  const only = { "message lost": 0.3, "reply lost": 0.3 };
  const { faults, violations } = await runSeed(5, { faults: only });
  expect(violations).toEqual([]);
  expect(Object.keys(faults).sort()).toEqual(["message lost", "reply lost"]);
  for (const kind of Object.keys(only)) expect(Object.keys(faultKinds)).toContain(kind);
});

test("a history comes back from its text, and can be read as a trace", async () => {
  const { history } = await runSeed(7);
  expect(parseHistory(historyText(history))).toEqual(JSON.parse(JSON.stringify(history)));
  const trace = traceOf(history).join("\n");
  expect(trace).toMatch(/ms {2}client-\d asks \d+ account\("[a-e]+"\)/);
  expect(trace).toContain("server-1.1 began");
  expect(trace).toContain("everything has settled");
});
