/** How long events took from being written to being visible through one reader. */
import type { Clock } from "../host/host.ts";
import type { StoredEvent } from "../log/event.ts";
import { Histogram, type Percentiles } from "./histogram.ts";

export class Visibility {
  readonly #clock: Clock;
  #histogram = new Histogram();
  #since = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.begin();
  }

  /** Forgets what was measured, and measures events from now on. */
  begin(): void {
    this.#histogram = new Histogram();
    this.#since = this.#clock.now();
  }

  /** Events that have just become visible. Those from before the beginning tell how long the process was away, not how fast the reader is. */
  record(events: readonly StoredEvent[]): void {
    const now = this.#clock.now();
    for (const event of events) if (event.at >= this.#since) this.#histogram.record(Math.max(0, now - event.at));
  }

  /** In milliseconds; undefined before the first event. */
  percentiles(): Percentiles | undefined {
    return this.#histogram.percentiles();
  }
}
