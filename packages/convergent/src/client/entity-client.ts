/** Commands and reads of one entity over HTTP. Accepted, rejected and conflict are values, as in process. */
import { ConvergentError } from "../errors/error.ts";
import type { CancelSignal } from "../host/host.ts";
import type { Envelope, Metadata } from "../log/event.ts";
import { position } from "../position/position.ts";
import { parseToken } from "../position/token.ts";
import type { AppendedEvent, Conflict, ExpectedState, UniqueClaim } from "../protocol/outcome.ts";
import {
  type AppendedBody,
  type CommandBody,
  type ConflictBody,
  type EntityBody,
  type EventBody,
  headers as names,
  type PartBody,
} from "../protocol/wire.ts";
import type { RemoteCommandOptions, RemoteEventsOptions, RemoteOutcome, RemoteState, RemoteStateOptions } from "./facade.ts";
import { actorName, idempotencyKey, policyName, queryString, segment } from "./path.ts";
import { levelOf } from "./level.ts";
import { problemError } from "./problem.ts";
import { isToken, type SessionMemory } from "./session.ts";
import type { SessionAnswer, SessionRequest } from "./session-transport.ts";
import type { Reach } from "./reach.ts";
import { retryAfterMs, type Success } from "./transport.ts";
import { unmet } from "./versions.ts";
import type { Asked } from "./view-client.ts";

const eventsDefault = 1000;
/** Events that one answer may hold. */
const eventsMax = 1000;

interface QuestionOfState extends RemoteStateOptions {
  /** What is known already, and the tag it came with. */
  readonly known?: { readonly reading: RemoteState<unknown>; readonly etag?: string | undefined } | undefined;
}

interface Reads extends Pick<RemoteStateOptions, "after" | "wait" | "signal">, Pick<SessionRequest, "accepts"> {
  readonly etag?: string;
}

export class EntityClient {
  readonly #key: string;
  readonly #shared: Reach;

  constructor(key: string, shared: Reach) {
    this.#key = key;
    this.#shared = shared;
  }

  /** Runs a command. Throws `outcome_unknown` with `details.id` when no answer came, and what the server throws. */
  async run(
    call: { readonly entityId: string; readonly command: string; readonly input: unknown },
    options: RemoteCommandOptions = {},
  ): Promise<RemoteOutcome<unknown>> {
    const { transport, session, versions, requests } = this.#shared;
    const id = idempotencyKey(options.id ?? transport.host.random.id());
    const { part, path } = await this.#address(call.entityId, options.signal);
    const entity = { service: part.service, name: part.name, id: call.entityId };
    const condition = versions.condition(entity, options.expected ?? "any") ?? (await this.#asked(call.entityId, options)) ?? unmet;
    const { answer } = await requests.send({
      method: "POST",
      path: `${path}/${segment(call.command, "the name of a command")}`,
      what: `${this.#key}("${call.entityId}").${call.command}`,
      headers: {
        ...condition,
        ...(options.onConflict === undefined ? {} : { [names.prefer]: `on-conflict=${policyName(options.onConflict)}` }),
        ...(options.actor === undefined ? {} : { [names.actor]: actorName(options.actor) }),
      },
      body: JSON.stringify(call.input) ?? "null",
      id,
      accepts: isCommandBody,
      signal: options.signal,
    });
    versions.learn(entity, answer.header(names.etag));
    if (answer.kind === "success") return this.#accepted(answer, session);
    const { problem } = answer;
    if (problem.code === "rejected") {
      const { reason, unique } = problem.details;
      return {
        kind: "rejected",
        reason: typeof reason === "string" ? reason : problem.detail,
        ...(isUniqueClaim(unique) ? { unique: { view: unique.view, field: unique.field } } : {}),
      };
    }
    if (problem.code === "version_conflict" && typeof problem.details["version"] === "number")
      return conflict(problem.details, { version: problem.details["version"], expected: options.expected });
    throw problemError(problem, { id });
  }

  /** The state now, as of a version, or as of a time. Throws `entity_not_found`. */
  async state(entityId: string, when: RemoteStateOptions = {}): Promise<RemoteState<unknown>> {
    return (await this.ask(entityId, when)).reading;
  }

  /** The state, with what a poller goes by. Throws what `state` throws. */
  async ask(entityId: string, when: QuestionOfState): Promise<Asked<RemoteState<unknown>>> {
    const { part, path } = await this.#address(entityId, when.signal);
    const query = queryString([
      ["version", when.version],
      ["at", when.at?.toISOString()],
    ]);
    const isPast = when.version !== undefined || when.at !== undefined;
    const { known } = when;
    const { answer, asked } = await this.#send(`${path}${query}`, `${this.#key}.state("${entityId}")`, {
      ...when,
      // What was cannot become fresher.
      after: when.after === undefined && isPast ? null : when.after,
      ...(known?.etag === undefined ? {} : { etag: known.etag }),
      accepts: isEntityBody,
    });
    const etag = answer.header(names.etag);
    const rest = { token: asked, retryAfterMs: retryAfterMs(answer.header), etag };
    if (known && answer.kind === "refusal" && answer.problem.status === 304) {
      const { unchecked: _, ...reading } = known.reading;
      const token = answer.header(names.token);
      return { reading: { ...reading, fresh: true, ...(token === undefined ? {} : { token: parseToken(token) }) }, ...rest };
    }
    if (answer.kind === "refusal") throw problemError(answer.problem);
    this.#shared.versions.learn({ service: part.service, name: part.name, id: entityId }, etag);
    const { state, version, pending, token, fresh, unchecked } = answer.body as unknown as EntityBody;
    const label = { fresh: fresh ?? true, ...(unchecked ? { unchecked } : {}) };
    return { reading: { state, version, pending: pending ?? [], token: parseToken(token), ...label }, ...rest };
  }

  /** The audit trail after a version, page by page up to `limit`. Throws `entity_not_found`. */
  async events(entityId: string, query: RemoteEventsOptions = {}): Promise<readonly Envelope[]> {
    const { part, path } = await this.#address(entityId, query.signal);
    const limit = query.limit ?? eventsDefault;
    const events: Envelope[] = [];
    for (let after: number | undefined = query.after ?? 0; after !== undefined; ) {
      const parameters = queryString([
        ["after", after],
        ["limit", Math.min(eventsMax, limit - events.length)],
      ]);
      const answer = await this.#get(`${path}/events${parameters}`, `${this.#key}.events("${entityId}")`, {
        signal: query.signal,
        accepts: isEventsBody,
      });
      const page = answer.body as unknown as { readonly events: readonly EventBody[]; readonly next?: number };
      events.push(...page.events.map((event) => envelope(event, part.name, entityId)));
      after = page.next !== undefined && page.next > after && events.length < limit ? page.next : undefined;
    }
    return events;
  }

  async #address(entityId: string, signal?: CancelSignal): Promise<{ part: PartBody; path: string }> {
    const id = segment(entityId, "an entity id");
    const part = await this.#shared.definition.part(this.#key, "entity", signal);
    return { part, path: `/entities/${segment(part.name, "the name of an entity")}/${id}` };
  }

  // A version without its epoch could match in another history; the entity's present answer tells the epoch. The command is
  // sent even when the version is another one by now: the caller may be repeating an id that took effect.
  async #asked(entityId: string, options: RemoteCommandOptions): Promise<Readonly<Record<string, string>> | undefined> {
    const { part } = await this.#address(entityId, options.signal);
    try {
      await this.state(entityId, { after: null, signal: options.signal });
    } catch (error) {
      if (!(error instanceof ConvergentError && error.code === "entity_not_found")) throw error;
    }
    return this.#shared.versions.condition({ service: part.service, name: part.name, id: entityId }, options.expected ?? "any");
  }

  async #get(path: string, what: string, options: Reads): Promise<Success> {
    const { answer } = await this.#send(path, what, options);
    if (answer.kind === "refusal") throw problemError(answer.problem);
    return answer;
  }

  #send(path: string, what: string, { etag, ...options }: Reads): Promise<SessionAnswer> {
    const level = levelOf(options);
    const headers = { ...level.headers, ...(etag === undefined ? {} : { [names.ifNoneMatch]: etag }) };
    return this.#shared.requests.send({ ...level, ...options, headers, method: "GET", path, what });
  }

  #accepted({ body }: Success, session: SessionMemory): RemoteOutcome<unknown> {
    const answer = body as unknown as CommandBody;
    const token = parseToken(answer.token);
    session.wrote(token);
    return {
      kind: "accepted",
      state: answer.state,
      version: answer.version,
      events: answer.events.map(appended),
      token,
      pending: answer.pending ?? [],
      repeated: answer.repeated ?? false,
      ...(answer.merged ? { merged: answer.merged } : {}),
      ...(answer.visibilityMs ? { visibilityMs: answer.visibilityMs } : {}),
    };
  }
}

function isUniqueClaim(value: unknown): value is UniqueClaim {
  return typeof value === "object" && value !== null && "view" in value && "field" in value;
}

// Whoever may not read the entity gets no state.
function isCommandBody(body: Readonly<Record<string, unknown>>): boolean {
  return isVersioned(body) && Array.isArray(body["events"]);
}

function isEntityBody(body: Readonly<Record<string, unknown>>): boolean {
  return "state" in body && isVersioned(body);
}

function isVersioned(body: Readonly<Record<string, unknown>>): boolean {
  return typeof body["version"] === "number" && isToken(body["token"]);
}

function isEventsBody(body: Readonly<Record<string, unknown>>): boolean {
  return Array.isArray(body["events"]);
}

// What an older gateway leaves out, nobody knows.
function conflict(
  body: Partial<ConflictBody>,
  { version, expected }: { readonly version: number; readonly expected: RemoteCommandOptions["expected"] },
): Conflict<unknown> {
  const { state, changed = [], more, fields = [], mergeable = false } = body;
  return {
    kind: "conflict",
    state,
    version,
    expected: expected as ExpectedState,
    ...("base" in body ? { base: body.base } : {}),
    changed: changed.map((event) => ({ ...appended(event), metadata: metadataOf(event) })),
    ...(more ? { more } : {}),
    fields,
    mergeable,
  };
}

function appended({ id, type, version, position: at, at: time, data }: AppendedBody): AppendedEvent {
  return { id, type, version, position: at, at: milliseconds(time), data };
}

function envelope(event: EventBody, entity: string, entityId: string): Envelope {
  return { ...appended(event), entity, entityId, position: position(event.position), metadata: metadataOf(event) };
}

function metadataOf({ metadata }: EventBody): Metadata {
  return (metadata ?? {}) as Metadata;
}

/** A time of the wire. */
export function milliseconds(time: string): number {
  // oxlint-disable-next-line convergent/determinism -- reading a written time asks no clock
  return Date.parse(time);
}
