/**
 * Letting a reader go on after the log that it follows was restored: its checkpoint, past the fork, is put back into the
 * present history. What the lost history caused stays; events that are met a second time have the same ids, so that their
 * commands have no second effect (L4). To be called while no process runs the reader.
 */
import { ConvergentError } from "../errors/error.ts";
import { forkAfter } from "../log/epochs.ts";
import type { Checkpoint, CheckpointKey, Epoch, WriteTransaction } from "../log/store.ts";
import { comparePositions, earlierPosition, type Position } from "../position/position.ts";

/** The log that a reader follows, as it is now. */
export interface PresentLog {
  readonly store: string;
  readonly epochs: readonly Epoch[];
  readonly head: Position;
}

/** Where a reader goes on: behind what stayed of the history it knew, behind everything there is now, or behind a position. */
export type ContinueFrom = "fork" | "head" | Position;

/** One version of a reader that was put back. */
export interface Continued extends CheckpointKey {
  /** What its slots had reached at most, in the history that is lost. */
  readonly reached: Position;
  /** Behind this position it goes on; slots that were further behind stay there when that is the fork. */
  readonly position: Position;
  /** Events that were set aside and do not exist any more. */
  readonly removed: number;
}

/**
 * Puts the checkpoints of a reader, in all versions, into the present history of a log. Empty when they are in it already
 * and nothing else is asked. Throws `not_found`, `invalid_input` for a position past the head.
 */
export async function continueReader(
  tx: WriteTransaction,
  reader: string,
  log: PresentLog,
  from: ContinueFrom = "fork",
): Promise<readonly Continued[]> {
  const rows = (await tx.checkpoints()).filter((row) => row.reader === reader && row.source === log.store);
  if (rows.length === 0) throw new ConvergentError("not_found", `no reader "${reader}" follows ${log.store} here`);
  if (typeof from === "number" && comparePositions(from, log.head) > 0)
    throw new ConvergentError("invalid_input", `${log.store} ends at position ${log.head}: "${reader}" cannot go on behind ${from}`);
  const continued: Continued[] = [];
  for (const slots of Map.groupBy(rows, ({ version }) => version).values()) {
    const done = await continueVersion(tx, slots, log, from);
    if (done) continued.push(done);
  }
  return continued;
}

async function continueVersion(
  tx: WriteTransaction,
  slots: readonly Checkpoint[],
  log: PresentLog,
  from: ContinueFrom,
): Promise<Continued | undefined> {
  const { reader, version, source } = slots[0] as Checkpoint;
  const key = { reader, version, source };
  const forks = slots.map((row) => forkAfter(log.epochs, row.epoch));
  if (from === "fork" && forks.every((fork) => fork === undefined)) return undefined;
  const common = forks.map((fork) => fork ?? log.head).reduce(earlierPosition);
  const target = from === "fork" ? earlierPosition(common, log.head) : from === "head" ? log.head : from;
  const epoch = (log.epochs.at(-1) as Epoch).id;
  await tx.saveCheckpoints(
    slots.map((row) => ({ ...row, epoch, check: "", position: from === "fork" ? earlierPosition(row.position, target) : target })),
  );
  const reached = Math.max(...slots.map((row) => row.position)) as Position;
  return { ...key, reached, position: target, removed: await removeLost(tx, key, earlierPosition(common, target)) };
}

/** What was set aside of the lost history cannot be read again; behind an earlier position everything is met anew. */
async function removeLost(tx: WriteTransaction, of: CheckpointKey, after: Position): Promise<number> {
  let removed = 0;
  for (const { key } of await tx.parking.keys(of)) {
    const events = await tx.parking.events(of, key, Number.MAX_SAFE_INTEGER);
    const lost = events.filter(({ position }) => comparePositions(position, after) > 0).map(({ position }) => position);
    if (lost.length > 0) await tx.parking.removeEvents(of, key, lost);
    removed += lost.length;
  }
  return removed;
}
