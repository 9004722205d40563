/** What comes of a command: a union on `kind`. Refusals and conflicts are values, because callers decide about them. */
import { ConvergentError } from "../errors/error.ts";
import type { Token } from "../position/token.ts";

/** The entity said no, and why. A value, not an error: it changes nothing and is remembered nowhere. */
export interface Rejected {
  readonly kind: "rejected";
  readonly reason: string;
  /** The unique field of a strong view that would have the same value twice; it was this that refused the command. */
  readonly unique?: UniqueClaim;
}

/** A unique field, by the name of its view. */
export interface UniqueClaim {
  readonly view: string;
  readonly field: string;
}

/** An event that a command appended. */
export interface AppendedEvent {
  readonly id: string;
  readonly type: string;
  readonly version: number;
  readonly position: number;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly data: unknown;
}

/** The command took effect, now or, when `repeated`, earlier under the same id. */
export interface Accepted<State> {
  readonly kind: "accepted";
  /** The state right after this command: nobody needs to read it back. */
  readonly state: State;
  readonly version: number;
  readonly events: readonly AppendedEvent[];
  readonly token: Token;
  /** Parts that will come later. */
  readonly pending: readonly string[];
  readonly repeated: boolean;
}

/** The entity is not at the version the caller named; nothing was written. */
export interface Conflict<State> {
  readonly kind: "conflict";
  /** As it is now. */
  readonly state: State;
  readonly version: number;
}

export type Outcome<State> = Accepted<State> | Rejected | Conflict<State>;

/** The accepted outcome. Throws `rejected` or `version_conflict` for the others. */
export function accepted<State>(outcome: Outcome<State>): Accepted<State> {
  switch (outcome.kind) {
    case "accepted":
      return outcome;
    case "rejected":
      throw new ConvergentError("rejected", outcome.reason, outcome.unique ? { details: { unique: outcome.unique } } : {});
    case "conflict":
      throw new ConvergentError("version_conflict", `the entity is at version ${outcome.version}, which is not what the command expected`, {
        details: { version: outcome.version, state: outcome.state },
      });
  }
}
