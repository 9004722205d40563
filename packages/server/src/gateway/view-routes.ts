/**
 * Reads of views. Every answer says how fresh it is; one that is not as fresh as asked for says when to ask again.
 *
 * Profiled with --cpu-prof, 64 kept-alive connections, Node 24.21, two cores shared with others; µs of CPU a read by key: 31,
 * beside 17 for an empty handler on bare Hono and 26 for one behind the gateway, which looks for it among the routes first. Saved
 * were: planning the statement that looks for parked events of the key (12 and more, see `queries.ts`), the sixteen rows of the
 * checkpoint, read by each read (12, see `snapshot-memory.ts`), the document parsed and written out again and its hash (5), one
 * token signed again and again (2), what a transaction is not asked about (2), promises and copies on the way (2).
 */
import { hash } from "node:crypto";
import { ConvergentError, type Page, type Reading, type ReadOptions, wire } from "convergent";
import { type Grant, type Judge, narrowed, shown } from "./access.ts";
import type { ViewEntry } from "./directory.ts";
import { fieldTypes } from "./field-types.ts";
import { retryAfterMs, visibilityOf } from "./pace.ts";
import { matchesTag } from "./preconditions.ts";
import { maxAgeMsOf, type Preferences, preferencesOf } from "./preferences.ts";
import { type HeaderRecord, json, problem, retryHeaders } from "./problem.ts";
import { viewQuery } from "./view-query.ts";

/** `GET /views/{view}/{key}` */
export async function readDocument(request: Request, { view, key }: { view: ViewEntry; key: string }, judge: Judge): Promise<Response> {
  const judging = judge({ kind: "view", name: view.definition.name, key });
  const grant = judging instanceof Promise ? await judging : judging;
  const preferences = preferencesOf(request.headers);
  const stored = await view.runtime.text(key, levelOf({ request, view }, preferences));
  if (grant.shows || !stored.fresh || stored.value === undefined) return readValue(request, { view, key, grant }, { stored, preferences });
  return answerText(request, { view, value: stored.value, label: stored }, headersOf(stored, preferences));
}

interface Stored {
  readonly stored: Reading<string | undefined>;
  readonly preferences: Preferences;
}

// Whatever must look at the document, or has none.
function readValue(
  request: Request,
  { view, key, grant }: { view: ViewEntry; key: string; grant: Grant },
  { stored, preferences }: Stored,
): Response {
  const value = stored.value === undefined ? undefined : (JSON.parse(stored.value) as unknown);
  const reading = shown({ ...stored, value }, grant);
  if (!reading.fresh) return notFresh(view, reading, preferences);
  const headers = headersOf(reading, preferences);
  if (reading.value !== undefined) return answerText(request, { view, value: stored.value as string, label: stored }, headers);
  const { asOf, behind, fresh } = reading;
  const error = new ConvergentError("not_found", `the view "${view.definition.name}" has no document "${key.slice(0, 100)}"`, {
    details: { value: null, asOf, behind, fresh },
  });
  return problem(error, headers);
}

// The stored text is sent as it is: nothing is read or written again on its way.
function answerText(
  request: Request,
  { view, value, label }: { view: ViewEntry; value: string; label: Reading<unknown> },
  headers: HeaderRecord,
): Response {
  const etag = etagOf(view, value);
  if (matchesTag(request.headers, etag)) return new Response(null, { status: 304, headers: { ...headers, etag } });
  const { asOf, behind, fresh } = label;
  const rest = label.unchecked || label.unmet ? `,${JSON.stringify({ unchecked: label.unchecked, unmet: label.unmet }).slice(1, -1)}` : "";
  const text = `{"value":${value},"asOf":${asOf},"behind":{"positions":${behind.positions},"ms":${behind.ms}},"fresh":${fresh}${rest}}`;
  headers["etag"] = etag;
  headers["content-type"] = "application/json";
  return new Response(text, { status: 200, headers });
}

/** Tags kept of one view, of documents that are asked for often; each costs a hash otherwise. */
const tagsMax = 1000;
const taggedLengthMax = 2000;
const tags = new WeakMap<ViewEntry, Map<string, string>>();

// Weak: the same document may be answered with a later `asOf`.
function etagOf(view: ViewEntry, value: string): string {
  let known = tags.get(view);
  if (!known) tags.set(view, (known = new Map<string, string>()));
  let tag = known.get(value);
  if (tag === undefined) {
    tag = `W/"${view.definition.version}.${hash("sha256", value, "base64url").slice(0, 22)}"`;
    if (known.size >= tagsMax) known.clear();
    if (value.length <= taggedLengthMax) known.set(value, tag);
  }
  return tag;
}

/** `GET /views/{view}` */
export async function findDocuments(request: Request, view: ViewEntry, judge: Judge): Promise<Response> {
  const preferences = preferencesOf(request.headers);
  const { conditions: asked, options } = viewQuery(new URL(request.url).searchParams, view.definition, typesOf(view));
  const conditions = narrowed(asked, await judge({ kind: "query", name: view.definition.name, conditions: asked }));
  const page = await view.runtime.find(conditions, { ...options, ...levelOf({ request, view }, preferences) });
  return page.fresh ? json(200, bodyOf(page), headersOf(page, preferences)) : notFresh(view, page, preferences);
}

/** Nothing is asked for, so nothing is waited for and nobody can stop waiting. */
const anyLevel: ReadOptions = {};

/** The level that the headers ask for: any, after a token, no older than an age, or as of head, which is also what a strict read asks for that names none. */
export function levelOf({ request, view }: { request: Request; view: ViewEntry }, preferences: Preferences): ReadOptions {
  const token = request.headers.get(wire.headers.token);
  const maxAgeMs = maxAgeMsOf(request.headers);
  const namesNone = token === null && maxAgeMs === undefined;
  if (namesNone && !preferences.strict) return anyLevel;
  return {
    ...(token === null ? {} : { after: token }),
    ...(namesNone || maxAgeMs === 0 ? { strong: true } : maxAgeMs === undefined ? {} : { maxAge: `${maxAgeMs}ms` as const }),
    wait: `${preferences.waitMs}ms`,
    signal: view.ending.waitOf(request),
  };
}

/** The answer that is not as fresh as asked for, with when to ask again. */
export function notFresh(view: ViewEntry, reading: Reading<unknown> | Page<unknown>, preferences: Preferences): Response {
  const visibilityMs = visibilityOf(view.runtime.reader.visibility);
  const headers = { ...headersOf(reading, preferences), ...retryHeaders(retryAfterMs(visibilityMs, reading.behind.ms)) };
  const body = { ...bodyOf(reading), ...(visibilityMs ? { visibilityMs } : {}) };
  if (!preferences.strict) return json(200, body, headers);
  const { asOf, behind, unchecked, unmet, parked } = body;
  // The end of this server says nothing of the view: whoever asks again, here or elsewhere, has all of the wait.
  const isCut = view.ending.aborted && typeof parked !== "object";
  const error = new ConvergentError(
    isCut ? "closed" : "not_fresh",
    `the view "${view.definition.name}" stands at position ${asOf}, ${behind.positions} behind, and did not reach what was asked for ${isCut ? "before this server stops; ask again" : "in time"}`,
    {
      details: {
        asOf,
        behind,
        fresh: false,
        ...(unchecked ? { unchecked } : {}),
        ...(unmet ? { unmet } : {}),
        ...(parked === undefined ? {} : { parked }),
        ...(visibilityMs ? { visibilityMs } : {}),
      },
    },
  );
  return problem(error, headers);
}

/** A reading on the wire. */
export function bodyOf(reading: Reading<unknown> | Page<unknown>): wire.ViewBody {
  const { value, asOf, behind, fresh, unchecked, unmet, parked } = reading;
  return {
    value: value ?? null,
    asOf,
    behind,
    fresh,
    ...("cursor" in reading && reading.cursor !== undefined ? { cursor: reading.cursor } : {}),
    ...("count" in reading && reading.count !== undefined ? { count: reading.count } : {}),
    ...(unchecked ? { unchecked } : {}),
    ...(unmet ? { unmet } : {}),
    ...(parked === undefined ? {} : { parked }),
  };
}

/** The headers of a reading. */
export function headersOf(reading: Reading<unknown> | Page<unknown>, preferences: Preferences): HeaderRecord {
  const token = String(reading.token);
  const headers: HeaderRecord = { ...preferences.applied, "cache-control": "no-cache" };
  if (token !== "") headers[wire.headers.token] = token;
  return headers;
}

const types = new WeakMap<ViewEntry, ReturnType<typeof fieldTypes>>();

function typesOf(view: ViewEntry): ReturnType<typeof fieldTypes> {
  let known = types.get(view);
  if (!known) types.set(view, (known = fieldTypes(view.definition)));
  return known;
}
