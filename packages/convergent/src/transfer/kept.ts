/**
 * What is kept of readers and persons beside the log, because no log tells it: how far reactions are and what they have set aside,
 * what was discarded, and who is still to be forgotten. Views are derived again.
 */
import type { Forgetting } from "../log/history-rows.ts";
import type { Discard, ParkedEvent } from "../log/reader-rows.ts";
import type { Checkpoint, ReadTransaction, WriteTransaction } from "../log/store.ts";

export interface Kept {
  readonly checkpoints: readonly Checkpoint[];
  readonly parked: readonly ParkedEvent[];
  readonly discards: readonly Discard[];
  readonly forgettings: readonly Forgetting[];
}

/** To be read in one snapshot with the head: a reaction's effects up to there are in the log, and none beyond. */
export async function keptOf(tx: ReadTransaction): Promise<Kept> {
  const views = new Set((await tx.definitions()).map(({ name }) => name));
  const checkpoints = (await tx.checkpoints()).filter((row) => !views.has(row.reader));
  const parked: ParkedEvent[] = [];
  for (const key of await tx.parking.keys())
    if (!views.has(key.reader)) parked.push(...(await tx.parking.events(key, key.key, Number.MAX_SAFE_INTEGER)));
  return { checkpoints, parked, discards: await tx.parking.discards(), forgettings: await tx.persons.forgettings() };
}

/** Into a store that has none of it. */
export async function saveKept(tx: WriteTransaction, kept: Kept): Promise<void> {
  await tx.saveCheckpoints(kept.checkpoints);
  await tx.parking.saveEvents(kept.parked);
  await tx.parking.saveDiscards(kept.discards);
  for (const forgetting of kept.forgettings) await tx.persons.beginForgetting(forgetting);
}
