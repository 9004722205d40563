/**
 * How long the sagas of one definition took lately, from start to end: what callers are told when to come back. It is learnt from
 * sagas that are shown here after their end, whoever ran them, so it costs nothing; whoever waits for an end also asks for it.
 */
import type { Clock, SagaReading, wire } from "convergent";
import { retryAfterMs } from "./pace.ts";

/** Ends that count. */
const endsMax = 200;

/** Before any end was seen. */
const unmeasuredMs = 1000;

export class SagaPace {
  readonly #clock: Clock;
  /** Milliseconds by id, the newest end last. */
  readonly #took = new Map<string, number>();
  #known: wire.VisibilityMs | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** From start to end, in milliseconds; `undefined` before any end was seen. */
  get tookMs(): wire.VisibilityMs | undefined {
    if (!this.#known && this.#took.size > 0) {
      const sorted = [...this.#took.values()].sort((one, other) => one - other);
      const at = (share: number): number => sorted[Math.ceil(share * sorted.length) - 1] as number;
      this.#known = { p50: at(0.5), p75: at(0.75), p95: at(0.95), p99: at(0.99) };
    }
    return this.#known;
  }

  /** Takes in a saga that is shown. One that is parked has not ended: it waits for somebody. */
  learn({ id, state }: SagaReading): void {
    if (state.endedAt === undefined || this.#took.has(id)) return;
    this.#took.set(id, state.endedAt - state.startedAt);
    const [oldest] = this.#took.keys();
    if (this.#took.size > endsMax && oldest !== undefined) this.#took.delete(oldest);
    this.#known = undefined;
  }

  /** When to look at one that was just told something: half of them have ended after that time. */
  get firstLookMs(): number {
    return this.tookMs?.p50 ?? unmeasuredMs;
  }

  /** When to look again at one that runs. */
  nextLookMs({ state }: SagaReading): number {
    return this.tookMs ? retryAfterMs(this.tookMs, this.#clock.now() - state.startedAt) : unmeasuredMs;
  }
}
