/** Reads of views: what may be asked, and the answer with its label. */
import type { CancelSignal } from "../host/host.ts";
import type { Duration } from "../host/duration.ts";
import type { Position } from "../position/position.ts";
import type { Token } from "../position/token.ts";

/** What an index may hold. */
export type IndexValue = string | number | boolean | null;

/** How fresh the answer must be, and how long to wait for that. */
export interface ReadOptions {
  /** No older than what this token has seen. */
  readonly after?: Token | string;
  /** As of the head at the moment of the call, or later. */
  readonly strong?: boolean;
  /** The oldest event that the answer lacks may be this old: "5s". With `after` or `strong`, both must hold. */
  readonly maxAge?: Duration;
  /** How long to wait for the freshness asked for. Default "1s". */
  readonly wait?: Duration;
  /**
   * What to do when it is not fresh in time: answer with the stale value and its label (default), or throw `not_fresh`. With
   * `"error"` and no level named, the level is the head at the moment of the call, as with `strong`.
   */
  readonly stale?: "label" | "error";
  /** Stops waiting, and rejects with the signal's reason. */
  readonly signal?: CancelSignal;
}

/** Why a value stands still: an event of its order key could not be applied, and later ones wait behind it. */
export interface ParkedAt {
  /** Position of the event. */
  readonly position: Position;
  /** It is tried again by itself, or waits until somebody replays or discards it. */
  readonly state: "retrying" | "parked";
  readonly error: string;
  readonly attempts: number;
}

/** A value and how fresh it is. */
export interface Reading<Value> {
  readonly value: Value;
  /** Everything up to this position of the log is in the value. */
  readonly asOf: Position;
  /** How far the value is behind the log: positions, and the age of the oldest missing event in milliseconds. */
  readonly behind: { readonly positions: number; readonly ms: number };
  /** The level asked for was met; with none asked for, nothing is missing. */
  readonly fresh: boolean;
  /** What this reading has seen. */
  readonly token: Token;
  /** Stores named by the token asked for of which nothing is known here. */
  readonly unchecked?: readonly string[];
  /** Stores named by the token asked for whose effects had not arrived in time; their readers' state is in `/readers`. */
  readonly unmet?: readonly string[];
  /**
   * Of one document: it lacks what was asked for because its order key is set aside, and was not waited for. Of a query over
   * many: how many order keys are set aside, and may lack events whatever `fresh` says of all others.
   */
  readonly parked?: ParkedAt | number;
}

/** A condition on an index: a value, or a range with both ends included. */
export type Condition<Value extends IndexValue = IndexValue> = Value | { readonly from?: Value; readonly to?: Value };

/** Which page of a query is read, and how fresh it must be. */
export interface FindOptions extends ReadOptions {
  /** At most so many documents. Default 50, at most 500; with `count`, 0 asks for the count alone. */
  readonly limit?: number;
  /** From the page before. */
  readonly cursor?: string;
  /** The index the page is sorted by; by default the one that is asked for, else the key. */
  readonly orderBy?: string;
  /** From the last to the first. */
  readonly descending?: boolean;
  /** Whether to count, too, all that meets the conditions, on whatever page. */
  readonly count?: boolean;
}

/** A document that a query found. */
export interface Found<Document> {
  readonly key: string;
  readonly value: Document;
}

/** How many documents meet conditions, and how fresh that is. */
export interface Counted extends Omit<Reading<number>, "parked"> {
  /** Order keys that are set aside, as for a page. */
  readonly parked?: number;
}

/** A page of documents. */
export interface Page<Document> extends Omit<Reading<ReadonlyArray<Found<Document>>>, "parked"> {
  /** Order keys that are set aside: their documents may lack events, whatever `fresh` says of all others. Absent when there are none. */
  readonly parked?: number;
  /** For the next page; absent on the last one. */
  readonly cursor?: string;
  /** All that meets the conditions, on whatever page; when it was asked for. */
  readonly count?: number;
}

/** A page whose count was asked for. */
export interface CountedPage<Document> extends Page<Document> {
  readonly count: number;
}
