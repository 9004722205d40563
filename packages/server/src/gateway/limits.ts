/**
 * How much one caller may ask for: a rate, with bursts, and reads that wait at the same time. Callers are told apart by
 * their subject, or where nobody is authenticated by their address; behind a proxy that is the proxy's.
 */
import { ConvergentError, wire } from "convergent";
import type { Visit } from "./access.ts";
import type { Sender } from "./caller.ts";

/** How much one caller may ask for. */
export interface Limits {
  /** What a caller may go on asking for. */
  readonly requestsPerSecond?: number;
  /** Requests that may come at once after a pause. Default: twice `requestsPerSecond`. */
  readonly burst?: number;
  /** Reads of one caller that may wait for freshness, or for news of a saga, at the same time; a connection of `/live` counts as one. */
  readonly waiting?: number;
}

/** Where callers are known and nobody says otherwise. On loopback there are no limits by default. */
export const limitsDefault: Limits = { requestsPerSecond: 500, waiting: 200 };

/** Callers that are remembered, of each of two generations: what is left of a bucket is forgotten after as many others. */
const callersMax = 10_000;

export class Limiter {
  readonly #rate: Rate | undefined;
  readonly #waitingMax: number;
  readonly #waiting = new Map<string, number>();

  /** Throws `definition_invalid`. */
  constructor(limits: Limits, now: () => number = () => performance.now()) {
    const { requestsPerSecond, burst = Math.max(1, 2 * (requestsPerSecond ?? 0)), waiting = Number.POSITIVE_INFINITY } = limits;
    for (const [name, value] of Object.entries({ requestsPerSecond: requestsPerSecond ?? 1, burst, waiting }))
      if (!(value > 0)) throw new ConvergentError("definition_invalid", `limits.${name} is a number above 0, not ${value}`);
    this.#rate = requestsPerSecond === undefined ? undefined : new Rate(1000 / requestsPerSecond, burst, now);
    this.#waitingMax = waiting;
  }

  /** Counts a request. Throws `too_many_requests` with the time until the next one is welcome. */
  count(key: string): void {
    const waitMs = this.#rate?.take(key) ?? 0;
    if (waitMs > 0)
      throw new ConvergentError("too_many_requests", `this caller asks more often than is allowed; come back in ${Math.ceil(waitMs)} ms`, {
        details: { retryAfterMs: Math.ceil(waitMs) },
      });
  }

  /** Counts a request that may wait; the function that is returned ends it. Throws `too_many_requests`. */
  wait(key: string): () => void {
    const waiting = this.#waiting.get(key) ?? 0;
    if (waiting >= this.#waitingMax)
      throw new ConvergentError("too_many_requests", `${waiting} reads of this caller are waiting already, which is as many as may`, {
        details: { retryAfterMs: 1000 },
      });
    this.#waiting.set(key, waiting + 1);
    return () => {
      const left = (this.#waiting.get(key) ?? 1) - 1;
      if (left > 0) this.#waiting.set(key, left);
      else this.#waiting.delete(key);
    };
  }
}

/** What a caller is counted by. */
export function limitKey({ caller }: Visit, { remoteAddress = "" }: Sender): string {
  return caller ? `subject:${caller.subject}` : `address:${remoteAddress}`;
}

/** Whether the answer to a request may be held back until something is fresh or, where answers are held back for news (`holds`), until there is some. */
export function mayWait({ method, headers }: Request, holds: boolean): boolean {
  if (method !== "GET" && method !== "HEAD") return false;
  return headers.has(wire.headers.token) || headers.has(wire.headers.cacheControl) || (holds && headers.has(wire.headers.prefer));
}

/** A token bucket for each key, kept as the time at which it will be full again: one number, and full ones need none. */
class Rate {
  readonly #intervalMs: number;
  readonly #burstMs: number;
  readonly #now: () => number;
  #recent = new Map<string, number>();
  #older = new Map<string, number>();

  constructor(intervalMs: number, burst: number, now: () => number) {
    this.#intervalMs = intervalMs;
    this.#burstMs = intervalMs * burst;
    this.#now = now;
  }

  /** Takes one; or, when there is none, milliseconds until there is. */
  take(key: string): number {
    const now = this.#now();
    const fullAt = Math.max(now, this.#recent.get(key) ?? this.#older.get(key) ?? now) + this.#intervalMs;
    const waitMs = fullAt - now - this.#burstMs;
    if (waitMs > 0.001) return waitMs; // less is the rounding of sums
    if (this.#recent.size >= callersMax && !this.#recent.has(key)) {
      this.#older = this.#recent;
      this.#recent = new Map();
    }
    this.#recent.set(key, fullAt);
    return 0;
  }
}
