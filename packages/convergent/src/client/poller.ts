/**
 * Asking again at the pace that the server measured. The waits are the percentiles of the time from write to visible:
 * most answers are there after p75, nearly all after p95 or p99, and what is still missing then is asked for ever more
 * rarely. Jitter only lengthens a wait: asking before the percentile would be asking in vain.
 */
import type { VisibilityMs } from "../protocol/wire.ts";

/** The pace while the server has measured nothing yet. */
const unmeasuredMs: readonly [number, number, number] = [500, 750, 1300];
const percentilesCount = unmeasuredMs.length;
const growth = 1.5;
/** Below this a wait is only load: a round trip takes as long. */
const shortestMs = 10;
const jitter = 0.2;

/** The waits between questions, without jitter, for ever: p75, p95, p99, then 1.5 times more each; never shorter than the one before. */
export function* pollIntervals(
  visibilityMs: VisibilityMs | undefined,
  limits: { readonly maxMs: number },
): Generator<number, never, undefined> {
  const measured = visibilityMs ? [visibilityMs.p75, visibilityMs.p95, visibilityMs.p99] : unmeasuredMs;
  let intervalMs = shortestMs;
  for (const percentile of measured) {
    intervalMs = Math.min(limits.maxMs, Math.max(intervalMs, percentile));
    yield intervalMs;
  }
  for (;;) {
    intervalMs = Math.min(limits.maxMs, intervalMs * growth);
    yield intervalMs;
  }
}

/**
 * The wait after an attempt (1 is the first). A server that has measured knows how old the missing write is, so that its
 * `Retry-After` is the better of the two while the percentiles last; after them, and when it only guesses, the longer one counts.
 */
export function pauseOf(pace: {
  readonly attempt: number;
  readonly intervalMs: number;
  readonly retryAfterMs: number;
  readonly isMeasured: boolean;
}): number {
  const { attempt, intervalMs, retryAfterMs } = pace;
  if (retryAfterMs > 0 && pace.isMeasured && attempt <= percentilesCount) return Math.max(shortestMs, retryAfterMs);
  return Math.max(intervalMs, retryAfterMs);
}

/** A wait lengthened by up to a fifth. `fraction` is from 0 to 1. */
export function jittered(intervalMs: number, fraction: number): number {
  return intervalMs * (1 + jitter * fraction);
}
