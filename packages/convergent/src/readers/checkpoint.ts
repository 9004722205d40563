/**
 * A reader's checkpoint in its store: one row a slot. `stored` is what this process believes the rows to say; every
 * commit compares first, so that of two processes that read the same events only one commits its effects (R2, R3).
 */
import { ConvergentError } from "../errors/error.ts";
import { inPresentHistory } from "../log/epochs.ts";
import type { LogSource, Seen } from "../log/source.ts";
import type { Checkpoint, CheckpointKey, Epoch, Head, ReadTransaction, WriteTransaction } from "../log/store.ts";
import { comparePositions, earlierPosition, origin, type Position } from "../position/position.ts";
import { slotOf } from "./slots.ts";

/** What a reader has reached in its own store by a position of its source. */
export interface Reach {
  /** Position of the effects' own log. */
  readonly reached: Position;
  /** Positions of further stores that the source had seen by then. */
  readonly seen: Seen;
}

export interface LoadOptions {
  readonly key: CheckpointKey;
  readonly source: LogSource;
  readonly head: Head;
  readonly slots: number;
  readonly from: Position;
  /** Go on where an earlier version of this reader stands. */
  readonly inherits: boolean;
}

export class CheckpointRows {
  readonly #key: CheckpointKey;
  readonly #epoch: Epoch;
  #stored: readonly Position[];
  #reach: Reach;
  /** Whether there are rows in the store. */
  #written: boolean;

  private constructor(key: CheckpointKey, epoch: Epoch, stored: readonly Position[], known: { reach: Reach; written: boolean }) {
    this.#key = key;
    this.#epoch = epoch;
    this.#stored = stored;
    this.#reach = known.reach;
    this.#written = known.written;
  }

  /** Reads the rows, or sets out from `from` when there are none. Throws `token_epoch` when they lie past a restore of the source. */
  static async load(tx: ReadTransaction, options: LoadOptions): Promise<CheckpointRows> {
    const { key, source } = options;
    let rows = await tx.checkpoints(key);
    const written = rows.length > 0;
    if (!written && options.inherits) rows = newestBefore(key, await tx.checkpoints());
    for (const row of rows) requireSameHistory(row, source.epochs, options.head);
    const stored = rows.length > 0 ? rows.map((row) => row.position) : Array.from({ length: options.slots }, () => options.from);
    return new CheckpointRows(key, source.epochs.at(-1) as Epoch, stored, { reach: reachOf(rows), written });
  }

  get slots(): number {
    return this.#stored.length;
  }

  get reach(): Reach {
    return this.#reach;
  }

  /** Everything up to here is applied, whatever its key. */
  get lowest(): Position {
    return this.#stored.reduce(earlierPosition);
  }

  /** Whether all slots stand at one position, which they do unless one was held back. */
  get even(): boolean {
    return this.#stored.every((position) => position === this.#stored[0]);
  }

  of(key: string): Position {
    return this.#stored[slotOf(key, this.slots)] as Position;
  }

  /** Whether the rows are what this process believes; if somebody moved or removed them, takes over what they say. */
  async unmoved(tx: ReadTransaction): Promise<boolean> {
    const rows = await tx.checkpoints(this.#key);
    if (this.matches(rows)) return true;
    this.#stored = rows.length > 0 ? rows.map((row) => row.position) : this.#stored.map(() => origin);
    this.#reach = reachOf(rows);
    this.#written = rows.length > 0;
    return false;
  }

  /** Whether these rows are what this process believes the store to hold. */
  matches(rows: readonly Checkpoint[]): boolean {
    return rows.length === 0 ? !this.#written : rows.every((row) => row.position === this.#stored[row.slot]);
  }

  /** Writes every slot as having reached `position`; slots that are further stay. */
  async save(tx: WriteTransaction, position: Position, reach: Reach): Promise<() => void> {
    const next = this.#stored.map((stored) => (comparePositions(stored, position) > 0 ? stored : position));
    const seen = JSON.stringify(reach.seen);
    await tx.saveCheckpoints(
      next.map((place, slot): Checkpoint => ({ ...this.#key, slot, epoch: this.#epoch.id, position: place, reached: reach.reached, seen })),
    );
    // Believed only once the transaction is known to have committed.
    return () => {
      this.#written = true;
      this.#stored = next;
      this.#reach = reach;
    };
  }
}

function reachOf(rows: readonly Checkpoint[]): Reach {
  const first = rows[0];
  return first ? { reached: first.reached, seen: JSON.parse(first.seen) as Seen } : { reached: origin, seen: {} };
}

// L5: a checkpoint past the fork, or above head, was made by a history that is gone.
function requireSameHistory(row: Checkpoint, epochs: readonly Epoch[], head: Head): void {
  if (inPresentHistory(epochs, row.epoch, row.position) && comparePositions(row.position, head.position) <= 0) return;
  throw new ConvergentError(
    "token_epoch",
    `the reader ${row.reader} has applied ${row.source} up to ${row.position}, but that log was restored and now stands at ${head.position}; reset the reader to build it again`,
    { details: { reader: row.reader, position: row.position, head: head.position } },
  );
}

/** The rows of the same reader's newest version before this one. */
function newestBefore(key: CheckpointKey, all: readonly Checkpoint[]): Checkpoint[] {
  const earlier = all.filter((row) => row.reader === key.reader && row.source === key.source && row.version < key.version);
  const newest = Math.max(...earlier.map((row) => row.version));
  return earlier.filter((row) => row.version === newest).sort((a, b) => a.slot - b.slot);
}
