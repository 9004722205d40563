/**
 * A reader's checkpoint in its store: one row a slot. `stored` is what this process believes the rows to say; every
 * commit compares first, so that of two processes that read the same events only one commits its effects (R2, R3).
 */
import { ConvergentError } from "../errors/error.ts";
import type { Seen } from "../log/source.ts";
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

export class CheckpointRows {
  readonly #key: CheckpointKey;
  readonly #epoch: Epoch;
  #stored: readonly Position[];
  #reach: Reach;
  /** Whether there are rows in the store. */
  #written: boolean;

  private constructor(key: CheckpointKey, epoch: Epoch, stored: readonly Position[], rows: readonly Checkpoint[]) {
    this.#key = key;
    this.#epoch = epoch;
    this.#stored = stored;
    this.#reach = reachOf(rows);
    this.#written = rows.length > 0;
  }

  /** Reads the rows, or sets out from `from` when there are none. Throws `token_epoch` when they lie past a restore of the source. */
  static async load(
    tx: ReadTransaction,
    options: { key: CheckpointKey; epoch: Epoch; head: Head; slots: number; from: Position },
  ): Promise<CheckpointRows> {
    const rows = await tx.checkpoints(options.key);
    for (const row of rows) requireSameHistory(row, options.epoch, options.head);
    const stored = rows.length > 0 ? rows.map((row) => row.position) : Array.from({ length: options.slots }, () => options.from);
    return new CheckpointRows(options.key, options.epoch, stored, rows);
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

  /** Whether the rows are still what this process believes; if somebody moved or removed them, takes over what they say. */
  async unmoved(tx: ReadTransaction): Promise<boolean> {
    const rows = await tx.checkpoints(this.#key);
    if (rows.length === 0 && this.#written) {
      this.#stored = this.#stored.map(() => origin);
      this.#written = false;
      return false;
    }
    if (rows.every((row) => row.position === this.#stored[row.slot])) return true;
    this.#stored = rows.map((row) => row.position);
    this.#reach = reachOf(rows);
    return false;
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
function requireSameHistory(row: Checkpoint, epoch: Epoch, head: Head): void {
  const pastFork = row.epoch !== epoch.id && comparePositions(row.position, epoch.first) >= 0;
  if (!pastFork && comparePositions(row.position, head.position) <= 0) return;
  throw new ConvergentError(
    "token_epoch",
    `the reader ${row.reader} has applied ${row.source} up to ${row.position}, but that log was restored and now stands at ${head.position}; reset the reader to build it again`,
    {
      details: { reader: row.reader, position: row.position, head: head.position },
    },
  );
}
