/** One thing done until it succeeds or fails for good: attempts with waits between them, each with its time limit and heartbeat. */
import { type Backoff, backoffMs } from "../host/backoff.ts";
import { type Duration, durationMs } from "../host/duration.ts";
import type { Host, Timer } from "../host/host.ts";
import { ConvergentError, isConvergentError } from "../errors/error.ts";
import { canonicalJson } from "../log/digest.ts";
import { Cancellation } from "./cancellation.ts";
import type { Outcome } from "./facts.ts";
import type { Attempt, RetryPolicy } from "./saga.ts";

/** An attempt that was given up before it answered. */
export class OutOfTime extends Error {}

export interface Limits {
  readonly timeout?: Duration;
  readonly heartbeat?: Duration;
}

/** How a retry policy is counted. */
export function policyOf(retry: RetryPolicy | undefined, attempts: number): { readonly attempts: number; readonly backoff: Backoff } {
  const firstMs = durationMs(retry?.first ?? "100ms");
  const given = retry?.attempts ?? attempts;
  if (!Number.isSafeInteger(given) || given < 1)
    throw new ConvergentError("definition_invalid", `the attempts of a step are a whole number from 1 on, not ${given}`);
  return { attempts: given, backoff: { firstMs, maxMs: durationMs(retry?.longest ?? "10s"), factor: 2 } };
}

/** When the next attempt after `failed` ones is due. */
export function dueAt(host: Host, backoff: Backoff, failed: number): number {
  return Math.ceil(host.clock.now() + backoffMs(backoff, failed, host.random));
}

/** Resolves at a time of day. Rejects when cancelled. */
export async function waitUntil(host: Host, at: number, cancellation?: Cancellation): Promise<void> {
  // Timers count no more than 2^31 ms, and the clock may be set.
  for (let leftMs = at - host.clock.now(); leftMs > 0; leftMs = at - host.clock.now())
    await host.timers.sleep(Math.min(leftMs, 3_600_000), cancellation);
}

/** Runs one attempt. Rejects with what it throws, with `OutOfTime`, or with the reason of the saga's cancellation. */
export async function attempted<T>(
  host: Host,
  { timeout, heartbeat }: Limits,
  work: (about: Omit<Attempt, "attempt">) => Promise<T> | T,
  cancelled?: Cancellation,
): Promise<T> {
  const own = new Cancellation();
  const timers: Timer[] = [];
  const limit = (ms: number, says: string): Timer => {
    const timer = host.timers.after(ms, () => own.cancel(new OutOfTime(says)));
    timers.push(timer);
    return timer;
  };
  if (timeout !== undefined) limit(durationMs(timeout), `no answer within ${timeout}`);
  let pulse = heartbeat === undefined ? undefined : limit(durationMs(heartbeat), `no sign of life within ${heartbeat}`);
  const beat = (): void => {
    if (heartbeat === undefined || own.aborted) return;
    pulse?.cancel();
    pulse = limit(durationMs(heartbeat), `no sign of life within ${heartbeat}`);
  };
  const fromSaga = (): void => own.cancel(cancelled?.reason);
  if (cancelled?.aborted) fromSaga();
  cancelled?.addEventListener("abort", fromSaga);
  const { promise, stop } = own.rejection();
  try {
    return await Promise.race([Promise.resolve().then(() => work({ signal: own, beat })), promise]);
  } finally {
    stop();
    for (const timer of timers) timer.cancel();
    cancelled?.removeEventListener("abort", fromSaga);
  }
}

/** What an error says of the effect of what threw it. */
export function outcomeOf(error: unknown): Outcome {
  if (error instanceof OutOfTime) return "unknown";
  if (!isConvergentError(error)) return "failed";
  if (error.code === "outcome_unknown") return "unknown";
  return error.retry === "never" ? "refused" : "failed";
}

/** A result as it will be read again: a JSON value, or nothing. Throws `invalid_input`. */
export function storable(result: unknown): unknown {
  return result === undefined ? undefined : (JSON.parse(canonicalJson(result)) as unknown);
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
