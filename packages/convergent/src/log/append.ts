/** What an append asks for and what comes of it. */
import { ConvergentError } from "../errors/error.ts";
import type { Token } from "../position/token.ts";
import type { Metadata, NewEvent, StoredEvent } from "./event.ts";

/** What the stream must be like: at this version, without events, with events, or anything (L3). */
export type Expected = number | "none" | "some" | "any";

/** The id under which an append is remembered (L4). */
export interface AppendId {
  /** Whose id it is: two callers may choose the same one. */
  readonly scope: string;
  readonly id: string;
  /** Digest of the input as it was received; without one, of the events. */
  readonly digest?: string;
}

/** Events to append to one stream. */
export interface AppendRequest {
  readonly stream: string;
  readonly expected: Expected;
  /** At least one. */
  readonly events: readonly NewEvent[];
  readonly id?: AppendId;
  readonly metadata?: Metadata;
}

/** The events are in the log, by this call or, when `repeated`, by an earlier one with the same id. */
export interface Appended {
  readonly kind: "appended";
  readonly stream: string;
  readonly firstVersion: number;
  readonly lastVersion: number;
  /** The events this call wrote; empty when `repeated`. */
  readonly events: readonly StoredEvent[];
  readonly at: number;
  readonly token: Token;
  readonly repeated: boolean;
}

/** The stream is not as expected; nothing was written. */
export interface AppendConflict {
  readonly kind: "conflict";
  /** Where it is: 0 without events. */
  readonly version: number;
}

/** A strong view refused the events; nothing was written. */
export interface AppendRefused {
  readonly kind: "refused";
  readonly reason: unknown;
}

/** What came of an append: the events are in the log, the stream was not as expected, or a strong view refused. */
export type AppendOutcome = Appended | AppendConflict | AppendRefused;

/** One of several appends that are admitted together or not at all; they are remembered under one id. */
export type AppendPart = Omit<AppendRequest, "id">;

/** Every part is in the log, at positions that follow each other, by this call or, when `repeated`, by an earlier one with the same id. */
export interface AppendedAll {
  readonly kind: "appended";
  /** One for each part, in their order. */
  readonly parts: readonly Appended[];
  readonly at: number;
  readonly token: Token;
  readonly repeated: boolean;
}

/** A stream is not as its part expected; nothing of any part was written. */
export interface AppendAllConflict extends AppendConflict {
  /** Of the part. */
  readonly index: number;
  readonly stream: string;
}

/** What came of an append to several streams: all parts are in the log, or none is. */
export type AppendAllOutcome = AppendedAll | AppendAllConflict | AppendRefused;

/** Throws `invalid_input` for what is none of the four forms: a misspelt one must not pass for a conflict. */
export function requireExpected(expected: unknown): void {
  if (expected === "none" || expected === "some" || expected === "any") return;
  if (typeof expected === "number" && Number.isSafeInteger(expected) && expected >= 0) return;
  throw new ConvergentError(
    "invalid_input",
    `expected is a version from 0 on, "none", "some" or "any", not ${JSON.stringify(expected) ?? String(expected)}`,
  );
}

/** Whether a stream at `version` (0 without events) is as expected. */
export function meets(expected: Expected, version: number): boolean {
  switch (expected) {
    case "any":
      return true;
    case "none":
      return version === 0;
    case "some":
      return version > 0;
    default:
      return version === expected;
  }
}
