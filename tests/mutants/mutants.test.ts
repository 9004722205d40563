// Running the mutants takes long (`npm run mutants`); that each still fits the code it makes wrong is asked here.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { patchesOf, pathOf } from "./mutant.ts";
import { mutants } from "./mutants.ts";

const root = join(import.meta.dirname, "..", "..");

test.each(mutants)("the mutant $name fits the code", (mutant) => {
  const text = readFileSync(join(root, pathOf(mutant)), "utf8");
  for (const { find, replace } of patchesOf(mutant)) {
    expect(text.split(find)).toHaveLength(2);
    expect(replace).not.toBe(find);
  }
  const { reason, beyondSimulator, suites } = mutant;
  if (beyondSimulator) expect(suites?.length).toBeGreaterThan(0);
  expect(reason).toMatch(/^[A-Z].+\.$/);
});

test("there are at least 25, each of its own name", () => {
  expect(new Set(mutants.map(({ name }) => name)).size).toBe(mutants.length);
  expect(mutants.length).toBeGreaterThanOrEqual(25);
});
