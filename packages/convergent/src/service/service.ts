/**
 * A service: parts under names, put together. `service()` is a definition and opens nothing; `start` opens its store
 * and returns the facade. One machine or many differ in `store` and `channels` only.
 */
import type { Channel } from "../channels/in-process.ts";
import { inProcessChannel } from "../channels/in-process.ts";
import { ConvergentError } from "../errors/error.ts";
import type { Duration } from "../host/duration.ts";
import { durationMs } from "../host/duration.ts";
import type { CancelSignal } from "../host/host.ts";
import type { Fork } from "../log/epochs.ts";
import type { UserTransaction } from "../log/staging.ts";
import type { StoreDriver } from "../log/store.ts";
import { parseToken, type Token } from "../position/token.ts";
import type { LagRange } from "../readers/lag.ts";
import type { ParkedNotice, ReaderFailure } from "../readers/reader-options.ts";
import type { Refusal } from "../reactions/reaction-runtime.ts";
import type { ParkedSaga, SagaRuntime } from "../sagas/saga-runtime.ts";
import type { SagaCallOptions, SagaTellOptions } from "../sagas/telling.ts";
import type { SagaReading } from "../sagas/watching.ts";
import type { EntityRuntime } from "../entities/entity-runtime.ts";
import type { RebuildNews } from "../views/rebuild.ts";
import type { SnapshotRefused } from "../entities/snapshots.ts";
import type { ReadOptions } from "../protocol/reading.ts";
import type { ViewRuntime } from "../views/view-runtime.ts";
import type { AnyParts, Facades, SagaOperation } from "./facade.ts";
import type { ForgetOptions, Forgotten } from "./forgetting.ts";
import { unfinishedName } from "./saga-work.ts";
import { ServiceRuntime } from "./service-runtime.ts";
import { type AnyPlanned, type PlanOptions, Together, type TogetherOptions, type TogetherOutcome } from "./together.ts";
import type { OrphanedView } from "./view-versions.ts";
import type { UnknownEvents } from "./unknown-events.ts";

/** Names that the running service, or its client, uses itself. */
export type Reserved = "forget" | "session" | "start" | "stop" | "then" | "together" | "voidId" | "waitFor";
const reserved: readonly string[] = [
  "forget",
  "session",
  "start",
  "stop",
  "then",
  "together",
  "voidId",
  "waitFor",
] satisfies readonly Reserved[];

/** A reader that cannot go on; it goes on trying, and everything that waits for it waits. */
export interface Stuck extends ReaderFailure {
  readonly service: string;
  readonly reader: string;
}

/** An event that a reader could not apply. It is not tried again by itself; later events of its order key wait, all others go on. */
export interface Parked extends ParkedNotice {
  readonly service: string;
  readonly reader: string;
}

/** What a service is started with. */
export interface StartOptions {
  /** Where it keeps its log and everything derived from it: `sqlite("data/orders.db")`, `memory()`. */
  readonly store: StoreDriver;
  /** Where the events of other services' entities come from. */
  readonly channels?: readonly Channel[];
  /** Told of commands that reactions ran and entities refused. */
  readonly onRefusal?: (refusal: Refusal) => void;
  /** Told when a reader cannot go on, and again while that lasts. */
  readonly onStuck?: (stuck: Stuck) => void;
  /** Told when the store turns out to be an older copy of itself, which begins a new epoch: what was written after the copy was made is gone. */
  readonly onFork?: (fork: Fork) => void;
  /** Told once when the states of an entity turn out to be none that JSON can hold, so that no snapshots of it are kept. */
  readonly onSnapshotRefused?: (refused: SnapshotRefused) => void;
  /** Told at the start of events that no definition accounts for, once for each entity that has some. */
  readonly onUnknown?: (unknown: UnknownEvents) => void;
  /** Told at the start of views with rows in the store that no part names: renamed or removed. Their rows stay until somebody drops them. */
  readonly onOrphaned?: (orphaned: OrphanedView) => void;
  /** Told when a newer version of a view is being built, how far that is, and how it ended. */
  readonly onRebuild?: (news: RebuildNews & { readonly service: string }) => void;
  /** Told of each event that is parked. */
  readonly onParked?: (parked: Parked) => void;
  /** Told of each saga that cannot go on without somebody: one of its undos failed, or its script does not do what it did. */
  readonly onParkedSaga?: (parked: ParkedSaga & { readonly service: string }) => void;
  /** How often a failing event is tried before it is parked, unless its error says otherwise. Default 5. */
  readonly attemptsMax?: number;
  /**
   * For development, by the names of views and reactions: how late each is made, `{ "order-summary": "300ms..2s" }`. Batches of it are
   * also run twice now and then, the first time rolled back, and applied in another order across order keys; rows come out the same.
   */
  readonly lag?: Readonly<Record<string, LagRange>>;
}

/** What a running service has besides its parts. */
export interface Running {
  /**
   * Runs commands on several entities of this service in one transaction, each decided on what those before it led to:
   * all take effect or none does. Made by `plan`: `together([orders.order.plan("o-1").place(input), …])`. A refusal or a
   * conflict says which command it was. Throws what a command throws.
   */
  together<const Plans extends readonly AnyPlanned[]>(plans: Plans, options?: TogetherOptions): Promise<TogetherOutcome<Plans>>;
  /** Resolves true once every view of this service has what the token names, false after `wait` (default "1s"). */
  waitFor(token: Token | string, wait?: Duration): Promise<boolean>;
  /**
   * Sees to it that nothing asked for under this id can take effect any more. Answers whether that was in time: true, nothing did and
   * nothing will; false, it did before. For the `void` of a saga's step.
   */
  voidId(id: string, options?: { readonly scope?: string }): Promise<boolean>;
  /**
   * Forgets a person for ever: their key is destroyed, sealed fields read as forgotten, and views follow. Resolves once
   * the views of this process hold nothing of them, or `wait` has passed (default "30s"); what is said then happens anyway.
   */
  forget(person: string, options: ForgetOptions & { readonly wait?: Duration }): Promise<Forgotten>;
  /** Finishes what was begun and closes the store. */
  stop(): Promise<void>;
}

/** A service at work: its parts by their keys, and what it has besides. */
export type RunningService<Parts extends AnyParts> = Facades<Parts> & Running;

/** A service's definition: its name and parts. It opens nothing until it is started. */
export interface Service<Parts extends AnyParts> {
  readonly name: string;
  readonly parts: Parts;
  /** Opens the store, checks the definitions against it, and starts the readers. */
  start(options: StartOptions): Promise<RunningService<Parts>>;
}

/** A service of any parts, for code that starts all of them alike. */
export interface AnyService {
  readonly name: string;
  readonly parts: AnyParts;
  start(options: StartOptions): Promise<Running>;
}

const runtimes = new WeakMap<object, ServiceRuntime>();

/** Defines a service. Throws `definition_invalid` when two parts share a name or a part uses a reserved one. */
export function service<const Parts extends AnyParts>(
  name: string,
  options: { readonly parts: Parts & { readonly [Key in Reserved]?: never } },
): Service<Parts> {
  if (!/^[a-z][a-z0-9-]{0,39}$/.test(name))
    throw new ConvergentError(
      "definition_invalid",
      `"${name}" is no name for a service: use lower case letters, digits and dashes, for example "orders"`,
    );
  const parts: Parts = options.parts;
  const seen = new Map<string, string>();
  for (const [key, part] of Object.entries(parts)) {
    if (reserved.includes(key))
      throw new ConvergentError(
        "definition_invalid",
        `a part of the service "${name}" is called "${key}", which the running service needs for itself; rename the part`,
      );
    const other = seen.get(part.name);
    if (other !== undefined)
      throw new ConvergentError(
        "definition_invalid",
        `the parts "${other}" and "${key}" of the service "${name}" are both called "${part.name}"; part names are unique`,
      );
    seen.set(part.name, key);
    if (part.kind === "saga") seen.set(unfinishedName(part.name), key);
  }
  return {
    name,
    parts,
    start: async (start) => {
      const runtime = await ServiceRuntime.start({ name, parts }, start);
      const running = facadeOf(runtime, parts);
      runtimes.set(running, runtime);
      return running as RunningService<Parts>;
    },
  };
}

/** The inside of a running service, for those who serve it: gateway, command line, monitor. */
export function runtimeOf(running: Running): ServiceRuntime {
  const runtime = runtimes.get(running);
  if (!runtime) throw new ConvergentError("definition_invalid", "this is no running service; start() returns one");
  return runtime;
}

/** A channel onto the log of a service that runs in this process. */
export function inProcess(running: Running): Channel {
  const runtime = runtimeOf(running);
  return inProcessChannel(runtime.log, [...runtime.entities.keys(), ...runtime.sagas.keys()]);
}

function facadeOf(runtime: ServiceRuntime, parts: AnyParts): Running {
  const together = new Together(runtime.log, (name) => runtime.entity(name));
  const facade: Record<string, unknown> = {
    waitFor: (token: Token | string, wait: Duration = "1s") =>
      runtime.waitFor(typeof token === "string" ? parseToken(token) : token, durationMs(wait)),
    together: (plans: readonly AnyPlanned[], options?: TogetherOptions) => together.run(plans, options),
    forget: (person: string, options: ForgetOptions & { readonly wait?: Duration }) =>
      runtime.forget(person, options, durationMs(options.wait ?? "30s")),
    voidId: async (id: string, { scope = "" }: { readonly scope?: string } = {}) =>
      (await runtime.log.void({ scope, id })).state === "void",
    stop: () => runtime.stop(),
  };
  for (const [key, part] of Object.entries(parts)) {
    if (part.kind === "entity") facade[key] = entityFacade(runtime.entity(part.name));
    else if (part.kind === "view") facade[key] = viewFacade(runtime.view(part.name));
    else if (part.kind === "saga") facade[key] = sagaFacade(runtime.saga(part.name));
  }
  return facade as unknown as Running;
}

function viewFacade(runtime: ViewRuntime): unknown {
  const { queries } = runtime.definition;
  if (!queries) return { get: runtime.get.bind(runtime), find: runtime.find.bind(runtime), count: runtime.count.bind(runtime) };
  const query = Object.keys(queries).map((name) => [name, (input: unknown, options?: ReadOptions) => runtime.query(name, input, options)]);
  return { query: Object.fromEntries(query) as unknown };
}

function sagaFacade(runtime: SagaRuntime): unknown {
  const shown = ({ id, state, version, token }: SagaReading): unknown => ({ id, ...state, version, token });
  return {
    start: (id: string, input: unknown, options?: SagaCallOptions) => runtime.begin(id, input, options),
    get: async (id: string) => shown(await runtime.read(id)),
    end: async (id: string, { wait = "30s", signal }: { readonly wait?: Duration; readonly signal?: CancelSignal } = {}) =>
      shown(await runtime.end(id, durationMs(wait), signal)),
    watch: async function* (id: string, { signal }: { readonly signal?: CancelSignal } = {}) {
      for await (const reading of runtime.watch(id, signal)) yield shown(reading);
    },
    signal: (id: string, signal: string, data?: unknown, options?: SagaTellOptions) => runtime.signal(id, signal, data, options),
    cancel: (id: string, { reason, ...options }: { readonly reason: string } & SagaTellOptions) => runtime.cancel(id, reason, options),
    retry: (id: string, by: SagaOperation) => runtime.resume(id, { ...by, resolved: false }),
    resolve: (id: string, by: SagaOperation) => runtime.resume(id, { ...by, resolved: true }),
  };
}

function entityFacade(runtime: EntityRuntime): unknown {
  const commands = Object.keys(runtime.definition.commands as object);
  const of = (entityId: string): unknown =>
    Object.fromEntries(
      commands.map((command) => [command, (input: unknown, options = {}) => runtime.run({ entityId, command, input, options })]),
    );
  const plan = (entityId: string): unknown => {
    const entity = runtime.definition.name;
    return Object.fromEntries(
      commands.map((command) => [
        command,
        (input: unknown, options?: PlanOptions): AnyPlanned => ({ entity, entityId, command, input, ...(options ? { options } : {}) }),
      ]),
    );
  };
  const stage = (entityId: string, tx: UserTransaction): unknown =>
    Object.fromEntries(
      commands.map((command) => [command, (input: unknown, options = {}) => runtime.stage(tx, { entityId, command, input, options })]),
    );
  return Object.assign(of, {
    plan,
    stage,
    state: (entityId: string, when: { version?: number; at?: Date } = {}) =>
      runtime.read(entityId, {
        ...(when.version === undefined ? {} : { version: when.version }),
        ...(when.at === undefined ? {} : { atMs: when.at.getTime() }),
      }),
    events: (entityId: string, query: { after?: number; limit?: number } = {}) =>
      runtime.events(entityId, { after: query.after ?? 0, limit: query.limit ?? 1000 }),
  });
}
