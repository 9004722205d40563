/**
 * What a followed log had itself seen of other stores. It is asked now and then, and counts once the reader has passed
 * the position at which it was asked: by then all that those stores caused there has come here.
 */
import type { Clock } from "../host/host.ts";
import type { LogPage, LogSource, Seen } from "../log/source.ts";
import { comparePositions, type Position } from "../position/position.ts";

/** How often a busy reader asks. */
const lookMs = 250;

export class SeenBySource {
  readonly #source: LogSource;
  readonly #clock: Clock;
  #known: { readonly at: Position; readonly seen: Seen } | undefined;
  #askedAt = -Infinity;

  constructor(source: LogSource, clock: Clock) {
    this.#source = source;
    this.#clock = clock;
  }

  /** What it said last, whether the reader has passed that or not. */
  get latest(): Seen {
    return this.#known?.seen ?? {};
  }

  /** What counts at a position of the source; `undefined` when nothing newer does. */
  by(position: Position): Seen | undefined {
    return this.#known && comparePositions(this.#known.at, position) <= 0 ? this.#known.seen : undefined;
  }

  /** To be called with each page, by a reader that stands at `position`. */
  async look(page: LogPage, position: Position): Promise<void> {
    const elapsed = this.#clock.elapsed();
    const waiting = this.#known && comparePositions(this.#known.at, position) > 0;
    if (waiting || (page.events.length > 0 && elapsed - this.#askedAt < lookMs)) return;
    this.#askedAt = elapsed;
    this.#known = await this.#source.seen();
  }
}
