/**
 * `/live`: what is said over a WebSocket, and over server-sent events. Every frame is one JSON object. A watch is asked for with an id of
 * the asker's own, which every answer carries; the first answer is the verdict on where it goes on, then come news.
 */
import type { Condition, ParkedAt } from "./reading.ts";

/** The subprotocol of the WebSocket. */
export const subprotocol = "convergent.v1";

/** A second subprotocol that carries a bearer token, for browsers, which can send no header: `convergent.bearer.<token>`. */
export const bearerPrefix = "convergent.bearer.";

/** Close codes: of RFC 6455, and two of our own. */
export const closeCodes = {
  /** The server stops; another one, or the next one, goes on. */
  goingAway: 1001,
  unsupported: 1003,
  /** What came was no message of this protocol, again and again. */
  policy: 1008,
  tooBig: 1009,
  failed: 1011,
  /** The credentials have expired, or are not accepted any more: connect with new ones, and resume. */
  unauthenticated: 4401,
  /** More than is allowed to one caller. */
  tooMany: 4429,
} as const;

/** One document of a view. */
export interface DocumentTarget {
  readonly view: string;
  readonly key: string;
}

/** The first page of a query of a view. */
export interface QueryTarget {
  readonly view: string;
  readonly where?: Readonly<Record<string, Condition>>;
  readonly orderBy?: string;
  readonly order?: "asc" | "desc";
  /** At most so many documents: 1 to 500, 50 by default. */
  readonly limit?: number;
}

/** The state of an entity. */
export interface EntityTarget {
  readonly entity: string;
  readonly key: string;
}

/** A saga with all its stages. */
export interface SagaTarget {
  readonly saga: string;
  readonly key: string;
}

/** What is watched, by names on the wire. */
export type Target = DocumentTarget | QueryTarget | EntityTarget | SagaTarget;

/** What every watch may say besides. */
export interface WatchTerms {
  /** A whole number from 0 on, of no other watch of this connection. */
  readonly id: number;
  /** A token: `fresh` then says whether what it names has been seen. */
  readonly after?: string;
  /** The cursor of the last answer that was received: what it covers is not sent again, and nothing older. */
  readonly from?: string;
}

/** What a connection may ask. A ping is answered by a pong with its number: pages cannot see those of the WebSocket itself. */
export type Ask = { readonly watch: WatchTerms & Target } | { readonly unwatch: number } | { readonly ping: number };

/** Why a watch begins anew: it names no cursor, or one that is not readable, of another target, of another version of the definition, or of another history. */
export type ResetReason = "start" | "cursor" | "target" | "version" | "history";

/** The first answer to a watch. */
export type Verdict = { readonly id: number; readonly resumed: true } | { readonly id: number; readonly reset: ResetReason };

/** How far what was sent reaches. */
export interface Label {
  readonly id: number;
  /** Everything up to this position of the log is in the value. */
  readonly asOf: number;
  /** As for a read over HTTP; of a watch with `after`, whether that is met. */
  readonly fresh: boolean;
  /** Where a later watch goes on. */
  readonly cursor: string;
  /** Of that position. */
  readonly token: string;
  /** Of views. */
  readonly behind?: { readonly positions: number; readonly ms: number };
}

/** The position has advanced, and the value has not changed. */
export type Progress = Label;

/** A document, a state or a saga as it is now. */
export interface ValueNews extends Label {
  /** `null`: there is none, or none that the caller may see. */
  readonly value: unknown;
  /** Of documents. */
  readonly parked?: ParkedAt;
  /** Of entities, and events in the stream of a saga. */
  readonly version?: number;
  readonly pending?: readonly string[];
}

/** What has changed of a query's page. */
export interface PageNews extends Label {
  readonly changed: ReadonlyArray<{ readonly key: string; readonly value: unknown }>;
  readonly gone?: readonly string[];
  /** The keys of the page in its order: with the first news, and whenever that has become another. */
  readonly keys?: readonly string[];
  /** Where the next page begins, for a read over HTTP; absent when there is none. */
  readonly next?: string;
  /** How many order keys of the view are set aside. */
  readonly parked?: number;
}

/** A watch has ended, by this failure; or, without an id, a frame was not understood. `error` is a problem as HTTP answers it. */
export interface Refusal {
  readonly id?: number;
  readonly error: Readonly<Record<string, unknown>>;
}

/** What a connection is told. */
export type Told = Verdict | Progress | ValueNews | PageNews | Refusal | { readonly pong: number };
