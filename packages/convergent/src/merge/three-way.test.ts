import fc from "fast-check";
import { expect, test } from "vitest";
import { mergeList } from "./keyed-list.ts";
import { sameJson } from "./same-json.ts";
import { changesBetween, type Rules, threeWay, undecided } from "./three-way.ts";

type Fields = Readonly<Record<string, unknown>>;

// Few names and few values, so that the sides often touch the same field and often agree.
const value = fc.oneof(
  fc.constantFrom(0, 1, "a", null, true),
  fc.array(fc.constantFrom(0, 1), { maxLength: 2 }),
  fc.record({ x: fc.constantFrom(0, 1) }),
);
const fields = fc.dictionary(fc.constantFrom("a", "b", "c", "toString", "__proto__"), value, { maxKeys: 4 });
const three = fc.tuple(fields, fields, fields);
const rule = fc.constantFrom(
  "ours" as const,
  "theirs" as const,
  "conflict" as const,
  () => "made",
  () => undecided,
);
const rules = fc.dictionary(fc.constantFrom("a", "b", "c"), rule) as fc.Arbitrary<Rules<Fields>>;

const conflictsOf = (...[base, theirs, ours]: [Fields, Fields, Fields]): string[] =>
  threeWay(base, theirs, ours).fields.flatMap(({ field, conflicting }) => (conflicting ? [field] : []));
const touched = (base: Fields, side: Fields): Set<string> => new Set(changesBetween(base, side).map(({ field }) => field));

test("property: what one side left alone is as the other side made it, and what both made the same is that", () => {
  fc.assert(
    fc.property(fields, fields, rules, (base, side, by) => {
      expect(sameJson(threeWay(base, side, base, by).merged, side)).toBe(true);
      expect(sameJson(threeWay(base, base, side, by).merged, side)).toBe(true);
      expect(sameJson(threeWay(base, side, side, by).merged, side)).toBe(true);
      expect(threeWay(base, base, side, by).fields).toEqual([]);
    }),
  );
});

test("property: a conflict is a field that both sides changed differently, and nothing else is", () => {
  fc.assert(
    fc.property(three, ([base, theirs, ours]) => {
      const both = [...touched(base, theirs)].filter((field) => touched(base, ours).has(field) && touched(theirs, ours).has(field));
      expect(conflictsOf(base, theirs, ours).sort()).toEqual(both.sort());
    }),
  );
});

test("property: every change of either side is in the merge or named as a conflict", () => {
  fc.assert(
    fc.property(three, ([base, theirs, ours]) => {
      const { merged, fields: changes } = threeWay(base, theirs, ours);
      const open = new Set(changes.filter(({ conflicting }) => conflicting).map(({ field }) => field));
      for (const side of [theirs, ours])
        for (const field of touched(base, side)) expect(open.has(field) || !touched(side, merged).has(field)).toBe(true);
      for (const field of touched(base, merged)) expect(touched(base, theirs).has(field) || touched(base, ours).has(field)).toBe(true);
    }),
  );
});

test("property: where the sides changed different fields, it does not matter which is theirs and which is ours", () => {
  fc.assert(
    fc.property(three, rules, ([base, theirs, ours], by) => {
      fc.pre([...touched(base, theirs)].every((field) => !touched(base, ours).has(field)));
      const merged = threeWay(base, theirs, ours, by).merged;
      expect(sameJson(merged, threeWay(base, ours, theirs, by).merged)).toBe(true);
    }),
  );
});

test("property: a merge of what is merged already changes nothing: whoever repeats it gets the same", () => {
  fc.assert(
    fc.property(three, ([base, theirs, ours]) => {
      fc.pre(conflictsOf(base, theirs, ours).length === 0);
      const { merged } = threeWay(base, theirs, ours);
      expect(sameJson(threeWay(base, merged, ours).merged, merged)).toBe(true);
      expect(sameJson(threeWay(theirs, merged, theirs).merged, merged)).toBe(true);
    }),
  );
});

test("rules settle fields that both sides changed, and are asked about no others", () => {
  const base = { a: 1, b: 1, c: 1, d: 1, e: 1 };
  const theirs = { a: 2, b: 2, c: 2, d: 2, e: 1 };
  const ours = { a: 3, b: 3, c: 3, d: 3, e: 3 };
  const asked: unknown[] = [];
  const sum = (...all: [number, number, number]): number => {
    asked.push(all);
    return all[1] + all[2] - all[0];
  };
  const { merged, fields: changes } = threeWay(base, theirs, ours, { a: "ours", b: "theirs", c: sum, e: sum });
  expect(merged).toEqual({ a: 3, b: 2, c: 4, d: 3, e: 3 });
  expect(asked).toEqual([[1, 2, 3]]);
  expect(changes).toEqual([
    { field: "a", base: 1, theirs: 2, ours: 3, merged: 3, conflicting: false },
    { field: "b", base: 1, theirs: 2, ours: 3, merged: 2, conflicting: false },
    { field: "c", base: 1, theirs: 2, ours: 3, merged: 4, conflicting: false },
    { field: "d", base: 1, theirs: 2, ours: 3, conflicting: true },
  ]);
});

test("a field that one side removed is gone when the other left it alone, and a conflict when the other changed it", () => {
  const base: { a?: number; b?: number } = { a: 1, b: 1 };
  expect(threeWay(base, { b: 1 }, { a: 1, b: 2 }).merged).toEqual({ b: 2 });
  expect(threeWay(base, { a: 2, b: 1 }, { b: 1 }).fields).toEqual([{ field: "a", base: 1, theirs: 2, conflicting: true }]);
});

test("values are compared by content: the order of keys and keys without a value make no difference, other classes do", () => {
  expect(sameJson({ a: 1, b: [1, { c: null }], d: undefined }, { b: [1, { c: null }], a: 1 })).toBe(true);
  expect(sameJson([1, 2], [2, 1])).toBe(false);
  expect(sameJson({ a: 1 }, { a: 1, b: 1 })).toBe(false);
  expect(sameJson([], {})).toBe(false);
  expect(sameJson(new Map([[1, 1]]), new Map([[1, 2]]))).toBe(false);
  expect(sameJson(new Date(1), new Date(1))).toBe(true);
  expect(sameJson(new Date(1), new Date(2))).toBe(false);
});

test("what has no fields differs as a whole", () => {
  expect(changesBetween(1, 2)).toEqual([{ field: "", base: 1, theirs: 2, conflicting: true }]);
  expect(changesBetween([1], [1])).toEqual([]);
  expect(changesBetween({ a: 1, b: 1 }, { a: 1 })).toEqual([{ field: "b", base: 1, conflicting: true }]);
});

interface Line {
  readonly product: string;
  readonly quantity: number;
  readonly note?: string;
}
const line = (product: string, quantity: number, note?: string): Line => ({ product, quantity, ...(note === undefined ? {} : { note }) });
const byProduct = mergeList((item: Line) => item.product);

test("lists with keys are merged item by item and field by field", () => {
  const base = [line("tea", 1), line("cup", 2), line("pot", 1)];
  const theirs = [line("cup", 3), line("tea", 1), line("jam", 1)]; // reordered, cup changed, pot removed, jam added
  const ours = [line("tea", 1, "gift"), line("cup", 2), line("pot", 1), line("mug", 1)]; // a note for the tea, a mug added
  expect(byProduct(base, theirs, ours)).toEqual([line("cup", 3), line("tea", 1, "gift"), line("jam", 1), line("mug", 1)]);
  expect(byProduct(undefined, [line("tea", 1)], [line("cup", 1)])).toEqual([line("tea", 1), line("cup", 1)]);
});

test("an item that one side removed and the other changed, that both changed differently, or that is there twice, is undecided", () => {
  expect(byProduct([line("tea", 1)], [], [line("tea", 2)])).toBe(undecided);
  expect(byProduct([line("tea", 1)], [line("tea", 3)], [line("tea", 2)])).toBe(undecided);
  expect(byProduct([], [line("tea", 1)], [line("tea", 2)])).toBe(undecided);
  expect(byProduct([line("tea", 1), line("tea", 2)], [], [line("tea", 1)])).toBe(undecided);
  const adding = mergeList((item: Line) => item.product, { quantity: (was, theirs, ours) => theirs + ours - was });
  expect(adding([line("tea", 1)], [line("tea", 3)], [line("tea", 2)])).toEqual([line("tea", 4)]);
});
