/**
 * Sagas over HTTP: started, told something, and waited for. Whoever waits asks the gateway to hold its answer back until there is news
 * (`Prefer: wait`); one that answers at once all the same, because it is about to stop or something on the way cuts waits short, is
 * asked again at a pace.
 */
import { isConvergentError } from "../errors/error.ts";
import { durationMs } from "../host/duration.ts";
import type { CancelSignal } from "../host/host.ts";
import { parseToken } from "../position/token.ts";
import { hasEnded, type SagaAccepted, type SagaStep, type SagaView } from "../protocol/saga.ts";
import { headers as names, type SagaAcceptedBody, type SagaBody, type SagaStepBody } from "../protocol/wire.ts";
import { milliseconds } from "./entity-client.ts";
import type { RemoteEndOptions, RemoteSagaOptions, RemoteTellOptions } from "./facade.ts";
import { actorName, idempotencyKey, segment } from "./path.ts";
import { jittered, pauseOf, pollIntervals } from "./poller.ts";
import { problemError } from "./problem.ts";
import type { Reach } from "./reach.ts";
import { isToken } from "./session.ts";
import { type Answer, retryAfterMs } from "./transport.ts";

type View = SagaView<unknown, unknown>;

/** How long the gateway is asked to hold an answer back: shorter than the idle limits of what may stand in between. */
const holdMs = 25_000;

/** Between news of a saga, so that one of many quick steps is not asked for at each of them. */
const newsPauseMs = 100;

/** The longest wait before a gateway that does not hold its answers back is asked again. */
const pauseMaxMs = 5_000;

/** What a saga is asked to do. */
interface Told {
  /** Of the address, behind the saga's. */
  readonly rest: string;
  readonly what: string;
  readonly body: string | undefined;
}

interface Following {
  /** Only the end is news. */
  readonly end: boolean;
  /** By the clock that only counts. */
  readonly deadline?: number;
  readonly signal?: CancelSignal | undefined;
}

interface Asked {
  /** `undefined`: nothing is new. */
  readonly view: View | undefined;
  readonly etag: string | undefined;
  readonly retryAfterMs: number;
}

export class SagaClient {
  readonly #key: string;
  readonly #shared: Reach;

  constructor(key: string, shared: Reach) {
    this.#key = key;
    this.#shared = shared;
  }

  /** Starts a saga under an id, a new one when there is none. Throws `saga_exists`, `invalid_input`, `outcome_unknown`. */
  async start(id: string | undefined, input: unknown, options: RemoteSagaOptions = {}): Promise<SagaAccepted> {
    const saga = id ?? this.#shared.transport.host.random.id();
    // The address holds the id, which may be text that no header can carry; of the key no notice is taken there.
    const headers = { [names.idempotencyKey]: segment(saga, "the id of a saga").slice(0, 255) };
    return this.#post(saga, { rest: "", what: "start", body: JSON.stringify(input) ?? "null", key: saga, headers }, options);
  }

  /** The saga as it is. Throws `saga_not_found`, `unavailable`. */
  async get(id: string, options: { readonly signal?: CancelSignal } = {}): Promise<View> {
    return (await this.#ask(id, { waitMs: 0, signal: options.signal })).view as View;
  }

  /** The saga once it has ended, or as it is after `wait`. Throws what `get` throws. */
  async end(id: string, { wait = "30s", signal }: RemoteEndOptions = {}): Promise<View> {
    const deadline = this.#shared.transport.host.clock.elapsed() + durationMs(wait);
    let newest: View | undefined;
    try {
      for await (const view of this.#follow(id, { end: true, deadline, signal })) newest = view;
    } catch (error) {
      if (!newest || !isConvergentError(error, "unavailable")) throw error;
    }
    return newest as View;
  }

  /** The saga as it becomes, up to its end; the present state first. Throws what `get` throws. */
  follow(id: string, { signal }: { readonly signal?: CancelSignal } = {}): AsyncGenerator<View, void, undefined> {
    return this.#follow(id, { end: false, signal });
  }

  /** Throws `saga_not_found`, `saga_ended`, `outcome_unknown`. */
  signal(id: string, signal: string, data?: unknown, options: RemoteTellOptions = {}): Promise<SagaAccepted> {
    const rest = `/signals/${segment(signal, "the name of a signal")}`;
    return this.#tell(id, { rest, what: "signal", body: JSON.stringify(data) }, options);
  }

  /** Throws what `signal` throws. */
  cancel(id: string, { reason, ...options }: { readonly reason: string } & RemoteTellOptions): Promise<SagaAccepted> {
    return this.#tell(id, { rest: "/cancel", what: "cancel", body: JSON.stringify({ reason }) }, options);
  }

  /** Throws what `signal` throws. */
  retry(id: string, { reason, ...options }: { readonly reason: string } & RemoteTellOptions): Promise<SagaAccepted> {
    return this.#tell(id, { rest: "/retry", what: "retry", body: JSON.stringify({ reason }) }, options);
  }

  /** Throws what `signal` throws, and `invalid_input` when no undo is stuck. */
  resolve(id: string, { reason, ...options }: { readonly reason: string } & RemoteTellOptions): Promise<SagaAccepted> {
    return this.#tell(id, { rest: "/resolve", what: "resolve", body: JSON.stringify({ reason }) }, options);
  }

  async #tell(saga: string, told: Told, { id, ...options }: RemoteTellOptions): Promise<SagaAccepted> {
    return this.#post(saga, { ...told, key: idempotencyKey(id ?? this.#shared.transport.host.random.id()) }, options);
  }

  async #post(
    saga: string,
    told: Told & { readonly key: string; readonly headers?: Readonly<Record<string, string>> },
    { actor, signal }: RemoteSagaOptions,
  ): Promise<SagaAccepted> {
    const { requests, session } = this.#shared;
    const { rest, what, body, key } = told;
    const { answer } = await requests.send({
      method: "POST",
      path: `${await this.#address(saga, signal)}${rest}`,
      what: `${this.#key}.${what}("${saga}")`,
      headers: {
        ...told.headers,
        ...(actor === undefined ? {} : { [names.actor]: actorName(actor) }),
      },
      ...(body === undefined ? {} : { body }),
      id: key,
      accepts: (answered) => typeof answered["id"] === "string" && isToken(answered["token"]),
      signal,
    });
    if (answer.kind === "refusal") throw problemError(answer.problem, { id: key });
    const { id, token, repeated } = answer.body as unknown as SagaAcceptedBody;
    const reached = parseToken(token);
    session.wrote(reached);
    return { id, token: reached, repeated };
  }

  async *#follow(id: string, { end, deadline, signal }: Following): AsyncGenerator<View, void, undefined> {
    const { clock, random, timers } = this.#shared.transport.host;
    let intervals = pollIntervals(undefined, { maxMs: pauseMaxMs });
    let etag: string | undefined;
    let isLast = false;
    for (let attempt = 1; ; attempt++) {
      const leftMs = deadline === undefined ? holdMs : Math.max(0, deadline - clock.elapsed());
      // Whoever watches is shown the present state at once.
      const waitMs = end || attempt > 1 ? Math.min(holdMs, leftMs) : 0;
      const askedAt = clock.elapsed();
      const asked = await this.#ask(id, {
        waitMs,
        etag: end ? undefined : etag,
        signal,
        ...(deadline === undefined ? {} : { retryForMs: leftMs }),
      });
      if (asked.view) {
        ({ etag } = asked);
        yield asked.view;
        if (hasEnded(asked.view.status)) return;
      }
      if (isLast || (deadline !== undefined && clock.elapsed() >= deadline)) return;
      const isNews = asked.view !== undefined && !end;
      if (isNews) intervals = pollIntervals(undefined, { maxMs: pauseMaxMs });
      const wasHeld = clock.elapsed() - askedAt >= waitMs / 2;
      if (wasHeld && !isNews) continue;
      const paceMs = isNews
        ? newsPauseMs
        : pauseOf({ attempt, intervalMs: intervals.next().value, retryAfterMs: asked.retryAfterMs, isMeasured: false });
      const pauseMs = jittered(paceMs, random.fraction());
      const restMs = deadline === undefined ? Infinity : Math.max(0, deadline - clock.elapsed());
      // A timer may wake a fraction of a millisecond early: whether another question fits is not asked of the clock once more.
      isLast = pauseMs >= restMs;
      await timers.sleep(Math.min(pauseMs, restMs), signal);
    }
  }

  async #ask(
    id: string,
    how: {
      readonly waitMs: number;
      readonly etag?: string | undefined;
      readonly retryForMs?: number;
      readonly signal?: CancelSignal | undefined;
    },
  ): Promise<Asked> {
    const { waitMs, etag, retryForMs, signal } = how;
    const { answer } = await this.#shared.requests.send({
      method: "GET",
      path: await this.#address(id, signal),
      what: `${this.#key}.get("${id}")`,
      headers: {
        ...(waitMs > 0 ? { [names.prefer]: `wait=${Number((waitMs / 1000).toFixed(3))}` } : {}),
        ...(etag === undefined ? {} : { [names.ifNoneMatch]: etag }),
      },
      waitMs,
      accepts: isSagaBody,
      ...(retryForMs === undefined ? {} : { retryForMs }),
      signal,
    });
    return { view: viewOf(answer), etag: answer.header(names.etag), retryAfterMs: retryAfterMs(answer.header) };
  }

  async #address(saga: string, signal: CancelSignal | undefined): Promise<string> {
    const id = segment(saga, "the id of a saga");
    const part = await this.#shared.definition.part(this.#key, "saga", signal);
    return `/sagas/${segment(part.name, "the name of a saga")}/${id}`;
  }
}

function viewOf(answer: Answer): View | undefined {
  if (answer.kind === "success") return sagaViewOf(answer.body as unknown as SagaBody);
  if (answer.problem.status === 304) return undefined;
  throw problemError(answer.problem);
}

/** A saga as it came over the wire. */
export function sagaViewOf({ steps, startedAt, endedAt, token, ...rest }: SagaBody): View {
  return {
    ...rest,
    steps: steps.map(stepOf),
    startedAt: milliseconds(startedAt),
    ...(endedAt === undefined ? {} : { endedAt: milliseconds(endedAt) }),
    token: parseToken(token),
  };
}

function stepOf({ begunAt, endedAt, dueAt, ...rest }: SagaStepBody): SagaStep {
  return {
    ...rest,
    begunAt: milliseconds(begunAt),
    ...(endedAt === undefined ? {} : { endedAt: milliseconds(endedAt) }),
    ...(dueAt === undefined ? {} : { dueAt: milliseconds(dueAt) }),
  };
}

function isSagaBody(body: Readonly<Record<string, unknown>>): boolean {
  return (
    typeof body["status"] === "string" && Array.isArray(body["steps"]) && typeof body["version"] === "number" && isToken(body["token"])
  );
}
