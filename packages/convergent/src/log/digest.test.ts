import fc from "fast-check";
import { expect, test } from "vitest";
import { canonicalJson } from "./digest.ts";

/** The same, as the standard's own writer does it: slowly, and beyond doubt. Ids that were digested by it are in stores. */
function canonicalByReplacer(value: unknown): string {
  const inOrder = (_name: string, part: unknown): unknown => {
    if (typeof part === "number" && !Number.isFinite(part)) throw new TypeError("no JSON number");
    if (part === null || typeof part !== "object" || Array.isArray(part)) return part;
    const prototype: unknown = Object.getPrototypeOf(part);
    if (prototype !== Object.prototype && prototype !== null) throw new TypeError("no JSON");
    const sorted = Object.create(null) as Record<string, unknown>;
    for (const name of Object.keys(part).sort()) sorted[name] = (part as Record<string, unknown>)[name];
    return sorted;
  };
  return JSON.stringify(value, inOrder) ?? "null";
}

function outcome(write: () => string): string {
  try {
    return write();
  } catch {
    return "refused";
  }
}

const speaksForItself = fc.anything().map((own) => ({ b: 1, toJSON: (name: string): unknown => [name, own] }));
const name = fc.oneof(fc.string(), fc.constantFrom("__proto__", "toJSON", "10", "9", "a", "b", "length"));
const anything = fc.anything({
  key: name,
  withBigInt: true,
  withDate: true,
  withMap: true,
  withSet: true,
  withNullPrototype: true,
  withSparseArray: true,
  withBoxedValues: true,
  stringUnit: "grapheme",
});
const value = fc.oneof(
  anything,
  fc.jsonValue(),
  fc.dictionary(name, fc.oneof(anything, speaksForItself, fc.func(fc.integer()), fc.constant(Symbol("s")))),
  // Of as many keys as are put in order in another way than few.
  fc.dictionary(fc.string({ maxLength: 3 }), fc.nat(), { minKeys: 20, maxKeys: 60 }),
  fc.array(fc.oneof(speaksForItself, fc.constant(undefined), fc.func(fc.integer()))),
);

test("canonical JSON is what the standard's writer makes of the same value with its keys in order, or refuses as it does", () => {
  fc.assert(
    fc.property(value, (each) => {
      expect(outcome(() => canonicalJson(each))).toBe(outcome(() => canonicalByReplacer(each)));
    }),
    { numRuns: 5_000 },
  );
});

test("a cycle is refused, and said to be one", () => {
  const cycle: Record<string, unknown> = {};
  cycle["self"] = [cycle];
  expect(() => canonicalJson(cycle)).toThrow(/circular/);
});
