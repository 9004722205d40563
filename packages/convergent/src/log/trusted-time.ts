/** The time of day as a process may rely on it: a clock that jumps ahead must not make what it remembers look old. */
import type { Clock } from "../host/host.ts";

export class TrustedTime {
  readonly #clock: Clock;
  readonly #begun: { readonly elapsed: number; readonly at: number };

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#begun = { elapsed: clock.elapsed(), at: clock.now() };
  }

  /** Counts from the beginning, and only as fast as time passed. */
  now(): number {
    const { elapsed, at } = this.#begun;
    return Math.min(this.#clock.now(), at + this.#clock.elapsed() - elapsed);
  }
}
