/**
 * After a conflict: the command once more, on the version that the conflict showed, with an input in which somebody has
 * chosen what becomes of each conflicting field. Works on what a client answers and on what a service in this process does.
 */
import { ConvergentError } from "../errors/error.ts";
import type { FieldChange } from "../merge/three-way.ts";
import type { Conflict } from "../protocol/outcome.ts";

/** What becomes of a field: as this caller wanted it, as the others made it, or another value. */
export type Choice<Value> = "mine" | "theirs" | { readonly value: Value };

/** Choices by field of the command's input. */
export type Choices<Input> = { readonly [Field in keyof Input]?: Choice<Input[Field]> };

/** A command that met a conflict, and what was decided about its fields. */
export interface Redo<Input, State> {
  readonly conflict: Conflict<State>;
  /** As it was sent before. */
  readonly input: Input;
  /** A field that is not named is as the rules merged it, or as it was sent when nobody else changed it. */
  readonly choices?: Choices<Input>;
}

/**
 * Sends a command again, under a new id, expecting the entity as the conflict showed it; if that has changed again, the
 * outcome is another conflict. `redo(client.order("o-1").amend, { conflict, input, choices: { lines: "mine" } })`.
 * Throws `invalid_input` when a conflicting field is left without a choice.
 */
export async function redo<Input extends object, State, Outcome>(
  command: (input: Input, options: { readonly expected: number | "none" }) => Promise<Outcome>,
  again: Redo<NoInfer<Input>, State>,
): Promise<Outcome> {
  const { version } = again.conflict;
  return command(chosenInput(again), { expected: version === 0 ? "none" : version });
}

/** The input that `redo` sends. Throws `invalid_input` when a conflicting field is left without a choice. */
export function chosenInput<Input extends object, State>({ conflict, input, choices = {} }: Redo<Input, State>): Input {
  const changes = new Map((conflict.mergeable ? conflict.fields : []).map((change) => [change.field, change]));
  const open = [...changes.values()].filter(({ field, conflicting }) => conflicting && !Object.hasOwn(choices, field));
  if (open.length > 0)
    throw new ConvergentError(
      "invalid_input",
      `others changed ${open.map(({ field }) => field).join(", ")} too: choose "mine", "theirs" or a value for each`,
      { details: { fields: open.map(({ field }) => field) } },
    );
  const chosen = new Map<string, unknown>(Object.entries(input));
  for (const [field, { merged }] of changes) chosen.set(field, merged);
  for (const [field, choice] of Object.entries(choices as Readonly<Record<string, Choice<unknown>>>)) {
    if (choice === "mine") chosen.set(field, (input as Readonly<Record<string, unknown>>)[field]);
    else if (choice === "theirs") chosen.set(field, theirsOf(field, changes));
    else chosen.set(field, choice.value);
  }
  return Object.fromEntries([...chosen].filter(([, value]) => value !== undefined)) as Input;
}

function theirsOf(field: string, changes: ReadonlyMap<string, FieldChange>): unknown {
  const change = changes.get(field);
  if (change) return change.theirs;
  throw new ConvergentError("invalid_input", `the conflict tells of no change of "${field}" by others; choose "mine" or a value for it`);
}
