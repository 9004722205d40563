/**
 * How far a reader's rows are in a snapshot, by what lies in that snapshot alone: its checkpoint rows, and the events of
 * interest between them and its head. For snapshots of a replica, of which this process's own reader knows nothing.
 *
 * A batch writes the rows of the slots that had events, so most rows are older than what they stand for; which slot an event
 * belongs to is worked out from the event. That is a fact of the log, as true in any copy of it, and the newest of these facts
 * are remembered for as long as the log's epoch is the same.
 */
import { EventTypes } from "../log/event-types.ts";
import type { StoredEvent } from "../log/event.ts";
import type { Checkpoint, ReadTransaction } from "../log/store.ts";
import { comparePositions, earlierPosition, origin, type Position } from "../position/position.ts";
import type { AnyReader } from "./inboxes.ts";
import { slotOf } from "./slots.ts";

/** Events that one snapshot is asked for; behind more of them, what follows counts as not applied. */
const scanMax = 1_000;
/** Events whose slots are remembered. */
const rememberedMax = 8_192;

/** An event of interest and its slot; any slot where that cannot be worked out. */
interface Placed {
  readonly position: Position;
  readonly slot: number | "any";
}

/** A stretch of the log that was looked through: what is of interest after `from` up to `to`. */
interface Stretch {
  readonly epoch: string;
  readonly slots: number;
  readonly from: Position;
  readonly to: Position;
  readonly events: readonly Placed[];
}

/** What a snapshot holds of the reader, with its epoch and head; and an order key, if the question is for one. */
export interface PlaceQuestion {
  readonly rows: readonly Checkpoint[];
  readonly epoch: string;
  readonly head: Position;
  readonly key: string | undefined;
}

export class SnapshotPlace {
  readonly #reader: () => AnyReader;
  readonly #types = new EventTypes();
  #known: Stretch = { epoch: "", slots: 0, from: origin, to: origin, events: [] };

  constructor(reader: () => AnyReader) {
    this.#reader = reader;
  }

  /** Everything up to here is applied or set aside in the snapshot: for one order key, or for all. */
  async of(tx: ReadTransaction, { rows, epoch, head, key }: PlaceQuestion): Promise<Position> {
    if (rows.length === 0) return origin;
    const slots = rows.length;
    const only = key === undefined ? undefined : slotOf(key, slots);
    const wanted = rows.filter((row) => only === undefined || row.slot === only);
    const lowest = wanted.map((row) => row.position).reduce(earlierPosition);
    if (comparePositions(lowest, head) >= 0) return head;
    const { events, to } = await this.#through(tx, { epoch, slots, from: lowest, to: head });
    const positions = new Map(wanted.map((row) => [row.slot as Placed["slot"], row.position]));
    positions.set("any", lowest);
    for (let index = firstAfter(events, lowest); index < events.length; index++) {
      const { slot, position } = events[index] as Placed;
      const row = positions.get(slot);
      if (row !== undefined && comparePositions(row, position) < 0) return earlierPosition((position - 1) as Position, head);
    }
    return earlierPosition(to, head);
  }

  /** What is of interest in a stretch, and perhaps before and behind it; up to where it was too much. */
  async #through(tx: ReadTransaction, { epoch, slots, from, to }: Omit<Stretch, "events">): Promise<Stretch> {
    const known = this.#known;
    const isSame = known.epoch === epoch && known.slots === slots;
    const isUseful = isSame && comparePositions(known.from, from) <= 0 && comparePositions(from, known.to) <= 0;
    if (isUseful && comparePositions(to, known.to) <= 0) return known;
    const begun = isUseful ? known : { epoch, slots, from, to: from, events: [] };
    const types = await this.#types.of(this.#reader().filter, tx);
    const stored = await tx.events({ after: begun.to, upTo: to, limit: scanMax, ...types });
    const found: Stretch = {
      ...begun,
      to: stored.length < scanMax ? to : (stored.at(-1) as StoredEvent).position,
      events: [...begun.events, ...stored.map((event) => this.#placed(event, slots))],
    };
    // Others may have looked further meanwhile.
    if (this.#known === known || comparePositions(found.to, this.#known.to) > 0) this.#known = newest(found);
    return found;
  }

  #placed(event: StoredEvent, slots: number): Placed {
    const { orderKey, prepare } = this.#reader().options;
    const { position } = event;
    if (orderKey === "stream") return { position, slot: slotOf(event.stream, slots) };
    try {
      return { position, slot: slotOf(orderKey(prepare(event)), slots) };
    } catch {
      return { position, slot: "any" }; // its reader meets the failure, and stands before it until then
    }
  }
}

function firstAfter(events: readonly Placed[], position: Position): number {
  let low = 0;
  let high = events.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (comparePositions((events[middle] as Placed).position, position) <= 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

function newest(stretch: Stretch): Stretch {
  const over = stretch.events.length - rememberedMax;
  if (over <= 0) return stretch;
  return { ...stretch, from: (stretch.events[over - 1] as Placed).position, events: stretch.events.slice(over) };
}
