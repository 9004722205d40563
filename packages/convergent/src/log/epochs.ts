/** Which part of a store's history is still the same after restores (L5): an epoch holds up to where the next one begins. */
import { comparePositions, origin, type Position } from "../position/position.ts";
import type { Epoch } from "./store.ts";

/** The last position up to which the present log is what it was in epoch `id`; undefined when nothing is known against it. */
export function forkAfter(epochs: readonly Epoch[], id: string): Position | undefined {
  const index = epochs.findIndex((epoch) => epoch.id === id);
  if (index === -1) return origin;
  const next = epochs[index + 1];
  return next && ((next.first - 1) as Position);
}

/** Whether the event at `position` of epoch `id` is part of the present log, as far as epochs tell. */
export function inPresentHistory(epochs: readonly Epoch[], id: string, position: Position): boolean {
  const fork = forkAfter(epochs, id);
  return fork === undefined || comparePositions(position, fork) <= 0;
}
