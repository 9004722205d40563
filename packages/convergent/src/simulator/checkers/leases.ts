/**
 * R3: under one fence a slot has one owner, for ever. Otherwise a commit that its earlier owner began before it lost the slot would
 * still fit when it gets it back. What was committed before a power cut or a restore may be gone, and is not compared.
 */
import type { HistoryRecord, Violation } from "../history.ts";
import { slotName } from "./readers.ts";

export function checkLeases(history: Iterable<HistoryRecord>): Violation[] {
  const found: Violation[] = [];
  const owners = new Map<string, string>();
  for (const record of history) {
    if (record.kind === "lineage" || record.kind === "power") owners.clear();
    if (record.kind !== "lease" || record.owner === "") continue;
    const { owner, fence, t } = record;
    const lease = `${slotName(record)} under the fence ${fence}`;
    const before = owners.get(lease) ?? owner;
    owners.set(lease, owner);
    if (before !== owner) found.push({ checker: "leases", message: `${lease} went from ${before} to ${owner} at ${Math.round(t)} ms` });
  }
  return found;
}
