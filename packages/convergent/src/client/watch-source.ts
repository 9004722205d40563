/**
 * Where the news of a watch come from: one interface for whatever brings them, by polling or over a socket. A source yields what
 * there is at once, then what is new, for as long as it is asked to: it goes on over everything that may pass by itself, and ends by
 * throwing what will not.
 */
import type { CancelSignal } from "../host/host.ts";
import type { Token } from "../position/token.ts";
import type { Condition } from "../protocol/reading.ts";
import type { PartBody } from "../protocol/wire.ts";

/** Conditions on declared indexes, by field. */
export type Conditions = Readonly<Record<string, Condition | undefined>>;

/** Which page of a query is watched. */
export interface PageOfQuery {
  readonly orderBy?: string;
  readonly descending?: boolean;
  readonly limit?: number;
  readonly cursor?: string;
  readonly count?: boolean;
}

/** What is watched. The part is as the gateway's definition has it, with its wire name. */
export type WatchTarget =
  | { readonly kind: "document"; readonly view: PartBody; readonly key: string }
  | { readonly kind: "query"; readonly view: PartBody; readonly where: Conditions; readonly page: PageOfQuery }
  | { readonly kind: "entity"; readonly entity: PartBody; readonly id: string }
  | { readonly kind: "saga"; readonly saga: PartBody; readonly id: string };

/** How a target is followed. */
export interface FollowOptions {
  /** What must have been seen for a reading to count as fresh. Default: all that the session has written by then. */
  readonly after?: Token | string | null | undefined;
  /** Longest wait between two questions, in milliseconds, where questions are asked. */
  readonly intervalMs: number;
  /** Ends it: the iteration throws the signal's reason. */
  readonly signal: CancelSignal;
}

/** Something new of a target: its value, how far it has come, or whether it is fresh. */
export interface News {
  /** What a read of the target answers: RemoteReading, RemotePage, RemoteState or SagaView. */
  readonly reading: unknown;
  /** The position of the log that the reading comes from, as its token. */
  readonly at: Token;
  /** All that the reading is known to contain: `at`, and what was asked for when the answer was that it is fresh. */
  readonly covers: Token;
}

/** Brings news of what is watched. */
export interface WatchSource {
  /** The present state first, then whatever is new. Throws `forbidden`, `entity_not_found`, `saga_not_found` and the like, or the signal's reason. */
  follow(target: WatchTarget, options: FollowOptions): AsyncIterable<News>;
}
