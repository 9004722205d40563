/**
 * Reactions: an event in, commands out, in this service or from another one's log. The commands take effect in the
 * transaction that moves the reaction's checkpoint, so each event causes them once.
 */
import { ConvergentError } from "../errors/error.ts";
import type { AnyEntity, EventOf } from "../entities/entity.ts";
import type { Envelope } from "../log/event.ts";
import type { InputOf, Schema } from "../log/schema.ts";

/** A command that a reaction wants run, or something that a saga is to be told: `start`, `signal` or `cancel`. */
export interface PlannedCommand {
  readonly entity: string;
  readonly entityId: string;
  readonly command: string;
  readonly input: unknown;
}

/** A saga as far as reactions know it. */
export interface CommandedSaga {
  readonly kind: "saga";
  readonly name: string;
  readonly input: Schema;
}

/** What a reaction may command: entities and sagas of its own service. */
export type Commandable = AnyEntity | CommandedSaga;

/** `commands.stock("p-1").reserve({ … })` for each entity named in `to`, `commands.reminder("o-1").start({ … })` for each saga. */
export type Planners<To extends Readonly<Record<string, Commandable>>> = {
  readonly [Key in keyof To]: (id: string) => To[Key] extends CommandedSaga ? SagaPlanner<To[Key]["input"]> : EntityPlanner<To[Key]>;
};

type EntityPlanner<Of> = Of extends AnyEntity
  ? { readonly [Name in keyof Of["commands"] & string]: (input: InputOf<InputSchema<Of["commands"][Name]>>) => PlannedCommand }
  : never;

/** What a saga is told by a reaction, once an event. It is refused when there is no such saga any more, or one with another input. */
export interface SagaPlanner<Input extends Schema> {
  /** Some process of the service runs it. */
  start(input: InputOf<Input>): PlannedCommand;
  signal(signal: string, data?: unknown): PlannedCommand;
  /** Has it undo what it did. */
  cancel(options: { readonly reason: string }): PlannedCommand;
}

type InputSchema<C> = C extends { readonly input: infer Input extends Schema } ? Input : never;

/** What a handler answers: commands to run, in this order, or nothing. */
export type Plan = readonly PlannedCommand[] | PlannedCommand | undefined;

/** A reaction: whose events it hears, and which entities it commands. */
export interface Reaction<Name extends string> {
  readonly kind: "reaction";
  readonly name: Name;
  readonly version: number;
  readonly from: readonly AnyEntity[];
  readonly to: Readonly<Record<string, Commandable>>;
  readonly handlers: ReadonlyMap<string, (event: Envelope) => Plan>;
}

/** A reaction of any name. */
export type AnyReaction = Reaction<string>;

/** A reaction that lacks its handlers. */
export interface NeedsHandlers<Name extends string, From extends readonly AnyEntity[], To extends Readonly<Record<string, Commandable>>> {
  /** One handler an event type, keyed `entity.event`. Pure: what it wants done, it returns. */
  on(
    by: {
      readonly [Type in EventOf<From[number]>["type"]]?: (
        event: Extract<EventOf<From[number]>, { type: Type }>,
        context: { readonly commands: Planners<To> },
      ) => Plan;
    },
  ): Reaction<Name>;
}

/** Begins a reaction: `from` are the entities it listens to, of any service, `to` the entities and sagas of its own service that it commands. */
export function reaction<
  const Name extends string,
  const From extends readonly AnyEntity[],
  const To extends Readonly<Record<string, Commandable>>,
>(name: Name, shape: { readonly from: From; readonly to: To; readonly version?: number }): NeedsHandlers<Name, From, To> {
  if (!/^[a-z][a-z0-9-]{0,62}$/.test(name))
    throw new ConvergentError(
      "definition_invalid",
      `"${name}" is no name for a reaction: use lower case letters, digits and dashes, for example "reserve-stock"`,
    );
  const known = new Set(shape.from.flatMap((entity) => Object.keys(entity.events as object).map((event) => `${entity.name}.${event}`)));
  const context = { commands: plannersOf(shape.to) };
  return {
    on: (by) => {
      const handlers = Object.entries(by as unknown as Record<string, (event: Envelope, given: typeof context) => Plan>);
      for (const [type] of handlers)
        if (!known.has(type))
          throw new ConvergentError(
            "definition_invalid",
            `the reaction "${name}" handles "${type}", which none of its entities emits; they emit ${[...known].join(", ")}`,
          );
      return {
        kind: "reaction",
        name,
        version: shape.version ?? 1,
        from: shape.from,
        to: shape.to,
        handlers: new Map(handlers.map(([type, handler]) => [type, (event: Envelope) => handler(event, context)])),
      };
    },
  };
}

function plannersOf<To extends Readonly<Record<string, Commandable>>>(to: To): Planners<To> {
  return Object.fromEntries(
    Object.entries(to).map(([key, part]) => [key, part.kind === "saga" ? sagaPlanner(part.name) : entityPlanner(part)]),
  ) as unknown as Planners<To>;
}

function entityPlanner({ name, commands }: AnyEntity): (entityId: string) => Record<string, (input: unknown) => PlannedCommand> {
  return (entityId) =>
    Object.fromEntries(
      Object.keys(commands as object).map((command) => [command, (input: unknown) => ({ entity: name, entityId, command, input })]),
    );
}

function sagaPlanner(entity: string): (entityId: string) => SagaPlanner<Schema> {
  return (entityId) => ({
    start: (input) => ({ entity, entityId, command: "start", input }),
    signal: (signal, data) => ({ entity, entityId, command: "signal", input: { signal, ...(data === undefined ? {} : { data }) } }),
    cancel: ({ reason }) => ({ entity, entityId, command: "cancel", input: { reason } }),
  });
}
