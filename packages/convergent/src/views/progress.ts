/** How fast a build moves, over the last seconds, and how long it has still to go at that pace. */
import type { Clock } from "../host/host.ts";
import type { Position } from "../position/position.ts";

/** Older measurements say nothing about the present pace. */
const windowMs = 10_000;
const measurementsMax = 64;

/** Positions a second, and milliseconds left; `undefined` until that was measured. */
export interface Pace {
  readonly perSecond: number | undefined;
  readonly leftMs: number | undefined;
}

export class PaceMeter {
  readonly #clock: Clock;
  #measured: Array<{ readonly at: number; readonly position: Position }> = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  measure(position: Position): void {
    const at = this.#clock.elapsed();
    const newest = this.#measured.at(-1);
    if (newest && at - newest.at < windowMs / measurementsMax) return;
    this.#measured = [...this.#measured.filter((one) => at - one.at <= windowMs), { at, position }].slice(-measurementsMax);
  }

  pace(position: Position, head: Position): Pace {
    const first = this.#measured[0];
    const ms = first ? this.#clock.elapsed() - first.at : 0;
    if (!first || ms < 1) return { perSecond: undefined, leftMs: undefined };
    const perSecond = Math.round(((position - first.position) * 1000) / ms);
    return { perSecond, leftMs: perSecond > 0 ? Math.round(((head - position) * 1000) / perSecond) : undefined };
  }
}
