/**
 * When a reader's rows are written although nothing was applied: a position that moves without effects is kept in memory and
 * written now and then, so that following a log that holds nothing of interest costs no writes.
 */
import type { Clock } from "../host/host.ts";
import type { Seen } from "../log/source.ts";
import { comparePositions } from "../position/position.ts";
import type { SlotPlaces } from "./slot-places.ts";

/** Positions and milliseconds after which an advance without effects is written. */
const lazyPositions = 10_000;
const lazyMs = 5_000;
/** A batch writes the slots that had events; so long the others may be behind in their rows. */
const unevenMs = 2_000;

export class LazyRows {
  readonly #clock: Clock;
  #savedAt = 0;
  #savedSeen = "{}";

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The rows as they are read; `seen` is what they say of other stores, as text. */
  read(seen: string): void {
    this.#savedSeen = seen;
  }

  /** All rows were written, or need not be for a while. */
  saved(seen?: Seen): void {
    this.#savedAt = this.#clock.elapsed();
    if (seen) this.#savedSeen = JSON.stringify(seen);
  }

  /** Whether the rows say something else of other stores. */
  hasNews(seen: Seen): boolean {
    return JSON.stringify(seen) !== this.#savedSeen;
  }

  /** Whether the rows are behind what was looked through, and have been for long enough. */
  isDue(places: SlotPlaces, stopping: boolean): boolean {
    const lowest = places.lowestOwnedRow;
    if (lowest === undefined || comparePositions(places.cursor, lowest) <= 0) return false;
    return stopping || places.cursor - lowest >= lazyPositions || this.#waitedMs >= restMs(places);
  }

  /** A batch is to write all slots, not only those that had events. */
  get savesAll(): boolean {
    return this.#waitedMs >= unevenMs;
  }

  get #waitedMs(): number {
    return this.#clock.elapsed() - this.#savedAt;
  }
}

/** How long a reader with nothing to do may leave its rows as they are. */
export function restMs(places: SlotPlaces | undefined): number {
  return places?.isEven ? lazyMs : unevenMs;
}
