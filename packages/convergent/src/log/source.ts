/**
 * A log as its readers see it, wherever it is: in this process or, through a channel, elsewhere.
 */
import type { Position } from "../position/position.ts";
import type { StoredEvent } from "./event.ts";
import type { Claim } from "./epochs.ts";
import type { Epoch, Head } from "./store.ts";

/** Up to which position of further stores a log holds all that they caused. */
export type Seen = Readonly<Record<string, { readonly epoch: string; readonly position: number }>>;

/** Which events are asked for; all without `types`. */
export interface EventFilter {
  readonly types?: readonly string[];
  /** Further types that the log may hold: those for which this answers true are read too. */
  readonly others?: (type: string) => boolean;
}

/** A run of the log. */
export interface LogPage {
  readonly events: readonly StoredEvent[];
  /** Every event that was asked for, up to and including this position, is in `events` or was in an earlier page. */
  readonly scanned: Position;
  /** The newest event known when the page was read. */
  readonly head: Head;
}

/** A log as its readers see it: this service's own, or another one's through a channel. */
export interface LogSource {
  /** The name of the store. */
  readonly store: string;
  /** In order; the last one is the present epoch. */
  readonly epochs: readonly Epoch[];
  /** Events after a position, oldest first, at most `limit`, only those that the filter lets through. */
  read(query: { after: Position; limit: number } & EventFilter): Promise<LogPage>;
  head(): Promise<Head>;
  /** What this log had seen of others when it was at a position that is at or before the one returned. */
  seen(): Promise<{ readonly at: Position; readonly seen: Seen }>;
  /** Tells the log what somebody knows of it that it does not hold: it may be an older copy of itself (L5). */
  doubt(claim: Claim): Promise<void>;
  /** Calls `listener` when there may be more to read; a hint, which may be lost. Returns how to stop it. */
  onAdvance(listener: () => void): () => void;
}
