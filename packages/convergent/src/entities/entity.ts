/**
 * Entities: the things a service decides about. `decide` looks at the state and answers with events or a refusal;
 * `evolve` folds events into state (Chassaing's decider). Both are pure. The stages `entity → evolve → commands` are
 * what lets every type be inferred.
 */
import { ConvergentError } from "../errors/error.ts";
import type { Envelope } from "../log/event.ts";
import type { InputOf, OutputOf, Schema, Schemas } from "../log/schema.ts";
import type { Rejected } from "../protocol/outcome.ts";
import type { Merge } from "./conflict-policy.ts";

/** An event a command decided on, before the log has it. */
export interface Emitted<Type extends string = string> {
  readonly type: Type;
  readonly data: unknown;
}

/** One function an event: `emit.placed(data)`. */
export type Emit<Events extends Schemas> = { readonly [Name in keyof Events & string]: (data: InputOf<Events[Name]>) => Emitted<Name> };

/** What a command does with the state: the events to append (none is allowed), or a refusal. Pure. */
export type Decide<State, Events extends Schemas, Input extends Schema> = (
  state: State,
  input: OutputOf<Input>,
  emit: Emit<Events>,
) => Emitted | readonly Emitted[] | Rejected;

/**
 * What happens when the version that the caller named is not the present one: the caller is told (`reject`), the command
 * decides on the present state (`retry`), or its input is merged with what others changed and decided on then.
 */
export type OnConflict<State, Input> = "reject" | "retry" | Merge<State, Input>;

/** A command: what it takes, what it decides, and what happens when the entity is not as its caller expected. */
export interface Command<State, Events extends Schemas, Input extends Schema> {
  readonly input: Input;
  readonly decide: Decide<State, Events, Input>;
  readonly onConflict: OnConflict<State, InputOf<Input>>;
}

/** A command that has not been told its entity yet; its types are settled where it is put into `commands`. */
export type Commands<State, Events extends Schemas, Inputs extends Schemas> = {
  readonly [Name in keyof Inputs]: Command<State, Events, Inputs[Name]>;
};

/** An entity: its events, how they make its state, and its commands. */
export interface Entity<Name extends string, State, Events extends Schemas, Inputs extends Schemas> {
  readonly kind: "entity";
  readonly name: Name;
  readonly initial: () => State;
  readonly events: Events;
  /** Names of events that earlier releases wrote and that mean nothing any more: they are passed over wherever they lie. */
  readonly retired: readonly string[];
  readonly evolve: { readonly [Type in keyof Events]: (state: State, data: OutputOf<Events[Type]>) => State };
  readonly pending: (state: State) => readonly string[];
  /** Whether nothing more is expected of it, so that its events may be archived; `undefined` when the definition does not say. */
  readonly ended: ((state: State) => boolean) | undefined;
  readonly snapshot: SnapshotPolicy | undefined;
  readonly commands: Commands<State, Events, Inputs>;
}

/** An entity of any types, for code that handles all of them alike. */
// biome-ignore lint/suspicious/noExplicitAny: the one place where an entity's types are forgotten; they vary in both directions.
// oxlint-disable-next-line typescript/no-explicit-any -- state and events appear as parameters and as results, so no narrower bound accepts every entity
export type AnyEntity = Entity<string, any, any, any>;

/** The envelopes of an entity's events, as a union on `type`. */
export type EventOf<E> =
  E extends Entity<infer Name, infer _State, infer Events, infer _Inputs>
    ? { [Type in keyof Events & string]: Envelope<`${Name}.${Type}`, OutputOf<Events[Type]>> }[keyof Events & string]
    : never;

/** When states are kept beside the log, so that a long stream need not be folded from its first event. */
export interface SnapshotPolicy {
  /** Of the shape of the state and of what `evolve` makes of events: raise it when either changes, or old snapshots go on being used. */
  readonly version: number;
  /** Events of a stream between two snapshots. */
  readonly every: number;
  /** A snapshot that does not meet it is not used. */
  readonly schema?: Schema;
}

export interface EvolveOptions<State> {
  /** States are kept now and then; they must be JSON values. Without it each state is folded from the first event. */
  readonly snapshot?: SnapshotPolicy;
  /** Names of parts that this state does not have yet and that will come later, for example a number another service gives. */
  readonly pending?: (state: State) => readonly string[];
  /** Whether nothing more is expected of an entity in this state: `convergent archive --services` may move its events. Nothing is refused by it; events may still come. */
  readonly ended?: (state: State) => boolean;
}

/** An entity that knows its events and lacks its fold. */
export interface NeedsEvolve<Name extends string, State, Events extends Schemas> {
  /** How each event changes the state. Pure; it returns the new state. */
  evolve(
    by: { readonly [Type in keyof Events]: (state: State, data: OutputOf<Events[Type]>) => State },
    options?: EvolveOptions<State>,
  ): NeedsCommands<Name, State, Events>;
}

/** An entity that knows its state and lacks its commands. */
export interface NeedsCommands<Name extends string, State, Events extends Schemas> {
  commands<const Inputs extends Schemas>(by: Commands<State, Events, Inputs>): Entity<Name, State, Events, Inputs>;
}

const namePattern = /^[a-z][a-z0-9-]{0,62}$/;

/**
 * Begins an entity. `name` is kebab-case and part of every stream and event type, so it never changes;
 * `initial` makes the state before the first event; `retired` names events that are not written any more and are to be
 * passed over. Throws `definition_invalid` for a name that cannot be stored.
 */
export function entity<const Name extends string, State, const Events extends Schemas>(
  name: Name,
  start: { readonly initial: () => State; readonly events: Events; readonly retired?: readonly string[] },
): NeedsEvolve<Name, State, Events> {
  if (!namePattern.test(name))
    throw new ConvergentError(
      "definition_invalid",
      `"${name}" is no name for an entity: use lower case letters, digits and dashes, for example "order-return"`,
    );
  const retired = start.retired ?? [];
  const both = retired.find((event) => Object.hasOwn(start.events, event));
  if (both !== undefined)
    throw new ConvergentError("definition_invalid", `the event "${both}" of "${name}" is defined and retired at once; an event is either`);
  return {
    evolve: (by, options = {}) => {
      for (const event of Object.keys(start.events))
        if (!Object.hasOwn(by, event))
          throw new ConvergentError(
            "definition_invalid",
            `"${name}" has an event "${event}" and no evolve for it; an event that changes nothing returns the state`,
          );
      if (options.snapshot) requirePolicy(name, options.snapshot);
      return {
        commands: (commands) => ({
          kind: "entity",
          name,
          initial: start.initial,
          events: start.events,
          retired,
          evolve: by,
          pending: options.pending ?? (() => []),
          ended: options.ended,
          snapshot: options.snapshot,
          commands,
        }),
      };
    },
  };
}

function requirePolicy(name: string, { version, every }: SnapshotPolicy): void {
  for (const [option, value] of Object.entries({ version, every }))
    if (!Number.isSafeInteger(value) || value < 1)
      throw new ConvergentError("definition_invalid", `snapshot.${option} of "${name}" is a whole number from 1 on, not ${value}`);
}

/** A command: the schema of its input and what it decides. `onConflict` governs a named `expected` that is not met. */
export function command<State, Events extends Schemas, Input extends Schema>(
  input: Input,
  decide: Decide<State, Events, Input>,
  options: { readonly onConflict?: OnConflict<State, InputOf<Input>> } = {},
): Command<State, Events, Input> {
  return { input, decide, onConflict: options.onConflict ?? "reject" };
}

/** Refuses a command, with a reason its caller can read. */
export function reject(reason: string): Rejected {
  return { kind: "rejected", reason };
}

/** The emit functions of an entity. */
export function emitOf<Events extends Schemas>(events: Events): Emit<Events> {
  const emit: Record<string, (data: unknown) => Emitted> = {};
  for (const type of Object.keys(events)) emit[type] = (data) => ({ type, data });
  return emit as Emit<Events>;
}

/** `entity.event`, as stored. */
export function eventType(entityName: string, event: string): string {
  return `${entityName}.${event}`;
}
