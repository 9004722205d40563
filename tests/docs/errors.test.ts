// The error catalogue in docs/errors.md is the catalogue in the code: every code has its section, and every section its code.
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { catalogue } from "convergent";
import { expect, test } from "vitest";

const root = join(import.meta.dirname, "..", "..");
const page = readFileSync(join(root, "docs", "errors.md"), "utf8");
const sections = new Map(
  [...page.matchAll(/^### `(\w+)`\n(.*)\n\n((?:.+\n)+)/gm)].map(([, code = "", facts = "", advice = ""]) => [code, { facts, advice }]),
);

test("every code has a section, every section has a code, and none has two", () => {
  expect([...sections.keys()].toSorted()).toEqual(Object.keys(catalogue).toSorted());
  expect(page.match(/^### /gm)).toHaveLength(sections.size);
});

test.each(Object.entries(catalogue))("%s says what the catalogue says, and what to do", (code, { status, retry, summary }) => {
  const { facts, advice } = sections.get(code) ?? { facts: "", advice: "" };
  expect(facts).toBe(`${status} · ${retry} · ${summary}`);
  expect(advice).toMatch(/\.\s*$/);
});

test("every code is given by some program: none is left over", () => {
  const paths = globSync("packages/*/src/**/*.ts", { cwd: root }).filter((path) => !/\.test\.ts$|\/catalogue\.ts$/.test(path));
  const sources = paths.map((path) => readFileSync(join(root, path), "utf8")).join("\n");
  expect(Object.keys(catalogue).filter((code) => !sources.includes(`"${code}"`))).toEqual([]);
});
