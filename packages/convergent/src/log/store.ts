/**
 * The store interface: tables and transactions, no rules. What an append may do is decided above it, in `admission`,
 * once for all stores; a store keeps its promises about transactions and durability:
 *
 * - `write` bodies run one at a time across all processes that opened the store; what they wrote is there for all or
 *   for none, and is on the disk before `write` resolves (L2).
 * - `read` bodies see one snapshot from their first question to their last.
 * - A body that stays open past its limit is rolled back (`transaction_timeout`).
 *
 * Every method of a transaction is asynchronous, so that a store may be a server elsewhere.
 */
import type { Host } from "../host/host.ts";
import type { Position } from "../position/position.ts";
import type { StoredEvent } from "./event.ts";
import type { KeyVault } from "./key-vault.ts";
import type { PersonReads, PersonWrites, SnapshotReads, SnapshotWrites } from "./history-rows.ts";
import type { OwnershipReads, OwnershipWrites, ParkingReads, ParkingWrites } from "./reader-rows.ts";
import type { Replicas } from "./replicas.ts";
import type { SqlRead, SqlWrite } from "./sql.ts";

/** The newest event's position and time; position 0 and time 0 in an empty log. */
export interface Head {
  readonly position: Position;
  readonly at: number;
}

/** An epoch of a store: from its first position on, history was written under this id (L5). */
export interface Epoch {
  readonly id: string;
  readonly first: Position;
}

/** What a store knows of itself. */
export interface Identity {
  /** The name of the service that owns it. */
  readonly store: string;
  /** Secret that signs tokens; made when the store was created. */
  readonly key: string;
  /** In order; the last one is the present epoch. Never empty. */
  readonly epochs: readonly Epoch[];
}

/** Where a stream stands. */
export interface StreamHead {
  readonly version: number;
  /** Position of its newest event. */
  readonly position: Position;
}

/** Names one remembered append (L4). */
export interface IdKey {
  readonly scope: string;
  readonly id: string;
}

/** What is remembered of an append (L4). */
export interface IdRecord extends IdKey {
  /** Of the input as it was received. */
  readonly digest: string;
  readonly state: "done" | "void";
  readonly stream: string;
  /** Versions the append gave, both included; 0 and 0 when voided. */
  readonly firstVersion: number;
  readonly lastVersion: number;
  /** Position of its last event. */
  readonly position: Position;
  readonly at: number;
}

/** A checkpoint's key: the source is a store and one of its epochs. */
export interface CheckpointKey {
  readonly reader: string;
  readonly version: number;
  readonly source: string;
}

/** How far one slot of a reader has come. */
export interface Checkpoint extends CheckpointKey {
  readonly slot: number;
  readonly epoch: string;
  /** Everything of this slot up to here is applied (R1). */
  readonly position: Position;
  /** Position of this store's own log which the effects had reached by then. */
  readonly reached: Position;
  /** JSON: what the source had itself seen of further stores by then: `{ store: { epoch, position } }`. */
  readonly seen: string;
  /** The first characters of the id of the event at `position` (L5); empty when it was not at hand. */
  readonly check: string;
}

/** A view's document with the entries of its declared indexes, encoded so that text order is value order. */
export interface DocumentRow {
  readonly view: string;
  readonly version: number;
  readonly key: string;
  /** JSON text; `undefined` deletes the document. */
  readonly document: string | undefined;
  readonly indexes: ReadonlyArray<{ readonly field: string; readonly value: string }>;
  /** False when the view declares no index: none of its documents has ever had an entry. */
  readonly isIndexed?: boolean;
}

/** Documents along one index, or along their keys when `field` is undefined. Text bounds, both included. */
export interface DocumentRange {
  readonly view: string;
  readonly version: number;
  readonly field: string | undefined;
  readonly from?: string;
  readonly to?: string;
  /** Further conditions: for each field, the encoded value lies between both bounds. */
  readonly where: ReadonlyArray<{ readonly field: string; readonly from?: string; readonly to?: string }>;
}

/** A page of a range, in the order (value, key). */
export interface DocumentQuery extends DocumentRange {
  /** Start after this row. */
  readonly after?: { readonly value: string; readonly key: string };
  readonly descending: boolean;
  readonly limit: number;
}

export interface DocumentHit {
  readonly key: string;
  /** Encoded value of the index the page runs along; the key itself when it runs along keys. */
  readonly value: string;
  readonly document: string;
}

/** What a store remembers about a definition whose rows it holds. */
export interface DefinitionRow {
  readonly kind: "view" | "strong-view";
  readonly name: string;
  readonly version: number;
  /** Canonical JSON of the parts of the definition that stored rows depend on. */
  readonly fingerprint: string;
  readonly state: DefinitionState;
  /** Why a build failed; empty otherwise. */
  readonly reason: string;
}

/**
 * Where a version of a view stands in its life. Of one name at most one version is `active`: that one answers reads.
 * `building`: its rows are made beside the active ones. `cancelled`, `failed`: a build that stands still. `restarting`:
 * one whose rows are being deleted, to be made again. `retired`: replaced, kept while a process uses it. `dropping`: its
 * rows are being deleted, for good.
 */
export type DefinitionState = "building" | "active" | "retired" | "cancelled" | "failed" | "restarting" | "dropping";

/** What one version of a view has consumed of one range of positions: how many events, and two sums modulo 2^32 that no order changes. */
export interface ConsumedRange {
  readonly reader: string;
  readonly version: number;
  /** The range's number, counted from 0. */
  readonly range: number;
  readonly events: number;
  readonly sumA: number;
  readonly sumB: number;
  /** A scan of the log came to the same. */
  readonly verified: boolean;
}

/** Questions to a store, all answered from one snapshot. */
export interface ReadTransaction {
  /** Each question is a message to a server elsewhere: what can be asked together, should be. */
  readonly isDistant?: boolean;
  readonly snapshots: SnapshotReads;
  readonly persons: PersonReads;
  /** Absent in a store that speaks no SQL. */
  readonly sql?: SqlRead;
  head(): Promise<Head>;
  /** The epochs as this transaction sees them: in order, the last one is the present one. */
  epochs(): Promise<readonly Epoch[]>;
  /** Events after a position, oldest first, at most `limit`, up to `upTo`; only of `types` when given. */
  events(query: { after: Position; upTo: Position; limit: number; types?: readonly string[] }): Promise<StoredEvent[]>;
  /** Types of all events ever appended, in the order of their first one, without the first `known`. */
  eventTypes(known: number): Promise<string[]>;
  /** Events of one stream with versions in (`after`, `upTo`], oldest first, at most `limit`. */
  streamEvents(stream: string, query: { after: number; upTo: number; limit: number }): Promise<StoredEvent[]>;
  /** The last events of an entity's streams, in the order of the streams' names, after the stream `after`. */
  streams(query: { entity: string; after?: string; limit: number }): Promise<StoredEvent[]>;
  /** In the order asked for; `undefined` for a stream without events. */
  streamHeads(streams: readonly string[]): Promise<Array<StreamHead | undefined>>;
  /** In the order asked for. */
  ids(keys: readonly IdKey[]): Promise<Array<IdRecord | undefined>>;
  /**
   * A page of what is remembered of appends: done ones by position, voided ones as they were voided. `after` is what the page
   * before returned as `next`; an empty page is the end.
   */
  remembered(query: { state: IdRecord["state"]; after?: number; limit: number }): Promise<{ records: IdRecord[]; next: number }>;
  /** The slots of one reader's checkpoint, by slot; of all readers without a key. */
  checkpoints(key?: CheckpointKey): Promise<Checkpoint[]>;
  /** In the order asked for. */
  documents(view: string, version: number, keys: readonly string[]): Promise<Array<string | undefined>>;
  find(query: DocumentQuery): Promise<DocumentHit[]>;
  /** How many documents a range holds: as many as all its pages together. */
  count(range: DocumentRange): Promise<number>;
  /** The keys of two documents of a range along an index (without further conditions) that have the same value, if there are any. */
  duplicate(range: DocumentRange & { readonly field: string }): Promise<readonly [string, string] | undefined>;
  /** By name and version; of one name, or of the views that are strong, when that is asked. */
  definitions(of?: { readonly name: string } | { readonly kind: "strong-view" }): Promise<DefinitionRow[]>;
  /** By range. */
  consumed(reader: string, version: number): Promise<ConsumedRange[]>;
  /** Processes and the slots they own. */
  readonly ownership: OwnershipReads;
  /** Events that readers have set aside. */
  readonly parking: ParkingReads;
}

/** A transaction that writes; all of it is committed, or nothing. */
export interface WriteTransaction extends ReadTransaction {
  readonly snapshots: SnapshotWrites;
  readonly persons: PersonWrites;
  readonly sql?: SqlRead & SqlWrite;
  /** Takes the lock under which positions are given, if the store has not taken it already, and reads the head. */
  lock(): Promise<Head>;
  /** Adds an epoch; its first position lies behind the head (L5). */
  beginEpoch(epoch: Epoch): Promise<void>;
  /** Gives the store to another owner, with the key that signs its tokens. Whoever has it open goes by the former one until it is opened again. */
  saveOwner(owner: { readonly store: string; readonly key: string }): Promise<void>;
  /** From the commit on, nothing is inserted here any more, by whatever process (`store_moved`): the log goes on at `to`. Undefined takes that back. */
  saveMove(to: string | undefined): Promise<void>;
  /** Events with their positions, the new heads of their streams, and what to remember. Throws `store_moved`. */
  insert(rows: { events: readonly StoredEvent[]; heads: ReadonlyMap<string, StreamHead>; ids: readonly IdRecord[] }): Promise<void>;
  /** Forgets done ids that are older than `before`, oldest first, at most `limit`; voided ones are kept for ever. */
  forgetIds(before: number, limit: number): Promise<void>;
  /** May resolve once it is on its way: what fails is then thrown by the next question or in place of the commit. */
  saveCheckpoints(checkpoints: readonly Checkpoint[]): Promise<void>;
  /** As `saveCheckpoints`. */
  saveDocuments(rows: readonly DocumentRow[]): Promise<void>;
  saveDefinition(row: DefinitionRow): Promise<void>;
  /** Adds to what was consumed of each range; a range of which nothing is known begins at nothing. Verified once stays verified. As `saveCheckpoints`. */
  addConsumed(ranges: readonly ConsumedRange[]): Promise<void>;
  /** Deletes documents of one version of a view, with their index entries, and says how many: less than `limit` when none are left. */
  dropDocuments(view: string, version: number, limit: number): Promise<number>;
  /** Deletes the documents, definition, checkpoints, consumed ranges, leases and parked events of a view, of one version or of all; discards stay. */
  dropView(view: string, version?: number): Promise<void>;
  readonly ownership: OwnershipWrites;
  readonly parking: ParkingWrites;
}

/** Hears of commits: of those made through the same open store (`"us"`), and of those of other processes or openings. */
export type CommitListener = (by: "us" | "others") => void;

/** What a write is about to change. */
export interface WriteOptions {
  readonly derived?: boolean;
  readonly appends?: boolean;
}

/** An open store: tables and transactions, without rules. */
export interface Store {
  /** As of this process's newest transaction: another process may have begun an epoch since. */
  readonly identity: Identity;
  readonly host: Host;
  /** Path, on the host's disk, of the file beside the store that witnesses how far it had come; not part of its copies. */
  readonly witness: string;
  /** Where the keys of persons lie; not part of the store's copies. Without one nothing can be sealed. */
  readonly vault: KeyVault | undefined;
  /** Copies elsewhere that may answer reads which say how fresh they have to be. */
  readonly replicas?: Replicas | undefined;
  read<T>(body: (tx: ReadTransaction) => Promise<T>): Promise<T>;
  /**
   * With `derived`, what is written can be derived again from what is durable: the store may answer before it is on the
   * disk. A power cut may then take it back, together with everything after it and never in part. Nothing may be
   * inserted into the log in such a transaction.
   *
   * With `appends`, it writes nothing but the log, its ids and what is derived inside the append: a store may let it run
   * beside a derived one, each of which sees what the other has committed or nothing of it.
   */
  write<T>(body: (tx: WriteTransaction) => Promise<T>, options?: WriteOptions): Promise<T>;
  /**
   * Moves all events but the last of these streams out of the way, into the archive beside the store, while others read and
   * write; every read finds them as before. May be repeated. Resolves to how many it moved.
   */
  archive(streams: readonly string[]): Promise<number>;
  /** Whether the caller runs inside a `write` body of this store. */
  insideWrite(): boolean;
  /** Calls `listener`, which does not throw, after a commit through this store or by others: a hint that may come late, twice or never. Returns how to stop it. */
  onCommit(listener: CommitListener): () => void;
  /** Sees to it that what was deleted or replaced by now is in none of the store's files any more, as soon as open snapshots let it. */
  scrub(): Promise<void>;
  close(): Promise<void>;
}

/** A store that is not open yet: what `memory()` and `sqlite()` return. */
export interface StoreDriver {
  readonly host: Host;
  /** Opens the store and creates it when it is missing, for the service `name`. */
  open(options: { name: string }): Promise<Store>;
}
