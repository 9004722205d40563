/** Reads of views. Every answer says how fresh it is; one that is not as fresh as asked for says when to ask again. */
import { hash } from "node:crypto";
import { ConvergentError, type Page, type Reading, type ReadOptions, wire } from "convergent";
import { type Judge, narrowed, shown } from "./access.ts";
import type { ViewEntry } from "./directory.ts";
import { fieldTypes } from "./field-types.ts";
import { retryAfterMs, visibilityOf } from "./pace.ts";
import { matchesTag } from "./preconditions.ts";
import { maxAgeMsOf, type Preferences, preferencesOf } from "./preferences.ts";
import { type HeaderRecord, json, problem, retryHeaders } from "./problem.ts";
import { viewQuery } from "./view-query.ts";

/** `GET /views/{view}/{key}` */
export async function readDocument(request: Request, { view, key }: { view: ViewEntry; key: string }, judge: Judge): Promise<Response> {
  const grant = await judge({ kind: "view", name: view.definition.name, key });
  const preferences = preferencesOf(request.headers);
  const reading = shown(await view.runtime.get(key, levelOf({ request, view }, preferences)), grant);
  if (!reading.fresh) return notFresh(view, reading, preferences);
  const headers = headersOf(reading, preferences);
  if (reading.value === undefined) {
    const { asOf, behind, fresh } = reading;
    const error = new ConvergentError("not_found", `the view "${view.definition.name}" has no document "${key.slice(0, 100)}"`, {
      details: { value: null, asOf, behind, fresh },
    });
    return problem(error, headers);
  }
  const value = JSON.stringify(reading.value);
  // Weak: the same document may be answered with a later `asOf`.
  const etag = `W/"${view.definition.version}.${hash("sha256", value, "base64url").slice(0, 22)}"`;
  if (matchesTag(request.headers, etag)) return new Response(null, { status: 304, headers: { ...headers, etag } });
  const { value: _, ...label } = bodyOf(reading);
  const text = `{"value":${value},${JSON.stringify(label).slice(1)}`; // the document is not written out a second time
  return new Response(text, { status: 200, headers: { ...headers, etag, "content-type": "application/json" } });
}

/** `GET /views/{view}` */
export async function findDocuments(request: Request, view: ViewEntry, judge: Judge): Promise<Response> {
  const preferences = preferencesOf(request.headers);
  const { conditions: asked, options } = viewQuery(new URL(request.url).searchParams, view.definition, typesOf(view));
  const conditions = narrowed(asked, await judge({ kind: "query", name: view.definition.name, conditions: asked }));
  const page = await view.runtime.find(conditions, { ...options, ...levelOf({ request, view }, preferences) });
  return page.fresh ? json(200, bodyOf(page), headersOf(page, preferences)) : notFresh(view, page, preferences);
}

/** The level that the headers ask for: any, after a token, no older than an age, or as of head. */
export function levelOf({ request, view }: { request: Request; view: ViewEntry }, preferences: Preferences): ReadOptions {
  const token = request.headers.get(wire.headers.token);
  const maxAgeMs = maxAgeMsOf(request.headers);
  return {
    ...(token === null ? {} : { after: token }),
    ...(maxAgeMs === undefined ? {} : maxAgeMs === 0 ? { strong: true } : { maxAge: `${maxAgeMs}ms` as const }),
    wait: `${preferences.waitMs}ms`,
    signal: view.ending.waitOf(request),
  };
}

/** The answer that is not as fresh as asked for, with when to ask again. */
export function notFresh(view: ViewEntry, reading: Reading<unknown>, preferences: Preferences): Response {
  const visibilityMs = visibilityOf(view.runtime.reader.visibility);
  const headers = { ...headersOf(reading, preferences), ...retryHeaders(retryAfterMs(visibilityMs, reading.behind.ms)) };
  const body = { ...bodyOf(reading), ...(visibilityMs ? { visibilityMs } : {}) };
  if (!preferences.strict) return json(200, body, headers);
  const { asOf, behind, unchecked, unmet } = body;
  const error = new ConvergentError(
    "not_fresh",
    `the view "${view.definition.name}" stands at position ${asOf}, ${behind.positions} behind, and did not reach what was asked for in time`,
    {
      details: {
        asOf,
        behind,
        fresh: false,
        ...(unchecked ? { unchecked } : {}),
        ...(unmet ? { unmet } : {}),
        ...(visibilityMs ? { visibilityMs } : {}),
      },
    },
  );
  return problem(error, headers);
}

/** A reading on the wire. */
export function bodyOf(reading: Reading<unknown> | Page<unknown>): wire.ViewBody {
  const { value, asOf, behind, fresh, unchecked, unmet } = reading;
  return {
    value: value ?? null,
    asOf,
    behind,
    fresh,
    ...("cursor" in reading && reading.cursor !== undefined ? { cursor: reading.cursor } : {}),
    ...("count" in reading && reading.count !== undefined ? { count: reading.count } : {}),
    ...(unchecked ? { unchecked } : {}),
    ...(unmet ? { unmet } : {}),
  };
}

/** The headers of a reading. */
export function headersOf(reading: Reading<unknown>, preferences: Preferences): HeaderRecord {
  const token = String(reading.token);
  return { ...preferences.applied, ...(token === "" ? {} : { [wire.headers.token]: token }), "cache-control": "no-cache" };
}

const types = new WeakMap<ViewEntry, ReturnType<typeof fieldTypes>>();

function typesOf(view: ViewEntry): ReturnType<typeof fieldTypes> {
  let known = types.get(view);
  if (!known) types.set(view, (known = fieldTypes(view.definition)));
  return known;
}
