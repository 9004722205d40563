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
  return slots.every((slot) => {
    // By slot, and from the first on; a map of them was a tenth of a small batch.
    const lease = leases[slot]?.slot === slot ? leases[slot] : leases.find((each) => each.slot === slot);
    return lease?.owner === member && lease.fence === fences.get(slot);
  });
}

/** Takes the slots of a reader from everybody. */
export async function revoke(tx: WriteTransaction, key: CheckpointKey): Promise<void> {
  const owned = (await tx.ownership.leases(key)).filter((lease) => lease.owner !== "");
  if (owned.length > 0) await tx.ownership.saveLeases(owned.map((lease) => ({ ...lease, owner: "", fence: lease.fence + 1 })));
}
