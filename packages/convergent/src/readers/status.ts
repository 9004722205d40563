/** What a reader says of itself when somebody asks: lag, who owns its slots, what is set aside. */
import type { Lease } from "../log/reader-rows.ts";
import type { Reader } from "./reader.ts";
import type { ReaderStatus, SlotCounts } from "./reader-options.ts";

/** Order keys that a status names. */
const parkedNamedMax = 20;

/** Since when each reader was seen with slots that nobody owns, on the host's elapsed clock. */
const unownedSince = new WeakMap<object, number>();

export async function statusOf<Item>(reader: Reader<Item>): Promise<ReaderStatus> {
  const { source, checkpointKey } = reader;
  const { effects } = reader.options;
  const head = await source.head();
  const position = reader.position;
  const positions = Math.max(0, head.position - position);
  const next = positions > 0 ? (await source.read({ after: position, limit: 1, ...reader.filter })).events[0] : undefined;
  const { leases, parked } = await effects.snapshot(async (tx) => ({
    leases: await tx.ownership.leases(checkpointKey),
    parked: await tx.parking.count(checkpointKey),
  }));
  const first = parked.keys > 0 ? (await effects.snapshot((tx) => tx.parking.keys(checkpointKey))).slice(0, parkedNamedMax) : [];
  return {
    name: reader.name,
    version: reader.version,
    source: source.store,
    state: reader.state,
    position,
    head: head.position,
    lag: { positions, ms: next ? Math.max(0, effects.host.clock.now() - next.at) : 0 },
    visibilityMs: reader.visibility,
    failure: reader.failure,
    slots: slotCounts(reader, leases),
    parked: { keys: parked.keys, events: parked.events, first },
  };
}

/** Who owns the reader's slots now. */
export async function slotsOf<Item>(reader: Reader<Item>): Promise<SlotCounts> {
  return slotCounts(reader, await reader.options.effects.snapshot((tx) => tx.ownership.leases(reader.checkpointKey)));
}

function slotCounts<Item>(reader: Reader<Item>, leases: readonly Lease[]): SlotCounts {
  const { membership } = reader;
  const live = new Set(membership.live.map((member) => member.id));
  const owned = leases.filter((lease) => lease.owner === membership.id).length;
  const unowned = leases.filter((lease) => !live.has(lease.owner)).length;
  const now = reader.options.effects.host.clock.elapsed();
  if (unowned === 0) unownedSince.delete(reader);
  else if (!unownedSince.has(reader)) unownedSince.set(reader, now);
  return {
    total: leases.length,
    owned,
    elsewhere: leases.length - owned - unowned,
    unowned,
    unownedMs: unowned === 0 ? 0 : now - (unownedSince.get(reader) as number),
  };
}
