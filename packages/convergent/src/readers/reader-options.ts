/** What a reader is made of, and what it says of itself. */
import type { StoredEvent } from "../log/event.ts";
import type { Log } from "../log/log.ts";
import type { ParkedKey } from "../log/reader-rows.ts";
import type { LogSource } from "../log/source.ts";
import type { WriteTransaction } from "../log/store.ts";
import type { Position } from "../position/position.ts";
import type { Percentiles } from "./histogram.ts";
import type { Lag } from "./lag.ts";
import type { Membership } from "./membership.ts";
import type { Failed } from "./verdict.ts";

/** How an event is named where something is said about it. */
export interface EventName {
  readonly position: Position;
  readonly id: string;
  readonly type: string;
  readonly stream: string;
}

/** What a reader follows, and what it does with each event. */
export interface ReaderOptions<Item> {
  /** Its name; the checkpoint is kept under it. */
  readonly name: string;
  /** Version of its definition; checkpoints of two versions never mix. */
  readonly version: number;
  /** The log it follows. */
  readonly source: LogSource;
  /** The log whose store holds the effects and the checkpoint. */
  readonly effects: Log;
  /** The coordinator of this process; the reader brings its own unless given. Given, it must be started after the reader. */
  readonly membership?: Membership;
  /** Only these types are read; all without it. */
  readonly types?: readonly string[];
  /** Types beyond these that are read too, should the log hold them: those of followed entities that no definition knows. */
  readonly others?: (type: string) => boolean;
  /** Where to begin when there is no checkpoint. Default: the origin. */
  readonly from?: "origin" | "head" | Position;
  /** Parts that order keys are spread over, and that processes share; stored with the first checkpoint. */
  readonly slots?: number;
  /** Events that one transaction applies at most. */
  readonly batchEvents?: number;
  /** Turns an event into what `apply` is given. */
  readonly prepare: (event: StoredEvent) => Item;
  /** The order key of an item; `"stream"`: that of its event, which is then known even when the event cannot be prepared. */
  readonly orderKey: "stream" | ((item: Item) => string);
  /**
   * Writes the effects of some events, in log order, inside `tx`. An item that fails is told: by throwing `ItemError`, which
   * takes back all of them, or by returning it and having written nothing of it or of later ones of its order key.
   */
  readonly apply: (tx: WriteTransaction, items: readonly Item[]) => Promise<readonly Failed[] | void>;
  /**
   * Told which items `apply` will be given in this transaction, some of which may be left out: it may ask for what it needs of them, so that
   * the answers come in one round trip with those about the slots. Called where the store is elsewhere; must not throw.
   */
  readonly expect?: (tx: WriteTransaction, items: readonly Item[]) => void;
  /** Milliseconds between two batches in which new events are gathered: for what nobody waits for. Whoever does is not held up by it. Default 0. */
  readonly gatherMs?: number;
  /** How often a failing event is tried before it is parked, unless its error says otherwise. Default 5. */
  readonly attemptsMax?: number;
  /** Told when the reader as a whole cannot go on; it goes on trying. */
  readonly failed?: (failure: ReaderFailure) => void;
  /** Told of an event that is parked: it is not tried again by itself, and later events of its key wait. */
  readonly parked?: (parked: ParkedNotice) => void;
  /** Told, in the transaction that moves the checkpoint past them, of all events: applied, set aside, or discarded earlier. */
  readonly passed?: (tx: WriteTransaction, events: readonly StoredEvent[]) => Promise<void>;
  /** Called once the effects of a batch are committed. */
  readonly committed?: () => void;
  /** Whether the effects are rows that can be derived again: their commit then need not wait for the disk (see `Store.write`). */
  readonly derived?: boolean;
  /** For development: how late it is made; see `lag.ts`. */
  readonly lag?: Lag;
  /** Whether a new version goes on where the one before it stands. Default: it begins anew, like a view that is built again. */
  readonly inherits?: boolean;
}

/** `standby`: other processes own all its slots, and this one stands ready. */
export type ReaderState = "starting" | "moving" | "idle" | "standby" | "paused" | "stuck" | "stopped";

/** Where a reader is, and how far behind. */
export interface ReaderStatus {
  readonly name: string;
  readonly version: number;
  readonly source: string;
  readonly state: ReaderState;
  readonly position: Position;
  readonly head: Position;
  /** Positions behind head, and the age in milliseconds of the oldest event it has not applied. */
  readonly lag: { readonly positions: number; readonly ms: number };
  /** Time from write to visible, in milliseconds, of recent events. */
  readonly visibilityMs: Percentiles | undefined;
  /** Why it is stuck, and how often in a row that has happened. */
  readonly failure: ReaderFailure | undefined;
  readonly slots: SlotCounts;
  /** Order keys and events that are set aside, and the first of those keys. */
  readonly parked: { readonly keys: number; readonly events: number; readonly first: readonly ParkedKey[] };
}

/** Who owns a reader's slots. */
export interface SlotCounts {
  readonly total: number;
  /** By this process. */
  readonly owned: number;
  /** By another one that lives. */
  readonly elsewhere: number;
  /** By nobody who lives: what lies in them stands still. */
  readonly unowned: number;
  /** For how long that has been so, in milliseconds, as far as this process has looked. */
  readonly unownedMs: number;
}

/** Why a reader does not get on. */
export interface ReaderFailure {
  readonly message: string;
  /** How often in a row that has happened at this position. */
  readonly attempts: number;
  /** Up to here everything is applied. */
  readonly position: Position;
  /** The event that is in the way, once it is known which one of a batch it is. */
  readonly event?: EventName;
}

/** An event that was parked. */
export interface ParkedNotice {
  /** Its order key. */
  readonly key: string;
  readonly event: Omit<EventName, "stream">;
  readonly error: string;
  readonly attempts: number;
}

/** What all readers of a service are given alike. */
export type ReaderSetting = Pick<ReaderOptions<never>, "attemptsMax" | "failed" | "gatherMs" | "lag" | "membership" | "parked">;
