/**
 * Three-way merge by field: what two sides made of one base, put together. The cases are those of diff3, whose laws are
 * examined in Khanna, Kunal and Pierce, "A formal investigation of diff3" (FSTTCS 2007); fields have names, so that
 * nothing need be aligned, which is where diff3 is unstable. Pure. Held by properties in the tests:
 *
 * - What one side left alone is as the other side made it; where both made the same of it, it is that.
 * - Only a field that both sides changed, and changed differently, is put to a rule or is a conflict.
 * - Where the sides changed different fields, it does not matter which one is called theirs and which ours.
 */
import { fieldsOf, isRecord, type JsonRecord, partOf, sameJson } from "./same-json.ts";

/** What a rule answers when it cannot tell: the field is then a conflict. */
export const undecided: unique symbol = Symbol("undecided");

/**
 * What becomes of a field that both sides changed: ours, theirs, a conflict (unless it is told otherwise), or what a
 * pure function makes of the three. The function may answer `undecided`; `undefined` leaves the field out.
 */
export type Rule<Value> = "ours" | "theirs" | "conflict" | ((base: Value, theirs: Value, ours: Value) => Value | typeof undecided);

/** Rules by field; a field without one is a conflict when both sides changed it. */
export type Rules<Shape> = { readonly [Field in keyof Shape]?: Rule<Shape[Field]> | undefined };

/** A field that is not what it was: where each side has none, its key is absent. */
export interface FieldChange {
  /** Its name; empty when the whole is no object with fields. */
  readonly field: string;
  /** As it was when the decision on `ours` was made. */
  readonly base?: unknown;
  /** As others made it since. */
  readonly theirs?: unknown;
  /** As this side would make it; absent where it says nothing about the field. */
  readonly ours?: unknown;
  /** What the rules make of it; absent while it is conflicting. */
  readonly merged?: unknown;
  /** Nothing says what becomes of it: somebody has to choose. */
  readonly conflicting: boolean;
}

/** A merge: the whole, in which conflicting fields are as in `ours`, and every field that they changed. */
export interface ThreeWay<Shape> {
  readonly merged: Shape;
  readonly fields: readonly FieldChange[];
}

/** Merges what two sides made of `base`, by field. Calls rules for fields that both changed differently, and for no others. */
export function threeWay<Shape extends object>(base: Shape, theirs: Shape, ours: Shape, rules: Rules<Shape> = {}): ThreeWay<Shape> {
  const [before, other, own] = [base, theirs, ours] as unknown as [JsonRecord, JsonRecord, JsonRecord];
  const merged: Array<[field: string, value: unknown]> = [];
  const fields: FieldChange[] = [];
  for (const field of new Set([...fieldsOf(own), ...fieldsOf(other), ...fieldsOf(before)])) {
    const three: Three = [partOf(before, field), partOf(other, field), partOf(own, field)];
    const value = mergeField(three, partOf(rules, field) as Rule<unknown> | undefined);
    merged.push([field, value === undecided ? three[2] : value]);
    if (!sameJson(three[0], three[1])) fields.push(fieldChange(field, three, value));
  }
  return { merged: Object.fromEntries(merged.filter(([, value]) => value !== undefined)) as Shape, fields };
}

/** Every field by which two values differ, without anybody's own wish for it. */
export function changesBetween(base: unknown, theirs: unknown): FieldChange[] {
  if (sameJson(base, theirs)) return [];
  if (!isRecord(base) || !isRecord(theirs)) return [fieldChange("", [base, theirs, undefined], undecided)];
  const fields = new Set([...fieldsOf(base), ...fieldsOf(theirs)]);
  return [...fields]
    .map((field): [string, Three] => [field, [partOf(base, field), partOf(theirs, field), undefined]])
    .filter(([, [before, after]]) => !sameJson(before, after))
    .map(([field, three]) => fieldChange(field, three, undecided));
}

type Three = readonly [base: unknown, theirs: unknown, ours: unknown];

function mergeField([base, theirs, ours]: Three, rule: Rule<unknown> | undefined): unknown {
  if (sameJson(theirs, ours) || sameJson(base, theirs)) return ours;
  if (sameJson(base, ours)) return theirs;
  if (rule === "ours") return ours;
  if (rule === "theirs") return theirs;
  return typeof rule === "function" ? rule(base, theirs, ours) : undecided;
}

function fieldChange(field: string, [base, theirs, ours]: Three, merged: unknown): FieldChange {
  return {
    field,
    ...(base === undefined ? {} : { base }),
    ...(theirs === undefined ? {} : { theirs }),
    ...(ours === undefined ? {} : { ours }),
    ...(merged === undecided || merged === undefined ? {} : { merged }),
    conflicting: merged === undecided,
  };
}
