import { expect, test } from "vitest";
import { difference, shown } from "./shown.ts";

test("values are written one member a line, by name, whatever order they were made in", () => {
  expect(shown({ b: [1, "two"], a: { deep: null, gone: undefined } })).toBe(`{
  a: {
    deep: null
  }
  b: [
    1
    "two"
  ]
}`);
  expect(shown(new Map<unknown, unknown>([["x y", new Set([1n])]]))).toBe(`Map {
  "x y": Set {
    1n
  }
}`);
  expect(shown([new Date(0), new Date(Number.NaN), {}, []])).toBe(`[
  Date 1970-01-01T00:00:00.000Z
  Date invalid
  {}
  []
]`);
});

test("values are the same when they are written the same", () => {
  expect(difference({ a: 1, b: 2 }, { b: 2, a: 1, c: undefined })).toBeUndefined();
  expect(difference({ a: 1 }, { a: "1" })).toBe(`  {
-   a: 1
+   a: "1"
  }`);
  expect(difference([], {})).toBe("- []\n+ {}");
});

test("what both sides have stays, in its place, between what only one has", () => {
  expect(difference([1, 2, 3, 5], [2, 3, 4, 5])).toBe(`  [
-   1
    2
    3
+   4
    5
  ]`);
});

test("of very long values both are shown whole", () => {
  const long = Array.from({ length: 3000 }, (_, index) => index);
  const text = difference(long, [...long, 0]) ?? "";
  expect(text.split("\n").filter((line) => line.startsWith("- "))).toHaveLength(3002);
});
