/**
 * Copies of a store that follow it by themselves and answer reads. Nothing that this process knows of its own store says how far
 * they are: each snapshot says it itself, by the rows that lie in it.
 */
import type { Position } from "../position/position.ts";
import type { ReadTransaction } from "./store.ts";

/**
 * `starting`: not looked at yet. `behind`: by more than its limit. `unreachable`: it does not answer. `refused`: it is of another
 * store, history or release, or has not got so far. `promoted`: it takes writes of its own, and is never used again.
 */
export type ReplicaState = "starting" | "ready" | "behind" | "unreachable" | "refused" | "promoted";

/** How one replica is doing. */
export interface ReplicaStatus {
  /** Its address, without a password. */
  readonly place: string;
  readonly state: ReplicaState;
  /** Positions of the primary's log that it lacked, and the age of the oldest of them, when it was last looked at. */
  readonly lag: { readonly positions: number; readonly ms: number };
  /** Snapshots of it that were read from. */
  readonly reads: number;
  /** Why it is not used; of one that is, what last failed there. */
  readonly error?: string;
}

/** What is asked of a replica before it is read from. */
export interface Near {
  /** Its log holds this position. */
  readonly position: Position;
  /** So long one is waited for that does. */
  readonly waitMs: number;
}

/** The replicas of a store. */
export interface Replicas {
  /**
   * Runs `body` on a snapshot of a replica; if it fails there, on one of another. `undefined` when none is near enough in time or
   * could answer: the store itself is to be asked then, which also says what was wrong with the question.
   */
  read<T extends object>(near: Near, body: (tx: ReadTransaction) => Promise<T>): Promise<T | undefined>;
  /** The store's own newest position as it was last looked at, and how many milliseconds ago that look began. */
  primary(): { readonly position: Position; readonly ageMs: number };
  status(): ReplicaStatus[];
}
