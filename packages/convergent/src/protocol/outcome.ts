/** What comes of a command: a union on `kind`. Refusals and conflicts are values, because callers decide about them. */
import { ConvergentError } from "../errors/error.ts";
import type { FieldChange } from "../merge/three-way.ts";
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

/** An event that others appended since the version that a command expected. */
export interface ChangedEvent extends AppendedEvent {
  /** Who asked for it (`actor`), and what caused it. */
  readonly metadata: Readonly<Record<string, unknown>> & { readonly actor?: string };
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
  /** Present when the entity had moved on and the input was merged: what others had changed of it, and what became of that. */
  readonly merged?: readonly FieldChange[];
}

/** The entity is not as the caller expected, and no policy settled that; nothing was written. */
export interface Conflict<State> {
  readonly kind: "conflict";
  /** As it is now. */
  readonly state: State;
  readonly version: number;
  /** What the caller expected it to be. */
  readonly expected: ExpectedState;
  /** As it was at the expected version; absent when there never was such a version. */
  readonly base?: State;
  /** The events since then, oldest first, at most 100. */
  readonly changed: readonly ChangedEvent[];
  /** There are more of them. */
  readonly more?: true;
  /** What others changed since then, by field: of the command's input when that is `mergeable`, else of the state. Empty without a `base`. */
  readonly fields: readonly FieldChange[];
  /** The command declares how its input is merged: `fields` are the input's, with `ours`, and may be chosen from. */
  readonly mergeable: boolean;
}

/** What a command that met a conflict had expected: a version, no entity, or some entity. */
export type ExpectedState = number | "none" | "some";

/** What happens when the entity is not as expected: a conflict, another decision on the present state, or a merge of the input by field. */
export type ConflictPolicy = "reject" | "retry" | "merge";

/** What came of a command: it took effect, the entity refused it, or the entity is not as expected. */
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
        details: { version: outcome.version, state: outcome.state, expected: outcome.expected, fields: outcome.fields },
      });
  }
}
