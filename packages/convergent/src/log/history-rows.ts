/** What a store keeps about the events of its log: their types, states of long streams, and whose data they hold. */
import type { StoredEvent } from "./event.ts";

/** A state of a stream, kept so that it need not be folded from the first event on. Derived: it may be missing or old. */
export interface Snapshot {
  readonly stream: string;
  /** Of the entity's snapshot definition: states of two versions never mix. */
  readonly version: number;
  /** Version of the stream that the state is the fold of, and the id of the event there: what lies past a restore is told by it. */
  readonly at: number;
  readonly eventId: string;
  /** JSON text. */
  readonly state: string;
}

export interface SnapshotReads {
  of(stream: string, version: number): Promise<Snapshot | undefined>;
}

export interface SnapshotWrites extends SnapshotReads {
  /** Replaces the one there is. */
  save(snapshot: Snapshot): Promise<void>;
  /** Those of streams, in all versions. */
  drop(streams: readonly string[]): Promise<void>;
}

/** The wish that a person be forgotten, written before anything is destroyed, so that it is fulfilled whatever happens in between. */
export interface Forgetting {
  /** Pseudonym of the person. */
  readonly person: string;
  readonly reason: string;
  /** Empty when nobody was named. */
  readonly actor: string;
}

export interface PersonReads {
  /** Events with sealed data of a person, oldest first, after a position, at most `limit`. */
  events(person: string, query: { after: number; limit: number }): Promise<StoredEvent[]>;
  forgettings(): Promise<Forgetting[]>;
}

export interface PersonWrites extends PersonReads {
  beginForgetting(row: Forgetting): Promise<void>;
  endForgetting(person: string): Promise<void>;
}
