/** Turns a find by declared indexes into the store's query, and keeps the cursor: a place in the sorted rows, not a count, so that pages stay stable while rows come and go. */
import { ConvergentError } from "../errors/error.ts";
import { digestOf } from "../log/digest.ts";
import type { DocumentHit, DocumentQuery } from "../log/store.ts";
import type { Condition, FindOptions, IndexValue } from "../protocol/reading.ts";
import { boundsOfKind, compareEncoded, encodeIndexValue } from "./index-value.ts";
import type { AnyView } from "./view.ts";

const limitDefault = 50;
const limitMax = 500;

export type Conditions = Readonly<Record<string, Condition | undefined>>;

interface Bounds {
  readonly field: string;
  readonly from?: string;
  readonly to?: string;
}

/** The store's query. Throws `index_not_declared`, `invalid_input`, `cursor_invalid`. */
export function findQuery(definition: AnyView, conditions: Conditions, options: FindOptions): DocumentQuery {
  requireDocuments(definition);
  const bounds = Object.entries(conditions).flatMap(([field, condition]) => (condition === undefined ? [] : [boundsOf(field, condition)]));
  const orderBy = options.orderBy;
  for (const field of [...bounds.map((bound) => bound.field), ...(orderBy === undefined ? [] : [orderBy])])
    requireDeclared(definition, field);
  const limit = options.limit ?? limitDefault;
  const limitMin = options.count ? 0 : 1; // the count alone is an answer, nothing at all is none
  if (!Number.isSafeInteger(limit) || limit < limitMin || limit > limitMax)
    throw new ConvergentError("invalid_input", `a page holds ${limitMin} to ${limitMax} documents, not ${limit}`);
  const along = orderBy === undefined ? bounds[0] : (bounds.find((bound) => bound.field === orderBy) ?? { field: orderBy });
  const query = {
    view: definition.name,
    version: definition.version,
    field: along?.field,
    ...(along?.from === undefined ? {} : { from: along.from }),
    ...(along?.to === undefined ? {} : { to: along.to }),
    where: bounds.filter((bound) => bound.field !== along?.field),
    descending: options.descending ?? false,
    limit,
  };
  return options.cursor === undefined ? query : { ...query, after: readCursor(options.cursor, query) };
}

/** Throws `not_found` for a view that keeps tables instead. */
export function requireDocuments({ name, queries }: AnyView): void {
  if (!queries) return;
  const known = Object.keys(queries);
  throw new ConvergentError(
    "not_found",
    `the view "${name}" keeps tables and no documents; ask its queries: ${known.join(", ") || "it has none"}`,
    {
      details: { known },
    },
  );
}

/** The cursor behind a page's last row. */
export function cursorAfter(query: DocumentQuery, last: DocumentHit): string {
  return encodeText(JSON.stringify([shapeOf(query), last.value, last.key]));
}

function readCursor(cursor: string, query: DocumentQuery): { value: string; key: string } {
  const invalid = (): ConvergentError =>
    new ConvergentError("cursor_invalid", "this cursor belongs to another query or to another version of the view; begin again without it");
  let parts: unknown;
  try {
    parts = JSON.parse(decodeText(cursor));
  } catch {
    throw invalid();
  }
  const [shape, value, key] = Array.isArray(parts) ? (parts as unknown[]) : [];
  if (shape !== shapeOf(query) || typeof value !== "string" || typeof key !== "string") throw invalid();
  const outside =
    (query.from !== undefined && compareEncoded(value, query.from) < 0) || (query.to !== undefined && compareEncoded(value, query.to) > 0);
  if (outside) throw invalid();
  return { value, key };
}

// What must be the same for a cursor to make sense; the limit may change from page to page.
function shapeOf({ view, version, field, from, to, where, descending }: DocumentQuery): string {
  return digestOf(JSON.stringify([view, version, field ?? null, from ?? null, to ?? null, where, descending])).slice(0, 8);
}

function boundsOf(field: string, condition: Condition): Bounds {
  if (typeof condition !== "object" || condition === null) {
    const value = encodeIndexValue(condition, field);
    return { field, from: value, to: value };
  }
  const end = (value: IndexValue | undefined): string | undefined => (value === undefined ? undefined : encodeIndexValue(value, field));
  const from = end(condition.from);
  const to = end(condition.to);
  // An open end stays within the kind of the other one: numbers from 5 on are no texts.
  const kind = from ?? to;
  return kind === undefined ? { field } : { field, from: from ?? boundsOfKind(kind).least, to: to ?? boundsOfKind(kind).greatest };
}

function requireDeclared(definition: AnyView, field: string): void {
  const declared = definition.indexes as readonly string[];
  if (declared.includes(field)) return;
  throw new ConvergentError(
    "index_not_declared",
    `the view "${definition.name}" has no index "${field}"; ${declared.length > 0 ? `it has ${declared.join(", ")}` : "it has none"}`,
    { details: { known: declared } },
  );
}

function encodeText(text: string): string {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
}

function decodeText(text: string): string {
  const bytes = Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
  return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
}
