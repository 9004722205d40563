/** Reads of an entity: its state, now or as it was, and its audit trail. They come from the log and are never behind it. */
import { ConvergentError, type EntityReading, isConvergentError, parseToken, wire } from "convergent";
import type { Grant, Judge } from "./access.ts";
import type { EntityEntry } from "./directory.ts";
import { entityTag, matchesTag } from "./preconditions.ts";
import { preferencesOf } from "./preferences.ts";
import { retryAfterMs } from "./pace.ts";
import { type HeaderRecord, invalidInput, json, problem, retryHeaders } from "./problem.ts";

const eventsDefault = 100;
const eventsMax = 1000;

const timePattern = /^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:[Zz]|[+-]\d{2}:\d{2})$/;

export interface EntityAddress {
  readonly entity: EntityEntry;
  readonly id: string;
}

type When = { version?: number; atMs?: number };

/** `GET /entities/{entity}/{id}` */
export async function readEntity(request: Request, { entity, id }: EntityAddress, judge: Judge): Promise<Response> {
  const grant = await judge({ kind: "entity", name: entity.name, id });
  const when = whenOf(new URL(request.url).searchParams);
  const awaited = await awaitToken(request, entity);
  const reading = await present(awaited, entity, () =>
    grant.shows ? readVisible({ entity, id }, when, grant) : entity.runtime.read(id, when),
  );
  if (reading instanceof Response) return reading;
  return entityAnswer(request, entity, reading, awaited);
}

/** `GET /entities/{entity}/{id}/events` */
export async function readEvents(request: Request, { entity, id }: EntityAddress, judge: Judge): Promise<Response> {
  const grant = await judge({ kind: "events", name: entity.name, id });
  const query = new URL(request.url).searchParams;
  const after = wholeNumber(query, "after", { least: 0, most: Number.MAX_SAFE_INTEGER }) ?? 0;
  const limit = wholeNumber(query, "limit", { least: 1, most: eventsMax }) ?? eventsDefault;
  const awaited = await awaitToken(request, entity);
  const events = await present(awaited, entity, async () => {
    if (grant.shows) await readVisible({ entity, id }, {}, grant);
    return entity.runtime.events(id, { after, limit: limit + 1 });
  });
  if (events instanceof Response) return events;
  const page = events.slice(0, limit);
  const next = events.length > limit ? page.at(-1)?.version : undefined;
  const body: wire.EventsBody = {
    events: page.map(({ id, type, version, position, at, data, metadata }) => ({
      id,
      type,
      version,
      position,
      at: new Date(at).toISOString(),
      data,
      metadata,
    })),
    ...(next === undefined ? {} : { next }),
  };
  return json(200, body, { ...awaited.headers, "cache-control": "no-cache" });
}

function entityAnswer(request: Request, entity: EntityEntry, reading: EntityReading, label: Label): Response {
  const token = String(reading.token);
  const tag = entityTag(entity.service.log.epoch.id, reading.version);
  // A label that says "not fresh" must not come back from a browser's cache when it has become so.
  const cached: HeaderRecord = label.body.fresh === false ? { "cache-control": "no-store" } : { "cache-control": "no-cache" };
  const headers: HeaderRecord = { ...label.headers, ...cached, etag: tag, [wire.headers.token]: token };
  if (label.body.fresh !== false && matchesTag(request.headers, tag)) return new Response(null, { status: 304, headers });
  const body: wire.EntityBody = {
    state: reading.state,
    version: reading.version,
    token,
    ...(reading.pending.length > 0 ? { pending: reading.pending } : {}),
    ...label.body,
  };
  return json(200, body, headers);
}

/** What there is of an entity; when there is nothing and the token's effects have not all arrived, a 404 that says so: it may yet come. */
async function present<T>({ headers, body }: Label, entity: EntityEntry, read: () => Promise<T>): Promise<T | Response> {
  try {
    return await read();
  } catch (error) {
    if (body.fresh !== false || !isConvergentError(error, "entity_not_found")) throw error;
    const message = `${error.message} yet: ${[...(body.unmet ?? []), ...(body.unchecked ?? [])].join(", ")} may still cause it`;
    const notYet = new ConvergentError("entity_not_found", message, { details: body });
    return problem(notYet, { ...headers, ...retryHeaders(retryAfterMs(entity.pace.visibilityMs, 0)) });
  }
}

/** What a token's entries came to: nothing to say when all are covered. */
interface Label {
  readonly headers: HeaderRecord;
  readonly body: { readonly fresh?: false; readonly unchecked?: readonly string[]; readonly unmet?: readonly string[] };
}

// This log's own entries are covered by any read of it; those of other services are once their effects are here.
async function awaitToken(request: Request, entity: EntityEntry): Promise<Label> {
  const { headers } = request;
  const { applied, waitMs, strict } = preferencesOf(headers);
  const token = headers.get(wire.headers.token);
  if (token === null) return { headers: applied, body: {} };
  const { unmet, unchecked } = await entity.service.covers(parseToken(token), { waitMs, signal: entity.ending.waitOf(request) });
  if (unmet.length === 0 && unchecked.length === 0) return { headers: applied, body: {} };
  const missing = [...unmet, ...unchecked].join(", ");
  if (strict)
    throw new ConvergentError(
      entity.ending.aborted ? "closed" : "not_fresh",
      `${entity.service.name} does not hold what the token names of ${missing}`,
      {
        details: { unmet, unchecked },
      },
    );
  return {
    headers: applied,
    body: { fresh: false, ...(unchecked.length > 0 ? { unchecked } : {}), ...(unmet.length > 0 ? { unmet } : {}) },
  };
}

// To who may not see it, an entity that is there is not there, in the very words.
async function readVisible({ entity, id }: EntityAddress, when: When, grant: Grant): Promise<EntityReading> {
  const reading = await entity.runtime.read(id, when);
  if (!grant.shows || grant.shows(reading.state)) return reading;
  const then = when.version === undefined && when.atMs === undefined ? "" : " as of then";
  throw new ConvergentError("entity_not_found", `there is no ${entity.name} "${id}"${then}`);
}

function whenOf(query: URLSearchParams): When {
  const version = wholeNumber(query, "version", { least: 1, most: Number.MAX_SAFE_INTEGER });
  const at = query.get("at");
  if (at === null) return version === undefined ? {} : { version };
  if (version !== undefined) throw invalidInput("version and at exclude each other", [{ path: "at", reason: "version is given already" }]);
  const atMs = timePattern.test(at) ? Date.parse(at) : Number.NaN;
  // In a query a plus sign means a space: an offset whose sign was not encoded arrives with one.
  if (Number.isNaN(atMs))
    throw invalidInput(`at is a time by RFC 3339, for example 2026-01-31T12:00:00Z, not "${at.slice(0, 80)}" (a + is written %2B)`, [
      { path: "at", reason: "no time" },
    ]);
  return { atMs };
}

/** A whole number of the query. Throws `invalid_input`. */
export function wholeNumber(
  query: URLSearchParams,
  name: string,
  range: { readonly least: number; readonly most: number },
): number | undefined {
  const text = query.get(name);
  if (text === null) return undefined;
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= range.least && value <= range.most) return value;
  const reason =
    range.most === Number.MAX_SAFE_INTEGER
      ? `a whole number from ${range.least} on`
      : `a whole number from ${range.least} to ${range.most}`;
  throw invalidInput(`${name} is ${reason}, not "${text.slice(0, 80)}"`, [{ path: name, reason }]);
}
