/**
 * The second opinion on a build: reads the log by itself, behind the reader, and compares each range with what the
 * reader says it consumed. Works in steps with pauses and holds one step of events at a time.
 */
import { EventCodec } from "../log/codec.ts";
import type { StoredEvent } from "../log/event.ts";
import type { Log } from "../log/log.ts";
import type { Checkpoint, ConsumedRange, ReadTransaction } from "../log/store.ts";
import { comparePositions, earlierPosition, laterPosition, origin, type Position } from "../position/position.ts";
import { slotOf } from "../readers/slots.ts";
import { noSums, rangeEnd, rangeOf, sameSums, type Sums, summed } from "./consumed.ts";
import { keyedIn } from "./fold.ts";
import type { AnyView } from "./view.ts";

/** Positions read in one go: less than a millisecond, as appends of the same process wait for it. */
const stepPositions = 256;

/** A range of which the reader consumed something else than the log holds. */
export interface Mismatch {
  readonly from: Position;
  readonly to: Position;
  readonly consumed: Sums;
  readonly logged: Sums;
}

/** How far the reader of a build is. */
export interface Reached {
  readonly slots: readonly Checkpoint[];
  /** Everything up to here is applied, whatever its slot; what was of no interest is counted in before it is stored. */
  readonly position: Position;
}

export class Verification {
  readonly #log: Log;
  readonly #definition: AnyView;
  readonly #types: readonly string[];
  readonly #codec: EventCodec;
  #through: Position = origin;
  /** Of the scan, since the range of `through` began. */
  #open: Sums = noSums;

  constructor(log: Log, definition: AnyView) {
    this.#log = log;
    this.#definition = definition;
    this.#types = [...definition.handlers.keys()];
    this.#codec = new EventCodec(definition.from, log);
  }

  /** Everything up to here was scanned, and every range that ended by then is right. */
  get through(): Position {
    return this.#through;
  }

  /** Sets out behind the ranges that are known to be right. */
  async resume(): Promise<void> {
    const known = await this.#log.snapshot((tx) => this.#consumed(tx));
    let ranges = 0;
    while (known.get(ranges)?.verified) ranges++;
    this.#through = ranges === 0 ? origin : rangeEnd(ranges - 1);
    this.#open = noSums;
  }

  /** Scans up to `position`, which the reader has passed with every slot, or until `cancelled`. Answers the first range that differs. */
  async advance(position: Position, cancelled: () => boolean): Promise<Mismatch | undefined> {
    while (comparePositions(this.#through, position) < 0 && !cancelled()) {
      const range = rangeOf((this.#through + 1) as Position);
      const upTo = [(this.#through + stepPositions) as Position, rangeEnd(range), position].reduce(earlierPosition);
      const sums = summed(this.#open, await this.#log.snapshot((tx) => this.#events(tx, upTo)));
      const ends = upTo === rangeEnd(range);
      const mismatch = ends ? await this.#close(range, sums) : undefined;
      if (mismatch) return mismatch;
      this.#open = ends ? noSums : sums;
      this.#through = upTo;
      await this.#log.host.timers.turn();
    }
    return undefined;
  }

  /** How many positions are left to scan for `complete`. */
  left({ slots, position }: Reached): number {
    return laterPosition(highest(slots), position) - this.#through;
  }

  /** Compares all that is left, up to what the reader has reached in this very snapshot. */
  async complete(tx: ReadTransaction, { slots, position }: Reached): Promise<Mismatch | undefined> {
    const end = laterPosition(highest(slots), position);
    // An event that was discarded has passed by the key under which it was, whatever this version makes of it.
    const discards = await tx.parking.discards({ reader: this.#definition.name, source: this.#log.store });
    const discarded = new Map(discards.map(({ eventId, key }) => [eventId, key]));
    const isConsumed = (event: StoredEvent): boolean => {
      const key = discarded.get(event.id) ?? keyedIn(this.#definition, this.#codec, event).key;
      const slot = slots[slotOf(key, slots.length)];
      return slot !== undefined && comparePositions(event.position, slot.position) <= 0;
    };
    const events = (await this.#events(tx, end)).filter((event) => comparePositions(event.position, position) <= 0 || isConsumed(event));
    const consumed = await this.#consumed(tx);
    const first = rangeOf((this.#through + 1) as Position);
    for (let range = first; range <= rangeOf(end); range++) {
      const own = events.filter((event) => rangeOf(event.position) === range);
      const mismatch = compared(range, summed(range === first ? this.#open : noSums, own), consumed.get(range));
      if (mismatch) return mismatch;
    }
    return undefined;
  }

  /** Compares a range that has ended and remembers that it is right. */
  async #close(range: number, logged: Sums): Promise<Mismatch | undefined> {
    const { name: reader, version } = this.#definition;
    const mismatch = compared(range, logged, (await this.#log.snapshot((tx) => this.#consumed(tx))).get(range));
    if (mismatch) return mismatch;
    await this.#log.transact((tx) => tx.addConsumed([{ reader, version, range, ...noSums, verified: true }]), { derived: true });
    this.#log.host.reached("rebuild.verified");
    return undefined;
  }

  #events(tx: ReadTransaction, upTo: Position): Promise<StoredEvent[]> {
    const after = this.#through;
    return tx.events({ after, upTo, limit: Math.max(0, upTo - after), types: this.#types });
  }

  async #consumed(tx: ReadTransaction): Promise<Map<number, ConsumedRange>> {
    const rows = await tx.consumed(this.#definition.name, this.#definition.version);
    return new Map(rows.map((row) => [row.range, row]));
  }
}

function highest(slots: readonly Checkpoint[]): Position {
  return slots.map((slot) => slot.position).reduce(laterPosition, origin);
}

function compared(range: number, logged: Sums, row: ConsumedRange | undefined): Mismatch | undefined {
  const { events, sumA, sumB } = row ?? noSums;
  const consumed = { events, sumA, sumB };
  if (sameSums(consumed, logged)) return undefined;
  return { from: (range === 0 ? 1 : rangeEnd(range - 1) + 1) as Position, to: rangeEnd(range), consumed, logged };
}
