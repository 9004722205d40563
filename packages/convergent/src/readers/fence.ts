/** Whose slots they are, asked in the very transaction that writes them: a late owner's commit is rolled back (R3). */
import type { CheckpointKey, WriteTransaction } from "../log/store.ts";

/** Slots, and the fences under which a member believes to hold them. */
export interface Holding {
  readonly member: string;
  readonly fences: ReadonlyMap<number, number>;
  readonly slots: readonly number[];
}

/** Whether the member holds all these slots still, under the same fences. */
export async function holds(tx: WriteTransaction, key: CheckpointKey, { member, fences, slots }: Holding): Promise<boolean> {
  const leases = await tx.ownership.leases(key);
  const held = new Map(leases.filter((lease) => lease.owner === member).map((lease) => [lease.slot, lease.fence]));
  return slots.every((slot) => held.has(slot) && held.get(slot) === fences.get(slot));
}

/** Takes the slots of a reader from everybody. */
export async function revoke(tx: WriteTransaction, key: CheckpointKey): Promise<void> {
  const owned = (await tx.ownership.leases(key)).filter((lease) => lease.owner !== "");
  if (owned.length > 0) await tx.ownership.saveLeases(owned.map((lease) => ({ ...lease, owner: "", fence: lease.fence + 1 })));
}
