// Whoever completes a name in an editor reads a sentence about it: every export of every entry point has one, and every option.
import { join, relative } from "node:path";
import { expect, test } from "vitest";
import { type Declaration, entryPointsOf, exportsOf } from "./public-exports.ts";

const root = join(import.meta.dirname, "..", "..");
const entryPoints = ["convergent", "server"].flatMap((name) => [...entryPointsOf(join(root, "packages", name))]);

function missing(declarations: readonly Declaration[]): string[] {
  const bare = declarations.filter(({ doc }) => !/\w/.test(doc));
  return [...new Set(bare.map(({ name, file, line }) => `${relative(root, file)}:${line} ${name}`))];
}

test("the entry points are found, and their exports", () => {
  expect(entryPoints.map(([name]) => name)).toEqual(expect.arrayContaining(["convergent", "convergent/client", "@convergent/server"]));
  const names = exportsOf(new Map(entryPoints).get("convergent")!).map(({ name }) => name);
  expect(names).toEqual(expect.arrayContaining(["entity", "ConvergentError", "catalogue", "Outcome", "CommandBody"]));
});

test.each(entryPoints)("every export of %s has a sentence", (_, entry) => {
  expect(missing(exportsOf(entry))).toEqual([]);
});

test.each(entryPoints)("every option of %s has a sentence", (_, entry) => {
  const options = exportsOf(entry).filter(({ name }) => name.endsWith("Options"));
  expect(missing(options.flatMap(({ members }) => members))).toEqual([]);
});
