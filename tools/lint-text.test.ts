import { expect, test } from "vitest";
import { checkText } from "./lint-text.ts";

const messages = (path: string, text: string): string[] => checkText(path, text).map(({ line, message }) => `${line}: ${message}`);
const disable = ["oxlint", "disable-next-line"].join("-");

test("a source file of a package over the limit fails; a test or a tool of that length does not", () => {
  const long = "export {};\n".repeat(451);
  expect(messages("packages/convergent/src/log/append.ts", long)).toEqual(["451: 451 lines; at most 450: split the file along its nouns"]);
  expect(messages("packages/convergent/src/log/append.ts", "export {};\n".repeat(450))).toEqual([]);
  expect(messages("packages/convergent/src/log/append.test.ts", long)).toEqual([]);
  expect(messages("tools/verify.ts", long)).toEqual([]);
});

test("names that say nothing fail, as a file and as a folder", () => {
  expect(messages("packages/convergent/src/log/utils.ts", "")).toHaveLength(1);
  expect(messages("packages/convergent/src/common/append.ts", "")).toHaveLength(1);
  expect(messages("packages/convergent/src/log/appendEvent.ts", "")).toEqual(["1: file names are kebab-case"]);
  expect(messages("tests/types/client.test.ts", "")).toEqual([]);
});

test("a suppression names its rules and its reason", () => {
  expect(messages("a.ts", `// ${disable} eslint/no-eval -- the input is ours\n`)).toEqual([]);
  expect(messages("a.ts", `// ${disable} eslint/no-eval\n`)).toEqual(["1: say why, after ` -- `"]);
  expect(messages("a.ts", `// ${disable}\n`)).toEqual(["1: name the rules that are disabled", "1: say why, after ` -- `"]);
  expect(messages("a.ts", `/* ${disable} eslint/no-eval */\n`)).toEqual(["1: say why, after ` -- `"]);
  expect(messages("a.ts", `// ${["@ts", "expect-error"].join("-")}\n`)).toEqual(["1: a suppression says why, in the same comment"]);
  expect(messages("a.ts", `// ${["@ts", "expect-error"].join("-")} an order has no colour\n`)).toEqual([]);
  expect(messages("a.ts", `// ${["biome", "ignore"].join("-")} format: the table reads better\n`)).toEqual([]);
});

test("the order of layers cannot be suppressed", () => {
  expect(messages("a.ts", `// ${disable} convergent/layers -- in a hurry\n`)).toEqual([
    "1: the order of layers is not suppressed: move the code, or change tools/lint/layers.ts",
  ]);
});
