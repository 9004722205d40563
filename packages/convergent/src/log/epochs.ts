/**
 * Epochs (L5): which part of a store's history is still the same after restores, and how a new epoch begins. An epoch
 * holds up to where the next one begins.
 */
import type { Random } from "../host/host.ts";
import { advance, comparePositions, earlierPosition, origin, type Position } from "../position/position.ts";
import type { Epoch, WriteTransaction } from "./store.ts";

/** Characters of an epoch's id: 60 random bits. */
const epochIdLength = 12;

export function newEpochId(random: Random): string {
  return random.id().slice(0, epochIdLength);
}

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

/** The epoch in which the event at a position was written; for a position past head, the present one. */
export function epochAt(epochs: readonly Epoch[], position: Position): Epoch {
  return (epochs.findLast((epoch) => comparePositions(epoch.first, position) <= 0) ?? epochs[0]) as Epoch;
}

/** Begins a new epoch behind the head, as the last act of a restore or an import. Returns the fork: the last position that stays as it was. */
export async function beginEpoch(tx: WriteTransaction, random: Random): Promise<{ readonly epoch: Epoch; readonly fork: Position }> {
  const head = await tx.lock();
  const epoch: Epoch = { id: newEpochId(random), first: advance(head.position, 1) };
  await tx.beginEpoch(epoch);
  return { epoch, fork: head.position };
}

/** Somebody's word that this log once had an event: a witness, a token, a checkpoint. */
export interface Claim {
  readonly by: "witness" | "token" | "checkpoint";
  readonly epoch: string;
  readonly position: Position;
  /** How the id of the event there began; empty when it was not written down. */
  readonly check: string;
}

/** A log that turned out to be an older copy of itself, and the epoch it began because of that. */
export interface Fork {
  readonly store: string;
  readonly by: Claim["by"];
  readonly epoch: Epoch;
  /** The log is at most up to here what it was. */
  readonly fork: Position;
  /** The newest position that is known to have been written in the other history. */
  readonly lost: Position;
}

/**
 * Whether the log is what a claim says; if not, begins a new epoch behind the head, once: afterwards the claim's epoch is a
 * past one. Under the lock, because the claim may be newer than what this process knows.
 */
export async function forkIfRefuted(tx: WriteTransaction, claim: Claim, random: Random): Promise<Omit<Fork, "store"> | undefined> {
  const head = await tx.lock();
  const epochs = await tx.epochs();
  // A witness of an epoch that nobody here knows: this copy is from before that epoch. Tokens of it are told apart already.
  const unheard = claim.by === "witness" && !epochs.some((epoch) => epoch.id === claim.epoch);
  if (epochs.at(-1)?.id !== claim.epoch && !unheard) return undefined;
  const query = { after: (claim.position - 1) as Position, upTo: claim.position, limit: 1 };
  const [event] = claim.position === origin ? [] : await tx.events(query);
  if (!unheard && (claim.position === origin || event?.id.startsWith(claim.check))) return undefined;
  const { epoch } = await beginEpoch(tx, random);
  const fork = earlierPosition(head.position, (claim.position - 1) as Position);
  return { by: claim.by, epoch, fork, lost: claim.position };
}
