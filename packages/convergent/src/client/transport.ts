/**
 * Requests, and their repetition. A request is sent again, with growing waits, for as long as its fate is unknown or
 * the server says "later": it is the same request with the same idempotency key, so it takes effect at most once.
 *
 * - Every other answer of the server is final: after a 4xx nothing is sent again, except after 409 `in_progress` and
 *   429 `too_many_requests`.
 * - A `Retry-After` of the server is waited out in full.
 * - At the limit, a command whose fate is unknown ends as `outcome_unknown`, a read as `unavailable`.
 */
import { ConvergentError, isConvergentError } from "../errors/error.ts";
import { type Backoff, backoffMs } from "../host/backoff.ts";
import type { CancelSignal, Host, NetworkResponse } from "../host/host.ts";
import { headers as names } from "../protocol/wire.ts";
import { throwIfCancelled } from "./cancellation.ts";
import { gatewayAddress, usableHeaders } from "./path.ts";
import { parseObject, type Problem, problemError, readProblem } from "./problem.ts";

/** What the client needs of a host. */
export type ClientHost = Pick<Host, "clock" | "random" | "timers" | "network">;

/** Headers that change from time to time. */
export type MoreHeaders = () => Readonly<Record<string, string>> | Promise<Readonly<Record<string, string>>>;

export interface TransportOptions {
  readonly url: string;
  readonly host: ClientHost;
  /** Headers of every request. */
  readonly headers: Readonly<Record<string, string>>;
  /** Asked before each attempt. */
  readonly moreHeaders?: MoreHeaders;
  /** One attempt is given up after so long. */
  readonly attemptMs: number;
  /** A request is repeated for so long. */
  readonly retryForMs: number;
}

export interface Request {
  readonly method: "GET" | "POST";
  /** From the gateway's address on, with its query. */
  readonly path: string;
  /** What is asked, for messages: `order("o-1").place`. */
  readonly what: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** The idempotency key; its presence makes the request a command. */
  readonly id?: string;
  /** The server may hold the answer back for so long. */
  readonly waitMs?: number;
  /** Whether the body of a success is what was asked for; one that is not counts as no answer. */
  readonly accepts?: (body: Readonly<Record<string, unknown>>) => boolean;
  /** Instead of the transport's own limit. */
  readonly retryForMs?: number;
  readonly signal?: CancelSignal | undefined;
}

/** A complete answer of a gateway. */
export type Answer = Success | Refusal;

export interface Success {
  readonly kind: "success";
  readonly header: (name: string) => string | undefined;
  readonly body: Readonly<Record<string, unknown>>;
}

export interface Refusal {
  readonly kind: "refusal";
  readonly header: (name: string) => string | undefined;
  readonly problem: Problem;
}

/** An attempt that is to be repeated. */
interface Again {
  readonly kind: "again";
  /** Whether the request may have taken effect. */
  readonly unknown: boolean;
  readonly error: unknown;
  readonly retryAfterMs: number;
}

const backoff: Backoff = { firstMs: 100, maxMs: 5000, factor: 2 };

/** However near the limit, an attempt has this long beside the wait it asks for. */
const leastMs = 1000;

/** The codes that say "nothing happened, try again": without an unknown attempt they are thrown as they are. */
const nothingHappened: ReadonlySet<string> = new Set(["disk_full", "too_many_requests", "transaction_timeout"]);

export class Transport {
  readonly host: ClientHost;
  readonly #options: TransportOptions;
  readonly #base: string;

  constructor(options: TransportOptions) {
    this.host = options.host;
    this.#options = options;
    this.#base = gatewayAddress(options.url);
  }

  /** Sends a request until it is answered. Throws `outcome_unknown` for commands, `unavailable` for reads, or the signal's reason. */
  async send(request: Request): Promise<Answer> {
    const elapsed = (): number => this.host.clock.elapsed();
    const deadline = elapsed() + (request.retryForMs ?? this.#options.retryForMs);
    let unknown = false;
    for (let attempt = 1; ; attempt++) {
      throwIfCancelled(request.signal);
      const { headers, moreHeaders } = this.#options;
      const own = moreHeaders
        ? await this.#headersNow(moreHeaders, (error) =>
            unknown && request.id !== undefined ? this.#gaveUp(request, { attempt, unknown, error }) : error,
          )
        : headers;
      const answer = await this.#attempt(request, deadline - elapsed(), own);
      if (answer.kind === "refusal" && request.id !== undefined && unknown && !isAboutTheCommand(answer.problem))
        throw this.#gaveUp(request, { attempt, unknown, error: problemError(answer.problem) });
      if (answer.kind !== "again") return answer;
      throwIfCancelled(request.signal);
      unknown ||= answer.unknown;
      const waitMs = Math.max(backoffMs(backoff, attempt, this.host.random), answer.retryAfterMs);
      if (elapsed() + waitMs >= deadline) throw this.#gaveUp(request, { attempt, unknown, error: answer.error });
      await this.host.timers.sleep(waitMs, request.signal);
    }
  }

  /** Where the gateway is, without a slash at the end. */
  get base(): string {
    return this.#base;
  }

  /** What every request carries now. Rejects with what the function for more headers throws. */
  async headers(): Promise<Readonly<Record<string, string>>> {
    const { headers, moreHeaders } = this.#options;
    return moreHeaders ? this.#headersNow(moreHeaders, (error) => error) : headers;
  }

  async #headersNow(more: MoreHeaders, failure: (error: unknown) => unknown): Promise<Readonly<Record<string, string>>> {
    try {
      return { ...this.#options.headers, ...usableHeaders(await more()) };
    } catch (error) {
      throw failure(error);
    }
  }

  async #attempt(request: Request, remainingMs: number, own: Readonly<Record<string, string>>): Promise<Answer | Again> {
    const { method, path, body, id, signal, waitMs = 0 } = request;
    let response: NetworkResponse;
    try {
      response = await this.host.network.request({
        method,
        url: `${this.#base}${path}`,
        headers: {
          accept: "application/json",
          ...own,
          ...(body === undefined ? {} : { "content-type": "application/json" }),
          ...(id === undefined ? {} : { [names.idempotencyKey]: id }),
          ...request.headers,
        },
        ...(body === undefined ? {} : { body }),
        timeoutMs: Math.ceil(Math.min(this.#options.attemptMs + waitMs, Math.max(remainingMs, waitMs + leastMs))),
        ...(signal ? { signal } : {}),
      });
    } catch (error) {
      return { kind: "again", unknown: true, error, retryAfterMs: 0 };
    }
    return readAnswer(response, request);
  }

  #gaveUp(request: Request, last: { attempt: number; unknown: boolean; error: unknown }): ConvergentError {
    const { id, what } = request;
    const details = { attempts: last.attempt, ...(id === undefined ? {} : { id }) };
    const reason = reasonOf(last.error);
    if (id === undefined) {
      return new ConvergentError(
        "unavailable",
        `${what} got no answer from ${this.#base} in ${last.attempt} attempts; the last: ${reason}`,
        {
          cause: last.error,
          details,
        },
      );
    }
    if (!last.unknown && isConvergentError(last.error)) {
      return new ConvergentError(last.error.code, last.error.message, {
        cause: last.error,
        details: { ...last.error.details, ...details },
      });
    }
    return new ConvergentError(
      "outcome_unknown",
      `${what} got no answer from ${this.#base} in ${last.attempt} attempts and may have taken effect; repeat it with the id "${id}". The last attempt: ${reason}`,
      { cause: last.error, details },
    );
  }
}

function readAnswer(response: NetworkResponse, { accepts }: Request): Answer | Again {
  const header = (name: string): string | undefined => response.header(name);
  const { status } = response;
  if (status >= 200 && status < 300) {
    const body = parseObject(response.body);
    if (body && (accepts?.(body) ?? true)) return { kind: "success", header, body };
    const error = new Error(`the answer (HTTP ${status}, ${response.body.length} characters) is cut off or does not come from a gateway`);
    return { kind: "again", unknown: true, error, retryAfterMs: retryAfterMs(header) };
  }
  const problem = readProblem(status, response.body);
  if (!isWorthRepeating(problem)) return { kind: "refusal", header, problem };
  const error = problemError(problem);
  return { kind: "again", unknown: !nothingHappened.has(problem.code ?? ""), error, retryAfterMs: retryAfterMs(header) };
}

// What stands before the entity (a login that expired, a proxy) says nothing about an earlier attempt that got through.
function isAboutTheCommand({ status, code }: Problem): boolean {
  return code !== undefined && status !== 401 && status !== 403 && status !== 429;
}

// A strict read that is not fresh is an answer: its wait was the caller's choice.
function isWorthRepeating({ status, code, retry }: Problem): boolean {
  if (status >= 400 && status < 500) return code === "in_progress" || code === "too_many_requests";
  return retry === "later" && code !== "not_fresh";
}

/** How long the server asks to wait, in milliseconds; 0 when it does not say. Dates are not understood: no clock is shared. */
export function retryAfterMs(header: (name: string) => string | undefined): number {
  const exact = Number(header(names.retryAfterMs) ?? "");
  if (Number.isFinite(exact) && exact > 0) return exact;
  const seconds = Number(header(names.retryAfter) ?? "");
  return Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : 0;
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  return cause instanceof Error && cause.message !== "" && !isConvergentError(error)
    ? `${error.message} (${cause.message})`
    : error.message;
}
