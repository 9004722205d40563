/**
 * The query of `GET /views/{view}`: conditions on declared indexes, sort order and page.
 *
 *   status=placed                      equal
 *   total.from=100&total.to=500        a range, both ends included, either end alone
 *   orderBy=total&order=desc           sorted by an index (asc is the default)
 *   limit=20&cursor=…                  page
 *   count=true                         counts, too, all that meets the conditions; with limit=0 nothing else
 *   order.is=o-1                       equal, for an index that is called like one of the words above
 *
 * A value is read by the type its field has in the document's schema: where that is text alone, as it stands. Otherwise
 * (several types, or a schema that does not tell) the JSON literals 42, true and null mean what they mean in JSON, and
 * all else is text. Text in JSON quotes is text everywhere: who writes every value as JSON is never misunderstood.
 */
import type { AnyView, Condition, FindOptions, IndexValue } from "convergent";
import { wholeNumber } from "./entity-routes.ts";
import type { JsonType } from "./field-types.ts";
import { invalidInput } from "./problem.ts";

const pageMax = 500;
const words: ReadonlySet<string> = new Set(["limit", "cursor", "orderBy", "order", "count"]);

type Types = ReadonlyMap<string, ReadonlySet<JsonType>>;

export interface ViewQuery {
  readonly conditions: Readonly<Record<string, Condition>>;
  readonly options: FindOptions;
}

/** Throws `invalid_input`; a field that is no index is refused by the view itself (`index_not_declared`). */
export function viewQuery(query: URLSearchParams, view: AnyView, types: Types): ViewQuery {
  const conditions: Record<string, Condition> = Object.create(null) as Record<string, Condition>;
  const declared = view.indexes as readonly string[];
  for (const name of new Set(query.keys())) {
    if (words.has(name)) continue;
    const [field, part] = partsOf(name, declared);
    const value = valueOf(single(query, name), types.get(field), name);
    const known = conditions[field];
    if (part === "is") {
      if (known !== undefined) throw contradiction(name, field);
      conditions[field] = value;
    } else {
      if (known !== undefined && (typeof known !== "object" || known === null)) throw contradiction(name, field);
      conditions[field] = { ...known, [part]: value };
    }
  }
  return { conditions, options: optionsOf(query, declared) };
}

function optionsOf(query: URLSearchParams, declared: readonly string[]): FindOptions {
  for (const word of words) if (query.has(word)) single(query, word);
  const count = query.get("count");
  if (count !== null && count !== "true" && count !== "false")
    throw invalidInput(`count is true or false, not "${count.slice(0, 80)}"${hintFor("count", declared)}`, [
      { path: "count", reason: "true or false" },
    ]);
  const limit = wholeNumber(query, "limit", { least: count === "true" ? 0 : 1, most: pageMax });
  const cursor = query.get("cursor");
  const orderBy = query.get("orderBy");
  const order = query.get("order");
  if (order !== null && order !== "asc" && order !== "desc") {
    throw invalidInput(`order is asc or desc, not "${order.slice(0, 80)}"${hintFor("order", declared)}`, [
      { path: "order", reason: "asc or desc" },
    ]);
  }
  return {
    ...(limit === undefined ? {} : { limit }),
    ...(cursor === null ? {} : { cursor }),
    ...(orderBy === null ? {} : { orderBy }),
    ...(order === "desc" ? { descending: true } : {}),
    ...(count === "true" ? { count: true } : {}),
  };
}

function hintFor(word: string, declared: readonly string[]): string {
  return declared.includes(word) ? `; to find by the index "${word}", write ${word}.is=…` : "";
}

// The whole name first: an index may itself end in ".from".
function partsOf(name: string, declared: readonly string[]): [field: string, part: "is" | "from" | "to"] {
  if (declared.includes(name)) return [name, "is"];
  const match = /^(.+)\.(is|from|to)$/.exec(name);
  return match ? [match[1] as string, match[2] as "is" | "from" | "to"] : [name, "is"];
}

/** A value of a query string, read by the types it may have. Throws `invalid_input`. */
export function valueOf(text: string, types: ReadonlySet<JsonType> | undefined, name: string): IndexValue {
  const quoted = text.startsWith('"') ? literal(text) : undefined;
  if (typeof quoted === "string") return quoted;
  if (types?.size === 1 && types.has("string")) return text;
  const value = literal(text);
  const read = value === undefined || (typeof value === "object" && value !== null) ? text : (value as IndexValue);
  const type = read === null ? "null" : (typeof read as JsonType);
  if (!types || types.has(type)) return read;
  if (types.has("string")) return text;
  const wanted = [...types].join(" or ");
  throw invalidInput(`${name} is ${wanted}, not "${text.slice(0, 80)}"`, [{ path: name, reason: `must be ${wanted}` }]);
}

/** What a text says in JSON; `undefined` when it is none. */
export function literal(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** The one value of a name. Throws `invalid_input` when it is given more than once. */
export function single(query: URLSearchParams, name: string): string {
  const [value = "", ...others] = query.getAll(name);
  if (others.length === 0) return value;
  throw invalidInput(`${name} is given ${others.length + 1} times; give it once`, [{ path: name, reason: "given more than once" }]);
}

function contradiction(name: string, field: string): Error {
  return invalidInput(`${name} contradicts another condition on "${field}"`, [
    { path: name, reason: "a value and a range exclude each other" },
  ]);
}
