/**
 * What a command does when the entity is not as its caller expected. A merge takes the command's input for a part of the
 * state that the caller edited: base is that part as the caller saw it, theirs as it is now, ours the input as received.
 * What comes of the three is input like any other: the schema checks it, and the command decides on it.
 */
import { ConvergentError, isConvergentError } from "../errors/error.ts";
import { type Schema, validated } from "../log/schema.ts";
import { fieldsOf, isRecord } from "../merge/same-json.ts";
import { changesBetween, type FieldChange, type Rules, threeWay } from "../merge/three-way.ts";

/** How a command's input is merged with what others changed meanwhile. */
export interface Merge<State, Input> {
  readonly kind: "merge";
  /** The input that would leave this state as it is. Pure. */
  readonly of: (state: State) => Input;
  readonly rules: Rules<Input>;
  /** What an input leaves out stays as it is. */
  readonly partial: boolean;
}

/**
 * Merges a command's input by field when the entity has changed since the version that the caller named. `of` says which
 * input would leave a state as it is; `rules` say what becomes of fields that both sides changed: `"ours"`, `"theirs"`, a
 * function of base, theirs and ours, or a conflict, which is the default. With `partial`, a field that an input leaves out
 * is one that its caller did not touch; otherwise it is one that he removed.
 */
export function merge<State, Input extends object>(by: {
  readonly of: (state: State) => Input;
  readonly rules?: Rules<NoInfer<Input>>;
  readonly partial?: boolean;
}): Merge<State, Input> {
  return { kind: "merge", of: by.of, rules: by.rules ?? {}, partial: by.partial ?? false };
}

/** A command's input as it came, and how it is checked. */
export interface ReceivedInput {
  readonly received: unknown;
  readonly schema: Schema;
  readonly merge: Merge<unknown, object> | undefined;
}

/** The input that stands for both sides, or nothing when fields are left for somebody to choose. */
export interface Settlement {
  readonly input?: { readonly value: unknown };
  readonly fields: readonly FieldChange[];
  /** The fields are those of the input. */
  readonly mergeable: boolean;
}

/** What a change from `base` to `theirs` means for a command: by field of its input when it can be merged, else of the state. */
export async function settle({ received, schema, merge: by }: ReceivedInput, base: unknown, theirs: unknown): Promise<Settlement> {
  if (!by || !isRecord(received)) return { fields: changesBetween(base, theirs), mergeable: false };
  const before = by.of(base);
  const ours = by.partial ? { ...before, ...Object.fromEntries(fieldsOf(received).map((field) => [field, received[field]])) } : received;
  const { merged, fields } = threeWay(before, by.of(theirs), ours, by.rules);
  if (fields.some((field) => field.conflicting)) return { fields, mergeable: true };
  try {
    return { input: { value: await validated(schema, merged, "the merged input") }, fields, mergeable: true };
  } catch (error) {
    if (!isConvergentError(error, "invalid_input")) throw error;
    // Each field is good by itself, and together they are not what the command takes: a person has to look.
    return { fields: fields.map(reopened), mergeable: true };
  }
}

function reopened(change: FieldChange): FieldChange {
  const { merged: _, ...sides } = change;
  return { ...sides, conflicting: true };
}

/** Throws `invalid_input` when a caller asks for a merge that the command does not declare, or for no policy at all. */
export function requirePolicy(asked: unknown, declared: unknown, command: string): void {
  if (asked === undefined || asked === "reject" || asked === "retry") return;
  if (asked === "merge" && typeof declared === "object") return;
  throw new ConvergentError(
    "invalid_input",
    asked === "merge"
      ? `${command} does not say how its input is merged; ask for "reject" or "retry", or declare it with onConflict: merge(…)`
      : `onConflict is "reject", "retry" or "merge", not ${JSON.stringify(asked)}`,
  );
}
