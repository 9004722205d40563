/** Reads of one view over HTTP: a document, a page, every page, and a document that is polled until it is fresh. */
import { ConvergentError, isConvergentError } from "../errors/error.ts";
import { durationMs } from "../host/duration.ts";
import { position } from "../position/position.ts";
import { emptyToken, parseToken, type Token } from "../position/token.ts";
import type { IndexValue, Condition, ParkedAt } from "../protocol/reading.ts";
import { headers as names, type ViewBody } from "../protocol/wire.ts";
import type { Reach } from "./reach.ts";
import type { PollOptions, RemoteCounted, RemoteFindOptions, RemotePage, RemoteReading, RemoteReadOptions } from "./facade.ts";
import { levelOf } from "./level.ts";
import { queryString, segment } from "./path.ts";
import { jittered, pauseOf, pollIntervals } from "./poller.ts";
import { problemError } from "./problem.ts";
import { type Answer, retryAfterMs, type Success } from "./transport.ts";
import type { Conditions } from "./watch-source.ts";

/** An answer with what a poller goes by. */
export interface Asked<Reading> {
  readonly reading: Reading;
  /** What was asked for; when it is empty, `fresh` says that nothing at all is behind. */
  readonly token: Token;
  readonly retryAfterMs: number;
  readonly etag?: string | undefined;
}

/** A reading that is known already, and the tag it came with: only what is new since then is of interest. */
interface Known<Reading> {
  readonly reading: Reading;
  readonly etag?: string | undefined;
}

interface QuestionOfPage extends Omit<RemoteFindOptions, "after" | "signal"> {
  readonly orderBy?: string;
  readonly after?: RemoteReadOptions["after"] | undefined;
  readonly signal?: RemoteReadOptions["signal"] | undefined;
}

interface Question extends Omit<RemoteReadOptions, "after" | "signal"> {
  readonly after?: RemoteReadOptions["after"] | undefined;
  readonly signal?: RemoteReadOptions["signal"] | undefined;
  readonly without?: ReadonlySet<string>;
  readonly retryForMs?: number;
  readonly known?: Known<RemoteReading<unknown>> | undefined;
}

const timeoutDefault = "30s";
const intervalDefault = "5s";
/** Answers in which a store may be unknown before a poll goes on without asking for it: a reader may be just about to hear of it. */
const uncheckedMax = 3;

export class ViewClient {
  readonly #key: string;
  readonly #shared: Reach;

  constructor(key: string, shared: Reach) {
    this.#key = key;
    this.#shared = shared;
  }

  /** One document. Throws `unavailable`, and what the server throws. */
  async get(key: string, options: RemoteReadOptions = {}): Promise<RemoteReading<unknown>> {
    return (await this.ask(key, options)).reading;
  }

  /** A page. Throws `index_not_declared`, `cursor_invalid`, and what `get` throws. */
  async find(where: Conditions = {}, options: RemoteFindOptions & { readonly orderBy?: string } = {}): Promise<RemotePage<unknown>> {
    return (await this.askPage(where, options)).reading;
  }

  /** A page, with what a poller goes by. Throws what `find` throws. */
  async askPage(where: Conditions, options: QuestionOfPage): Promise<Asked<RemotePage<unknown>>> {
    const part = await this.#shared.definition.part(this.#key, "view", options.signal);
    const query = queryString([
      ...Object.entries(where).flatMap(([field, condition]) => (condition === undefined ? [] : parametersOf(field, condition))),
      ["orderBy", options.orderBy],
      ["order", options.descending === undefined ? undefined : options.descending ? "desc" : "asc"],
      ["limit", options.limit],
      ["cursor", options.cursor],
      ["count", options.count ? "true" : undefined],
    ]);
    const { answer, asked } = await this.#shared.requests.send({
      method: "GET",
      path: `/views/${segment(part.name, "the name of a view")}${query}`,
      what: `${this.#key}.find()`,
      view: part.name,
      ...levelOf(options),
      signal: options.signal,
      accepts: (body) =>
        isViewBody(body) && Array.isArray(body["value"]) && (options.count !== true || Number.isSafeInteger(body["count"])),
      after: options.after,
    });
    if (answer.kind === "refusal") throw problemError(answer.problem);
    const body = answer.body as unknown as ViewBody<ReadonlyArray<{ readonly key: string; readonly value: unknown }>>;
    const reading = {
      ...labelOf(body, answer),
      ...(typeof body.parked === "number" ? { parked: body.parked } : {}),
      value: body.value,
      ...(body.cursor === undefined ? {} : { cursor: body.cursor }),
      ...(body.count === undefined ? {} : { count: body.count }),
    };
    return { reading, token: asked, retryAfterMs: retryAfterMs(answer.header) };
  }

  /** How many documents meet the conditions. Throws what `find` throws. */
  async count(where: Conditions = {}, options: RemoteReadOptions = {}): Promise<RemoteCounted> {
    const { count = 0, value: _, ...label } = await this.find(where, { ...options, limit: 0, count: true });
    return { ...label, value: count };
  }

  /** What a query of a view with tables of its own answers. Throws `invalid_input`, and what the server throws. */
  async query(name: string, input: unknown, options: RemoteReadOptions = {}): Promise<RemoteReading<unknown>> {
    const part = await this.#shared.definition.part(this.#key, "view", options.signal);
    const { answer } = await this.#shared.requests.send({
      method: "GET",
      path: `/views/${segment(part.name, "the name of a view")}/queries/${segment(name, "the name of a query")}${queryString([["input", JSON.stringify(input)]])}`,
      what: `${this.#key}.query.${name}()`,
      view: part.name,
      ...levelOf(options),
      signal: options.signal,
      accepts: isViewBody,
      after: options.after,
    });
    if (answer.kind === "refusal") throw problemError(answer.problem);
    const body = answer.body as unknown as ViewBody;
    return { ...labelOf(body, answer), value: body.value };
  }

  /** Every page, one after another. */
  async *pages(
    where: Conditions = {},
    options: RemoteFindOptions & { readonly orderBy?: string } = {},
  ): AsyncGenerator<RemotePage<unknown>, void, undefined> {
    let page = await this.find(where, options);
    yield page;
    while (page.cursor !== undefined) {
      page = await this.find(where, { ...options, cursor: page.cursor });
      yield page;
    }
  }

  /** Asks until the document is fresh and `until` holds, or until `timeout`, or the signal. */
  async poll(key: string, options: PollOptions<unknown> = {}): Promise<RemoteReading<unknown>> {
    const { clock, random, timers } = this.#shared.transport.host;
    const deadline = clock.elapsed() + durationMs(options.timeout ?? timeoutDefault);
    const maxMs = durationMs(options.interval ?? intervalDefault);
    const { until, signal } = options;
    let { after } = options;
    let intervals: Iterator<number, never> | undefined;
    let last: RemoteReading<unknown> | undefined;
    let without: ReadonlySet<string> = new Set();
    for (let attempt = 1; ; attempt++) {
      let asked: Asked<RemoteReading<unknown>>;
      try {
        const retryForMs = Math.max(0, deadline - clock.elapsed());
        asked = await this.ask(key, { after, wait: "0s", signal, without, retryForMs });
      } catch (error) {
        if (last && isConvergentError(error, "unavailable")) return last;
        throw error;
      }
      const { reading } = asked;
      // What this session writes from now on is not waited for.
      if (after !== null) after = asked.token;
      // Without a token a condition of the caller's own asks for less than `fresh` does.
      const isMet = (reading.fresh || (until !== undefined && asked.token.entries.length === 0)) && (until?.(reading) ?? true);
      last = { ...reading, fresh: isMet && without.size === 0, ...(without.size > 0 ? { unchecked: [...without] } : {}) };
      if (isMet) return last;
      intervals ??= pollIntervals(reading.visibilityMs, { maxMs });
      const { retryAfterMs } = asked;
      const pace = { attempt, intervalMs: intervals.next().value, retryAfterMs, isMeasured: reading.visibilityMs !== undefined };
      const remainingMs = deadline - clock.elapsed();
      // The last question is asked at the limit, unless the server asked for more time than that.
      if (remainingMs <= 0 || retryAfterMs > remainingMs) return last;
      const nextMs = Math.min(remainingMs, jittered(pauseOf(pace), random.fraction()));
      options.onAttempt?.({ attempt, reading, nextMs });
      if (attempt >= uncheckedMax && reading.unchecked) without = new Set([...without, ...reading.unchecked]);
      await timers.sleep(nextMs, signal);
    }
  }

  /** One document, with what a poller goes by. Throws what `get` throws. */
  async ask(key: string, options: Question): Promise<Asked<RemoteReading<unknown>>> {
    const { known } = options;
    const path = segment(key, "a key");
    const part = await this.#shared.definition.part(this.#key, "view", options.signal);
    const level = levelOf(options);
    const { answer, asked } = await this.#shared.requests.send({
      method: "GET",
      path: `/views/${segment(part.name, "the name of a view")}/${path}`,
      what: `${this.#key}.get("${key}")`,
      view: part.name,
      ...level,
      ...(known?.etag === undefined ? {} : { headers: { ...level.headers, [names.ifNoneMatch]: known.etag } }),
      signal: options.signal,
      accepts: isViewBody,
      after: options.after,
      ...(options.without ? { without: options.without } : {}),
      ...(options.retryForMs === undefined ? {} : { retryForMs: options.retryForMs }),
    });
    return {
      reading: readingOf(answer, known?.reading),
      token: asked,
      retryAfterMs: retryAfterMs(answer.header),
      etag: answer.header(names.etag),
    };
  }
}

function readingOf(answer: Answer, known: RemoteReading<unknown> | undefined): RemoteReading<unknown> {
  if (known && answer.kind === "refusal" && answer.problem.status === 304) return unchanged(known, answer);
  if (answer.kind === "success") {
    const body = answer.body as unknown as ViewBody;
    return { ...labelOf(body, answer), ...parkedOf(body), value: body.value ?? undefined };
  }
  // A document that is not there is a reading too: the problem carries its label.
  const { problem } = answer;
  if (problem.status !== 404 || !isLabel(problem.details)) throw problemError(problem);
  return { ...labelOf(problem.details as unknown as ViewBody, answer), value: undefined };
}

// The gateway says so only of what is fresh. Its token tells how far the same value has come; of `behind` it says nothing.
function unchanged(known: RemoteReading<unknown>, { header }: Pick<Success, "header">): RemoteReading<unknown> {
  const wire = header(names.token);
  const token = wire === undefined ? known.token : parseToken(wire);
  const { parked: _, ...label } = known;
  return { ...label, token, asOf: token.entries[0]?.position ?? known.asOf, fresh: true };
}

function parkedOf({ parked }: ViewBody): { readonly parked?: ParkedAt } {
  return typeof parked === "object" ? { parked: { ...parked, position: position(parked.position) } } : {};
}

function labelOf(body: ViewBody, { header }: Pick<Success, "header">): Omit<RemoteReading<never>, "value" | "parked"> {
  const token = header(names.token);
  return {
    asOf: position(body.asOf),
    behind: body.behind,
    fresh: body.fresh,
    token: token === undefined ? emptyToken : parseToken(token),
    ...(body.unchecked ? { unchecked: body.unchecked } : {}),
    ...(body.visibilityMs ? { visibilityMs: body.visibilityMs } : {}),
  };
}

function isViewBody(body: Readonly<Record<string, unknown>>): boolean {
  return "value" in body && isLabel(body);
}

function isLabel({ asOf, behind, fresh }: Readonly<Record<string, unknown>>): boolean {
  return Number.isSafeInteger(asOf) && typeof behind === "object" && behind !== null && typeof fresh === "boolean";
}

// Values travel as JSON: a gateway that cannot tell a field's type from its schema then still tells 42 from "42".
function parametersOf(field: string, condition: Condition): Array<readonly [string, string | undefined]> {
  const text = (value: IndexValue | undefined): string | undefined => (value === undefined ? undefined : textOf(field, value));
  if (typeof condition !== "object" || condition === null) return [[`${field}.is`, text(condition)]];
  return [
    [`${field}.from`, text(condition.from)],
    [`${field}.to`, text(condition.to)],
  ];
}

function textOf(field: string, value: IndexValue): string {
  if (typeof value === "number" && !Number.isFinite(value))
    throw new ConvergentError("invalid_input", `the index "${field}" cannot be asked for ${value}`);
  return JSON.stringify(value);
}
