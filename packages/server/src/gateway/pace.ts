/** How fast changes become visible, as callers are told it: measured percentiles, and when to ask again. */
import type { Clock, Percentiles, wire } from "convergent";

/** Percentiles are computed anew after this time: they cost some microseconds for each view, a command costs tens. */
const keptMs = 250;

/** Before anything was measured. */
const firstGuessMs = 100;

const longestMs = 30_000;

/** Remembers percentiles for a moment. */
export class Pace {
  readonly #clock: Clock;
  readonly #measure: () => Percentiles | undefined;
  #known: wire.VisibilityMs | undefined;
  #until = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock, measure: () => Percentiles | undefined) {
    this.#clock = clock;
    this.#measure = measure;
  }

  get visibilityMs(): wire.VisibilityMs | undefined {
    const now = this.#clock.elapsed();
    if (now >= this.#until || !this.#known) {
      this.#known = visibilityOf(this.#measure());
      this.#until = now + keptMs;
    }
    return this.#known;
  }
}

/** The percentiles that answers carry. */
export function visibilityOf(measured: Percentiles | undefined): wire.VisibilityMs | undefined {
  return measured && { p50: measured.p50, p75: measured.p75, p95: measured.p95, p99: measured.p99 };
}

/**
 * When to ask again for something that is `ageMs` old and not visible: when 75 of 100 would be, then 95, then 99, and
 * after that at one and a half times the age. It is the series of a paced poller, found again from the age alone.
 */
export function retryAfterMs(measured: wire.VisibilityMs | undefined, ageMs: number): number {
  if (!measured) return Math.min(longestMs, Math.max(firstGuessMs, ageMs / 2));
  const next = [measured.p75, measured.p95, measured.p99].find((percentile) => percentile > ageMs);
  return Math.min(longestMs, Math.max(1, next === undefined ? ageMs / 2 : next - ageMs));
}
