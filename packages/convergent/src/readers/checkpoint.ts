/**
 * A reader's checkpoint in its store: one row a slot, made when the reader is first run. What lies in the rows is
 * written by the slots' owners only, in the transaction of the effects (R2, R3).
 */
import { ConvergentError } from "../errors/error.ts";
import { inPresentHistory } from "../log/epochs.ts";
import type { LogSource, Seen } from "../log/source.ts";
import type { Checkpoint, CheckpointKey, Epoch, Head, WriteTransaction } from "../log/store.ts";
import { comparePositions, laterPosition, origin, type Position } from "../position/position.ts";
import { type Holding, holds } from "./fence.ts";
import { SlotPlaces, type SlotRow } from "./slot-places.ts";

/** Characters of an event's id that a row keeps: 20 random bits. */
const checkLength = 4;

/** What a reader has reached in its own store by a position of its source. */
export interface Reach {
  /** Position of the effects' own log. */
  readonly reached: Position;
  /** Positions of further stores that the source had seen by then. */
  readonly seen: Seen;
}

export interface FirstRows {
  readonly key: CheckpointKey;
  readonly epoch: Epoch;
  readonly slots: number;
  readonly from: Position;
  /** Go on where an earlier version of this reader stands. */
  readonly inherits: boolean;
}

/** The reader's rows, by slot; makes them when there are none. */
export async function ensureRows(tx: WriteTransaction, first: FirstRows): Promise<readonly Checkpoint[]> {
  const { key } = first;
  const rows = await tx.checkpoints(key);
  if (rows.length > 0) return rows;
  const earlier = first.inherits ? newestBefore(key, await tx.checkpoints()) : [];
  const place = { epoch: first.epoch.id, position: first.from, reached: origin, seen: "{}", check: "" };
  const made = (earlier.length > 0 ? earlier : Array.from({ length: first.slots }, (_, slot) => ({ ...place, slot }))).map(
    (row): Checkpoint => ({ ...row, ...key }),
  );
  await tx.saveCheckpoints(made);
  if (earlier[0]) await inheritParked(tx, key, earlier[0]);
  return made;
}

/** What the earlier version has set aside waits in this one too: behind its position nothing else would apply it (R4). */
async function inheritParked(tx: WriteTransaction, key: CheckpointKey, earlier: CheckpointKey): Promise<void> {
  for (const { key: orderKey } of await tx.parking.keys(earlier)) {
    const events = await tx.parking.events(earlier, orderKey, Number.MAX_SAFE_INTEGER);
    await tx.parking.saveEvents(events.map((event) => ({ ...event, ...key })));
  }
}

/** What is written with some slots' new positions. */
export interface Progress {
  readonly rows: readonly SlotRow[];
  readonly reach: Reach;
  /** The event that lies at the highest of these positions, when it is at hand. */
  readonly event: { readonly position: Position; readonly id: string } | undefined;
}

export class CheckpointRows {
  readonly places: SlotPlaces;
  readonly #key: CheckpointKey;
  readonly #source: LogSource;
  #reach: Reach;
  /** They were written, and it is not known here whether that was committed. */
  #unsure = false;

  /** `fences` are those of the slots that this process owns. */
  constructor(key: CheckpointKey, source: LogSource, rows: readonly Checkpoint[], fences: ReadonlyMap<number, number>) {
    this.#key = key;
    this.#source = source;
    this.#reach = reachOf(rows);
    this.places = new SlotPlaces(rows, fences);
  }

  get reach(): Reach {
    return this.#reach;
  }

  /** Takes over what other processes have written beside the positions. */
  took(rows: readonly Checkpoint[]): void {
    this.#reach = reachOf(rows);
  }

  /** Whether no other process has moved or removed the rows. */
  unmoved(rows: readonly Checkpoint[]): boolean {
    return rows.length === this.places.count && rows.every(({ slot, position }) => position === this.places.storedOf(slot));
  }

  /** R3, R2: whether a member holds these slots still, and their rows are as remembered: a commit whose answer was lost may have moved them. */
  async mayWrite(tx: WriteTransaction, holding: Holding): Promise<boolean> {
    if (!(await holds(tx, this.#key, holding))) return false;
    if (!this.#unsure) return true;
    const stored = new Map((await tx.checkpoints(this.#key)).map(({ slot, position }) => [slot, position]));
    return holding.slots.every((slot) => stored.get(slot) === this.places.storedOf(slot));
  }

  /** Writes rows; what it returns is to be called once the transaction is known to have committed. */
  async save(tx: WriteTransaction, { rows, reach, event }: Progress): Promise<() => void> {
    const seen = JSON.stringify(reach.seen);
    this.#unsure ||= rows.length > 0;
    // The present one: it begins behind everything that this reader had applied when it began.
    const epoch = (this.#source.epochs.at(-1) as Epoch).id;
    await tx.saveCheckpoints(
      rows.map(({ slot, position }): Checkpoint => {
        const check = event?.position === position ? event.id.slice(0, checkLength) : "";
        return { ...this.#key, slot, epoch, position, reached: reach.reached, seen, check };
      }),
    );
    return () => {
      this.#unsure &&= rows.length === 0;
      this.places.wrote(rows);
      this.#reach = reach;
    };
  }
}

// The effects of all slots had reached the highest of what the rows say, and the source had seen the lowest.
function reachOf(rows: readonly Checkpoint[]): Reach {
  const all = rows.map((row) => JSON.parse(row.seen) as Seen);
  const seen: Record<string, Seen[string]> = {};
  for (const [store, first] of Object.entries(all[0] ?? {})) {
    const known = all.map((each) => each[store]).filter((each) => each?.epoch === first.epoch);
    if (known.length === all.length) seen[store] = { epoch: first.epoch, position: Math.min(...known.map((each) => each?.position ?? 0)) };
  }
  return { reached: rows.map((row) => row.reached).reduce(laterPosition, origin), seen };
}

/**
 * L5: a checkpoint past the fork, above head, or with another event at its position was made by a history that is gone.
 * Throws `token_epoch`.
 */
export async function requireSameHistory(rows: readonly Checkpoint[], source: LogSource, head: Head): Promise<void> {
  for (const row of rows) {
    const known = inPresentHistory(source.epochs, row.epoch, row.position) && comparePositions(row.position, head.position) <= 0;
    if (!known) throw await otherHistory(row, source, head);
  }
  const [highest] = rows.filter((row) => row.check !== "").sort((a, b) => comparePositions(b.position, a.position));
  if (!highest) return;
  const { events } = await source.read({ after: (highest.position - 1) as Position, limit: 1 });
  const event = events[0];
  if (event && event.position === highest.position && !event.id.startsWith(highest.check)) throw await otherHistory(highest, source, head);
}

async function otherHistory(row: Checkpoint, source: LogSource, head: Head): Promise<ConvergentError> {
  await source.doubt({ by: "checkpoint", epoch: row.epoch, position: row.position, check: row.check });
  return new ConvergentError(
    "token_epoch",
    `the reader ${row.reader} has applied ${row.source} up to ${row.position}, but that log was restored and now stands at ${head.position}; a reaction goes on after: convergent reader continue ${row.reader} --store FILE, a view is built again after: convergent view reset ${row.reader} --store FILE`,
    { details: { reader: row.reader, position: row.position, head: head.position } },
  );
}

/** The rows of the same reader's newest version before this one. */
function newestBefore(key: CheckpointKey, all: readonly Checkpoint[]): Checkpoint[] {
  const earlier = all.filter((row) => row.reader === key.reader && row.source === key.source && row.version < key.version);
  const newest = Math.max(...earlier.map((row) => row.version));
  return earlier.filter((row) => row.version === newest).sort((a, b) => a.slot - b.slot);
}
