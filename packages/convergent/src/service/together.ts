/**
 * Commands on several entities of one service, decided and appended in one transaction: all take effect or none does.
 * Each is decided on what those before it led to, under the log's lock, so nobody else's write comes between; their
 * events have positions that follow each other. It costs a commit of its own: what belongs to one entity is a command.
 */
import type { CommandOptions, EntityReading, EntityRuntime } from "../entities/entity-runtime.ts";
import { ConvergentError, isConvergentError } from "../errors/error.ts";
import { canonicalJson, digestOf } from "../log/digest.ts";
import type { Metadata } from "../log/event.ts";
import type { Log } from "../log/log.ts";
import type { IdKey, WriteTransaction } from "../log/store.ts";
import { emptyToken, mergeTokens, type Token } from "../position/token.ts";
import type { Accepted, Conflict, Outcome, Rejected } from "../protocol/outcome.ts";
import type { PlannedCommand } from "../reactions/reaction.ts";

/** Commands of one call: all of them are decided under the lock, in some milliseconds. */
const commandsMax = 100;

declare const stateOfPlan: unique symbol;

/** What the caller believes one of the entities to be, and what to do when it is not. */
export type PlanOptions = Pick<CommandOptions, "expected" | "onConflict">;

/** A command that `together` is to run; the state is that of its entity. */
export interface Planned<State> extends PlannedCommand {
  readonly options?: PlanOptions;
  readonly [stateOfPlan]?: State;
}

/** A command that `together` is to run, on an entity of any state. */
export type AnyPlanned = Planned<unknown>;

/** What several commands are run with. */
export interface TogetherOptions {
  /** Names the whole: the same id again has no further effect and gets the first answers. */
  readonly id?: string;
  /** Whose ids these are. Default: the actor, or "". */
  readonly scope?: string;
  /** Who asks; kept with the events. */
  readonly actor?: string;
  /** Kept with the events. */
  readonly metadata?: Metadata;
}

/** All commands took effect, now or, when `repeated`, earlier under the same id. */
export interface TogetherAccepted<Plans extends readonly AnyPlanned[]> {
  readonly kind: "accepted";
  /** One for each command, in their order. */
  readonly outcomes: { readonly [Index in keyof Plans]: Accepted<Plans[Index] extends Planned<infer State> ? State : never> };
  readonly token: Token;
  readonly repeated: boolean;
}

/** Which of the commands kept all of them from taking effect. */
export interface Hindrance {
  readonly index: number;
  readonly command: PlannedCommand;
}

/** One command was refused, or its entity was not as expected; none took effect. */
export type TogetherRefused = (Rejected | Conflict<unknown>) & Hindrance;

/** What came of several commands: all took effect, or one of them kept all from it. */
export type TogetherOutcome<Plans extends readonly AnyPlanned[]> = TogetherAccepted<Plans> | TogetherRefused;

/** Carries an outcome out of a transaction that must not commit. */
class Withdrawn extends Error {
  readonly outcome: TogetherRefused;

  constructor(outcome: TogetherRefused) {
    super("one of several commands was refused");
    this.outcome = outcome;
  }
}

interface Whole {
  readonly key: IdKey;
  readonly digest: string;
}

export class Together {
  readonly #log: Log;
  readonly #entity: (name: string) => EntityRuntime;

  /** `entity` throws `not_found` with the names there are. */
  constructor(log: Log, entity: (name: string) => EntityRuntime) {
    this.#log = log;
    this.#entity = entity;
  }

  /** Throws `not_found`, `invalid_input`, `idempotency_key_reused`, `id_voided`, and what `Log.transact` throws. */
  async run(plans: readonly AnyPlanned[], options: TogetherOptions = {}): Promise<TogetherOutcome<readonly AnyPlanned[]>> {
    if (plans.length === 0 || plans.length > commandsMax)
      throw new ConvergentError("invalid_input", `together runs 1 to ${commandsMax} commands, not ${plans.length}`);
    const whole = wholeOf(plans, options);
    try {
      return await this.#log.transact(async (tx) => {
        await tx.lock();
        const record = whole && (await this.#log.remembered(whole.key, whole.digest, tx));
        const outcomes: Array<Accepted<unknown>> = [];
        for (const [index, command] of plans.entries()) {
          const outcome = await this.#runOne(tx, command, { index, options, repeats: record !== undefined });
          if (outcome.kind !== "accepted") throw new Withdrawn({ ...outcome, index, command: plain(command) });
          outcomes.push(outcome);
        }
        if (whole && !record) await this.#remember(tx, whole, { plans, outcomes });
        return { kind: "accepted", outcomes, token: mergeTokens(...outcomes.map(({ token }) => token)), repeated: record !== undefined };
      });
    } catch (error) {
      if (error instanceof Withdrawn) return error.outcome;
      throw error;
    }
  }

  async #runOne(
    tx: WriteTransaction,
    { entity, entityId, command, input, options: own }: AnyPlanned,
    { index, options, repeats }: { readonly index: number; readonly options: TogetherOptions; readonly repeats: boolean },
  ): Promise<Outcome<unknown>> {
    const runtime = this.#entity(entity);
    const { id, actor } = options;
    const key = partKey(options, index);
    // A command that led to no events is remembered by nobody, and must not lead to some now.
    if (repeats && key && !(await tx.ids([key]))[0])
      return { kind: "accepted", events: [], repeated: true, ...(await present(runtime, entityId)) };
    return runtime.runIn(tx, {
      entityId,
      command,
      input,
      options: {
        ...own,
        ...key,
        ...(actor === undefined ? {} : { actor }),
        metadata: { ...(id === undefined ? {} : { cause: id }), ...options.metadata },
      },
    });
  }

  // With the last of the events, so that one lookup answers for all of them.
  async #remember(
    tx: WriteTransaction,
    { key, digest }: Whole,
    { plans, outcomes }: { readonly plans: readonly AnyPlanned[]; readonly outcomes: ReadonlyArray<Accepted<unknown>> },
  ): Promise<void> {
    const last = outcomes.findLastIndex(({ events }) => events.length > 0);
    const plan = plans[last];
    const events = outcomes[last]?.events ?? [];
    const [first, newest] = [events[0], events.at(-1)];
    if (!plan || !first || !newest) return;
    const { position } = await tx.head();
    const versions = { firstVersion: first.version, lastVersion: newest.version };
    const stream = this.#entity(plan.entity).stream(plan.entityId);
    const record = { ...key, digest, state: "done" as const, stream, ...versions, position, at: newest.at };
    await tx.insert({ events: [], heads: new Map(), ids: [record] });
  }
}

function wholeOf(plans: readonly AnyPlanned[], options: TogetherOptions): Whole | undefined {
  if (options.id === undefined) return undefined;
  const digest = digestOf(canonicalJson(plans.map(({ entity, entityId, command, input }) => [entity, entityId, command, input])));
  return { key: { scope: scopeOf(options), id: options.id }, digest };
}

function partKey(options: TogetherOptions, index: number): IdKey | undefined {
  return options.id === undefined ? undefined : { scope: `together:${scopeOf(options)}`, id: `${options.id}.${index}` };
}

function scopeOf({ scope, actor }: TogetherOptions): string {
  return scope ?? actor ?? "";
}

async function present(runtime: EntityRuntime, entityId: string): Promise<EntityReading> {
  try {
    return await runtime.read(entityId);
  } catch (error) {
    if (!isConvergentError(error, "entity_not_found")) throw error;
    const { initial, pending } = runtime.definition;
    const state: unknown = initial();
    return { state, version: 0, pending: pending(state), token: emptyToken };
  }
}

function plain({ entity, entityId, command, input }: AnyPlanned): PlannedCommand {
  return { entity, entityId, command, input };
}
