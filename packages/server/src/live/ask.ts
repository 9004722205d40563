/** What a connection asks, read with the care that anything from outside wants. */
import { type Condition, ConvergentError, type live } from "convergent";
import { invalidInput } from "../gateway/problem.ts";

/** Longest name, key, token, cursor: far more than any that was answered. */
const nameMax = 256;
const keyMax = 1_024;
const tokenMax = 16_384;
const conditionsMax = 32;
const limitMax = 500;

export type WatchAsk = live.WatchTerms & live.Target;

export type Asked =
  | { readonly kind: "watch"; readonly watch: WatchAsk }
  | { readonly kind: "unwatch"; readonly id: number }
  | { readonly kind: "ping"; readonly number: number };

/** Throws `invalid_input`; with the watch's id in its details when there is one. */
export function askOf(text: string): Asked {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    throw malformed('a frame is a JSON object: { "watch": { … } } or { "unwatch": 1 }');
  }
  if (!isObject(body)) throw malformed('a frame is a JSON object: { "watch": { … } } or { "unwatch": 1 }');
  if (Object.hasOwn(body, "unwatch")) return { kind: "unwatch", id: idOf(body["unwatch"]) };
  if (Object.hasOwn(body, "ping")) return { kind: "ping", number: idOf(body["ping"]) };
  const watch = body["watch"];
  if (!isObject(watch)) throw malformed('a frame asks to "watch", to "unwatch", or is a "ping"');
  return { kind: "watch", watch: watchOf(watch) };
}

/** Throws `invalid_input`. */
export function watchOf(watch: Readonly<Record<string, unknown>>): WatchAsk {
  const id = idOf(watch["id"]);
  try {
    const terms = { id, ...optional("after", textOf(watch, "after", tokenMax)), ...optional("from", textOf(watch, "from", tokenMax)) };
    return { ...terms, ...targetOf(watch) };
  } catch (error) {
    throw error instanceof ConvergentError ? new ConvergentError(error.code, error.message, { details: { ...error.details, id } }) : error;
  }
}

function targetOf(watch: Readonly<Record<string, unknown>>): live.Target {
  const kinds = (["view", "entity", "saga"] as const).filter((kind) => watch[kind] !== undefined);
  const [kind] = kinds;
  if (!kind || kinds.length > 1) throw malformed("a watch names one view, one entity or one saga");
  const name = textOf(watch, kind, nameMax) as string;
  const key = textOf(watch, "key", keyMax);
  if (kind === "view") return key === undefined ? queryOf(name, watch) : { view: name, key };
  if (key === undefined) throw malformed(`a watch of ${kind === "saga" ? "a saga" : "an entity"} names its id as "key"`);
  return kind === "entity" ? { entity: name, key } : { saga: name, key };
}

function queryOf(view: string, watch: Readonly<Record<string, unknown>>): live.QueryTarget {
  const orderBy = textOf(watch, "orderBy", nameMax);
  const { order, limit } = watch;
  if (order !== undefined && order !== "asc" && order !== "desc") throw malformed('"order" is asc or desc', "order");
  if (limit !== undefined && !(Number.isInteger(limit) && (limit as number) >= 1 && (limit as number) <= limitMax))
    throw malformed(`"limit" is a whole number from 1 to ${limitMax}`, "limit");
  const where = watch["where"] === undefined ? undefined : conditionsOf(watch["where"]);
  return {
    view,
    ...(where ? { where } : {}),
    ...optional("orderBy", orderBy),
    ...optional<"order", "asc" | "desc">("order", order),
    ...optional("limit", limit as number | undefined),
  };
}

function conditionsOf(where: unknown): Readonly<Record<string, Condition>> {
  if (!isObject(where)) throw malformed('"where" is an object: index → value, or { from, to }', "where");
  const entries = Object.entries(where);
  if (entries.length > conditionsMax) throw malformed(`"where" has at most ${conditionsMax} conditions`, "where");
  for (const [field, condition] of entries) {
    const values = isObject(condition) ? Object.entries(condition) : [["is", condition] as const];
    const isRange = !isObject(condition) || (values.length > 0 && values.every(([end]) => end === "from" || end === "to"));
    if (!isRange || !values.every(([, value]) => isIndexValue(value)))
      throw malformed(`where: the condition on "${field.slice(0, 80)}" is a value, or a range { from, to }`, `where.${field.slice(0, 80)}`);
  }
  return where as Readonly<Record<string, Condition>>;
}

function isIndexValue(value: unknown): boolean {
  if (value === null || typeof value === "boolean" || typeof value === "number") return true;
  return typeof value === "string" && value.length <= keyMax && value.isWellFormed();
}

function idOf(value: unknown): number {
  if (Number.isSafeInteger(value) && (value as number) >= 0) return value as number;
  throw malformed('the "id" of a watch, and the number of a ping, is a whole number from 0 on', "id");
}

function textOf(watch: Readonly<Record<string, unknown>>, name: string, most: number): string | undefined {
  const value = watch[name];
  if (value === undefined) return undefined;
  if (typeof value === "string" && value.length >= 1 && value.length <= most && value.isWellFormed()) return value;
  throw malformed(`"${name}" is text of 1 to ${most} characters`, name);
}

function optional<Name extends string, Value>(name: Name, value: Value | undefined): { readonly [N in Name]?: Value } {
  return value === undefined ? {} : ({ [name]: value } as { readonly [N in Name]: Value });
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function malformed(reason: string, path = ""): ConvergentError {
  return invalidInput(reason, [{ path, reason }]);
}

/** The id that a failure of `askOf` names. */
export function idIn({ details }: ConvergentError): number | undefined {
  return typeof details["id"] === "number" ? details["id"] : undefined;
}
