/** Given some events of an entity, when a command is run, then events, a state, a refusal: by the code that runs commands. */
import { type CommandOptions, EntityRuntime } from "../entities/entity-runtime.ts";
import type { AnyEntity } from "../entities/entity.ts";
import { isConvergentError } from "../errors/error.ts";
import type { ErrorCode } from "../errors/catalogue.ts";
import type { InputOf, Schemas } from "../log/schema.ts";
import type { Accepted, Outcome } from "../protocol/outcome.ts";
import { fits, judged, named, type Problem } from "./judging.ts";
import { appendPast, checked, type NamedData, type Past, schemaOf } from "./past.ts";
import { difference, NamedEvent, shown } from "./shown.ts";
import { stillLog } from "./still-log.ts";

/** What a command is run with in a check. */
export type WhenOptions = Pick<CommandOptions, "actor" | "expected" | "metadata" | "onConflict">;

/** What may be expected of a command. Each answers a promise of its outcome, on which more can be expected. */
export interface Led<State, Events extends Schemas> {
  /** It led to exactly these events, in this order; none when none is named. */
  thenEvents(...events: ReadonlyArray<NamedData<Events>>): Promise<Outcome<State>> & Led<State, Events>;
  /** It was accepted, and left the entity in this state. */
  thenState(state: State): Promise<Outcome<State>> & Led<State, Events>;
  /** It was rejected: for this very reason, for one that the pattern finds, or for any. */
  thenRejected(reason?: string | RegExp): Promise<Outcome<State>> & Led<State, Events>;
  /** The entity was not as `expected` said, and the command's policy did not mend that. */
  thenConflict(): Promise<Outcome<State>> & Led<State, Events>;
  /** It threw: an error of the toolkit with this code, or any whose text the pattern finds. */
  thenThrows(error: ErrorCode | RegExp): Promise<void>;
}

/** An entity with its past. */
export interface GivenEntity<State, Events extends Schemas, Inputs extends Schemas> {
  /** Runs a command. Nothing happens before something is expected of it. */
  when<Name extends keyof Inputs & string>(command: Name, input: InputOf<Inputs[Name]>, options?: WhenOptions): Led<State, Events>;
  /** The past leads to this state. */
  thenState(state: State): Promise<State>;
}

/** The one entity of a check. */
const entityId = "given";

type AnyLed = Led<unknown, Schemas>;

export function givenEntity(entity: AnyEntity, events: ReadonlyArray<readonly [string, unknown, { version: number }?]>): unknown {
  const past = events.map(([name, data, about = {}]): Past => ({ entity, entityId, name, data, about }));
  return {
    when: (command: string, input: unknown, options: WhenOptions = {}) => {
      let run: Promise<Seen> | undefined;
      return new WhenRun(entity, `${entity.name}.${command}`, () => (run ??= seen(entity, past, { command, input, options }))).led();
    },
    thenState: (wanted: unknown) =>
      judged(
        undefined,
        () => stateOf(entity, past),
        (state) => other(`${entity.name} is in another state than wanted`, wanted, state),
      ),
  };
}

/** How a command ended. */
type Seen = { readonly kind: "ended"; readonly outcome: Outcome<unknown> } | { readonly kind: "threw"; readonly error: unknown };

async function seen(
  entity: AnyEntity,
  past: readonly Past[],
  call: { readonly command: string; readonly input: unknown; readonly options: WhenOptions },
): Promise<Seen> {
  const still = await stillLog();
  await appendPast(still, past);
  try {
    return { kind: "ended", outcome: await new EntityRuntime(entity, still.log).run({ entityId, ...call }) };
  } catch (error) {
    return { kind: "threw", error };
  } finally {
    await still.log.close();
  }
}

async function stateOf(entity: AnyEntity, past: readonly Past[]): Promise<unknown> {
  const still = await stillLog();
  try {
    await appendPast(still, past);
    return past.length === 0 ? (entity.initial() as unknown) : (await new EntityRuntime(entity, still.log).read(entityId)).state;
  } finally {
    await still.log.close();
  }
}

/** A command that is run once, and what is expected of it one after the other. */
class WhenRun {
  readonly #entity: AnyEntity;
  readonly #name: string;
  readonly #run: () => Promise<Seen>;

  constructor(entity: AnyEntity, name: string, run: () => Promise<Seen>) {
    this.#entity = entity;
    this.#name = name;
    this.#run = run;
  }

  led(before?: Promise<unknown>): AnyLed {
    const expected = (judge: (outcome: Outcome<unknown>) => Problem | undefined | Promise<Problem | undefined>) => {
      const outcome = judged(before, () => this.#outcome(), judge);
      return Object.assign(outcome, this.led(outcome));
    };
    return {
      thenEvents: (...wanted) => expected((outcome) => this.#otherEvents(outcome, wanted)),
      thenState: (wanted) =>
        expected((outcome) =>
          outcome.kind === "accepted"
            ? other(`${this.#name} left another state than wanted`, wanted, outcome.state)
            : this.#ended(outcome, `state wanted:\n${shown(wanted)}`),
        ),
      thenRejected: (wanted) => expected((outcome) => this.#notRejected(outcome, wanted)),
      thenConflict: () =>
        expected((outcome) =>
          outcome.kind === "conflict" ? undefined : { message: `${this.#name} was to meet a conflict, ${this.#what(outcome)}` },
        ),
      thenThrows: (wanted) => this.#throws(before, wanted),
    };
  }

  async #outcome(): Promise<Outcome<unknown>> {
    const seen = await this.#run();
    if (seen.kind === "ended") return seen.outcome;
    throw new Error(`${this.#name} threw ${named(seen.error)}`, { cause: seen.error });
  }

  async #throws(before: Promise<unknown> | undefined, wanted: ErrorCode | RegExp): Promise<void> {
    await judged(before, this.#run, (seen) => {
      if (seen.kind === "ended") return { message: `${this.#name} was to throw, ${this.#what(seen.outcome)}` };
      const { error } = seen;
      const met = typeof wanted === "string" ? isConvergentError(error, wanted) : wanted.test(named(error));
      return met ? undefined : { message: `${this.#name} was to throw ${String(wanted)}, and threw ${named(error)}`, cause: error };
    });
  }

  async #otherEvents(outcome: Outcome<unknown>, wanted: ReadonlyArray<readonly [string, unknown]>): Promise<Problem | undefined> {
    const events: NamedEvent[] = [];
    for (const [name, data] of wanted) {
      const schema = schemaOf(this.#entity, name);
      if (!schema) return { message: `${this.#entity.name} has no event "${name}", which is wanted of ${this.#name}` };
      events.push(new NamedEvent(name, asStored(await checked(schema, data, `the event ${name} that is wanted of ${this.#name}`))));
    }
    if (outcome.kind !== "accepted") return this.#ended(outcome, `events wanted:\n${shown(events)}`);
    return other(`${this.#name} led to other events than wanted`, events, this.#eventsOf(outcome));
  }

  #eventsOf({ events }: Accepted<unknown>): NamedEvent[] {
    return events.map(({ type, data }) => new NamedEvent(type.slice(this.#entity.name.length + 1), data));
  }

  #notRejected(outcome: Outcome<unknown>, wanted: string | RegExp | undefined): Problem | undefined {
    if (outcome.kind !== "rejected") return { message: `${this.#name} was to be rejected, ${this.#what(outcome)}` };
    if (wanted === undefined || fits(outcome.reason, wanted)) return undefined;
    const title = `${this.#name} was rejected for another reason than wanted`;
    if (typeof wanted === "string") return other(title, wanted, outcome.reason);
    return { message: `${title}: ${JSON.stringify(outcome.reason)}, in which ${String(wanted)} finds nothing` };
  }

  #ended(outcome: Exclude<Outcome<unknown>, { kind: "accepted" }>, instead: string): Problem {
    const what =
      outcome.kind === "rejected"
        ? `was rejected: ${JSON.stringify(outcome.reason)}`
        : `met a conflict: the entity is at version ${outcome.version}, and ${JSON.stringify(outcome.expected)} was expected`;
    return { message: `${this.#name} ${what}\n\n${instead}` };
  }

  #what(outcome: Outcome<unknown>): string {
    switch (outcome.kind) {
      case "accepted":
        return outcome.events.length === 0 ? "and led to no events" : `and led to events:\n\n${shown(this.#eventsOf(outcome))}`;
      case "rejected":
        return `and was rejected: ${JSON.stringify(outcome.reason)}`;
      case "conflict":
        return `and met a conflict: the entity is at version ${outcome.version}`;
    }
  }
}

/** A problem when the two differ. */
export function other(title: string, wanted: unknown, got: unknown): Problem | undefined {
  const text = difference(wanted, got);
  return text === undefined ? undefined : { message: `${title} (- wanted, + got):\n\n${text}` };
}

/** The value as it comes back from a store. */
export function asStored(value: unknown): unknown {
  return value === undefined ? null : (JSON.parse(JSON.stringify(value)) as unknown);
}
