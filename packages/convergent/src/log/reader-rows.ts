/**
 * Rows about readers beside their checkpoints: which processes run which readers, who owns which slot (R3), and the
 * events that are set aside (R4). Tables and questions only; the rules are in `readers/`.
 */
import type { Position } from "../position/position.ts";
import type { CheckpointKey } from "./store.ts";

/** A process that runs readers of this store. */
export interface Member {
  readonly id: string;
  /** Where it runs and which process it is there, as `host.processes` says. */
  readonly place: string;
  readonly process: string;
  /** Goes up while it lives and others look on; what it counts means nothing. */
  readonly beat: number;
  /** The readers it runs. */
  readonly readers: readonly CheckpointKey[];
}

/** Who owns a slot of a reader. */
export interface Lease extends CheckpointKey {
  readonly slot: number;
  /** Id of a member; empty when nobody owns it. */
  readonly owner: string;
  /** Goes up by one with every change of owner. */
  readonly fence: number;
}

/** What one member holds, to be compared with what it believes to hold. */
export interface Holdings {
  readonly leases: number;
  /** Sum of their fences. */
  readonly fences: number;
}

/** Questions about processes and the slots they own. */
export interface OwnershipReads {
  members(): Promise<Member[]>;
  /** Of one reader, by slot; of all without a key. */
  leases(key?: CheckpointKey): Promise<Lease[]>;
  held(owner: string): Promise<Holdings>;
}

/** Changes of who owns what. */
export interface OwnershipWrites extends OwnershipReads {
  saveMember(member: Member): Promise<void>;
  removeMember(id: string): Promise<void>;
  saveLeases(leases: readonly Lease[]): Promise<void>;
}

/** `waiting`: behind an earlier event of its key. `retrying`: tried again by itself. `parked`: until somebody asks for it. */
export type ParkedState = "waiting" | "retrying" | "parked";

/** What an operator asks the owner of a slot to do with an event that is set aside. */
export interface ParkedRequest {
  readonly kind: "replay" | "discard";
  readonly reason: string;
  readonly by: string;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** An event that a reader has set aside with all later ones of its order key (R4). */
export interface ParkedEvent extends CheckpointKey {
  readonly slot: number;
  /** Order key. */
  readonly key: string;
  readonly position: Position;
  readonly eventId: string;
  readonly type: string;
  readonly state: ParkedState;
  /** Empty while it waits behind another one. */
  readonly error: string;
  readonly attempts: number;
  /** When it was set aside, in milliseconds since 1970. */
  readonly since: number;
  readonly request?: ParkedRequest;
}

/** An order key that is set aside: its first event, and how many there are. */
export interface ParkedKey extends ParkedEvent {
  readonly events: number;
}

/** An event that a reader, in whatever version, shall never apply. Kept for ever. */
export interface Discard {
  readonly reader: string;
  readonly source: string;
  readonly eventId: string;
  readonly position: Position;
  readonly type: string;
  readonly key: string;
  /** What made it fail. */
  readonly error: string;
  readonly reason: string;
  readonly by: string;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** Questions about events that are set aside or discarded. */
export interface ParkingReads {
  /** The events set aside of one order key, oldest first, at most `limit`. */
  events(of: CheckpointKey, key: string, limit: number): Promise<ParkedEvent[]>;
  /** The order keys set aside, of one reader or of all, by their first position. */
  keys(of?: CheckpointKey): Promise<ParkedKey[]>;
  /** How many order keys and events of a reader are set aside, and the first of these events. */
  count(of: CheckpointKey): Promise<{ readonly keys: number; readonly events: number; readonly first: Position | undefined }>;
  /** Order keys of which something is asked. */
  requested(): Promise<ParkedKey[]>;
  /** Of one reader and source, or of all, oldest first. */
  discards(of?: { readonly reader: string; readonly source: string }): Promise<Discard[]>;
  discarded(): Promise<number>;
}

/** Changes of what is set aside or discarded. */
export interface ParkingWrites extends ParkingReads {
  saveEvents(rows: readonly ParkedEvent[]): Promise<void>;
  removeEvents(of: CheckpointKey, key: string, positions: readonly Position[]): Promise<void>;
  saveDiscards(rows: readonly Discard[]): Promise<void>;
}
