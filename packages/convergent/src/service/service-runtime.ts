/** A service at work: its log, entities, views and reactions, started in order and stopped in reverse. */
import { EntityRuntime } from "../entities/entity-runtime.ts";
import { ConvergentError } from "../errors/error.ts";
import type { CancelSignal } from "../host/host.ts";
import { Log } from "../log/log.ts";
import type { ParkedKey } from "../log/reader-rows.ts";
import type { DefinitionRow } from "../log/store.ts";
import type { LogSource } from "../log/source.ts";
import { laterPosition } from "../position/position.ts";
import type { Token } from "../position/token.ts";
import type { Percentiles } from "../readers/histogram.ts";
import { type AnyReader, type Exchanged, Inboxes } from "../readers/inboxes.ts";
import type { Lag } from "../readers/lag.ts";
import { Membership } from "../readers/membership.ts";
import { isRun, type ParkedChoice, requestDiscard, requestReplay } from "../readers/parked-requests.ts";
import type { ReaderSetting } from "../readers/reader-options.ts";
import { FormerVersions, takeBack } from "../reactions/former-versions.ts";
import type { AnyReaction } from "../reactions/reaction.ts";
import { ReactionRuntime, type Refusal } from "../reactions/reaction-runtime.ts";
import type { AnySaga } from "../sagas/saga.ts";
import { EventWaits } from "../sagas/event-waits.ts";
import { type ParkedSaga, SagaRuntime } from "../sagas/saga-runtime.ts";
import { Janitor } from "../views/janitor.ts";
import { StrongViews } from "../views/strong-views.ts";
import type { AnyView } from "../views/view.ts";
import { type ViewOptions, ViewRuntime } from "../views/view-runtime.ts";
import type { AnyParts } from "./facade.ts";
import { destroyForgotten, finishForgetting, type Forgotten, type ForgetOptions, forgetPerson } from "./forgetting.ts";
import { unfinishedMs, unfinishedOf, workOf } from "./saga-work.ts";
import { lagsOf } from "./lags.ts";
import type { StartOptions } from "./service.ts";
import { orphanedViews, type ViewVersionStatus, versionStatus } from "./view-versions.ts";
import { unknownEvents } from "./unknown-events.ts";

/** A running service from the inside: its log, entities, views and reactions. */
export class ServiceRuntime {
  readonly name: string;
  readonly parts: AnyParts;
  readonly log: Log;
  readonly entities: Map<string, EntityRuntime> = new Map();
  readonly views: Map<string, ViewRuntime> = new Map();
  readonly reactions: Map<string, ReactionRuntime> = new Map();
  readonly sagas: Map<string, SagaRuntime> = new Map();
  /** Commands of reactions that entities refused since the start. */
  refusals = 0;
  readonly #inboxes: Inboxes;
  readonly #lags: ReadonlyMap<string, Lag>;
  #janitor: Janitor | undefined;
  readonly #membership: Membership;
  readonly #waits: EventWaits;
  #stopping: Promise<void> | undefined;

  private constructor(name: string, parts: AnyParts, log: Log, lags: ReadonlyMap<string, Lag>) {
    this.name = name;
    this.#lags = lags;
    this.parts = parts;
    this.log = log;
    this.#inboxes = new Inboxes(log.host);
    this.#membership = new Membership(log);
    this.#waits = new EventWaits(log);
  }

  static async start(definition: { name: string; parts: AnyParts }, options: StartOptions): Promise<ServiceRuntime> {
    if (!isDriver(options.store))
      throw new ConvergentError(
        "definition_invalid",
        `start of "${definition.name}" needs a store, for example start({ store: sqlite("data/${definition.name}.db") })`,
      );
    const lags = lagsOf(definition, options.lag ?? {});
    const log = await Log.open(options.store, definition.name, options.onFork ? { onFork: options.onFork } : {});
    const runtime = new ServiceRuntime(definition.name, definition.parts, log, lags);
    try {
      await runtime.#start(options);
      return runtime;
    } catch (error) {
      await runtime.stop();
      throw error;
    }
  }

  /** Throws `not_found` with the names there are. */
  entity(name: string): EntityRuntime {
    return this.entities.get(name) ?? unknown("entity", name, this.entities.keys());
  }

  /** Throws `not_found` with the names there are. */
  view(name: string): ViewRuntime {
    return this.views.get(name) ?? unknown("view", name, this.views.keys());
  }

  /** Throws `not_found` with the names there are. */
  saga(name: string): SagaRuntime {
    return this.sagas.get(name) ?? unknown("saga", name, this.sagas.keys());
  }

  /** Every reader that this process runs for the service; strong views have none. */
  readers(): AnyReader[] {
    const eventual = [...this.views.values()].filter((view) => view.definition.consistency === "eventual");
    const older = eventual.flatMap((view) => view.rebuild.previous ?? []);
    const forgetting = [...this.views.values()].flatMap((view) => view.forgetting);
    return [
      ...eventual.map((view) => view.reader),
      ...older,
      ...forgetting,
      ...[...this.reactions.values()].map((reaction) => reaction.reader),
    ];
  }

  /** Every stored version of every view, those of no part included. */
  viewVersions(): Promise<ViewVersionStatus[]> {
    return versionStatus(this.log, this.views);
  }

  /** How long it takes until a change of an entity is seen in the slowest of this service's views of it. */
  visibilityOf(entity: string): Percentiles | undefined {
    const following = [...this.views.values()].filter((view) => view.definition.from.some((source) => source.name === entity));
    return slowest(following.map((view) => view.reader.visibility));
  }

  /** Resolves true once every view has what the token names, false after `waitMs`. */
  async waitFor(token: Token, waitMs: number): Promise<boolean> {
    const elapsed = (): number => this.log.host.clock.elapsed();
    const deadline = elapsed() + waitMs;
    const covered = await this.covers(token, { waitMs });
    const reactions = [...this.reactions.values()].map(({ reader }) => reader).filter((reader) => reader.source.store === this.log.store);
    const own = [...this.views.values(), ...reactions];
    const met = await Promise.all(own.map((reader) => reader.waitFor(covered.position, deadline - elapsed())));
    return met.every(Boolean) && covered.unmet.length === 0 && covered.unchecked.length === 0;
  }

  /**
   * Waits until this service's log holds what the token names: its own entries it always does, those of other services
   * once their effects have arrived. For reads of entities. Throws `token_invalid`, `token_epoch`.
   */
  async covers(token: Token, options: { readonly waitMs: number; readonly signal?: CancelSignal }): Promise<Exchanged> {
    const deadline = this.log.host.clock.elapsed() + options.waitMs;
    const demand = await this.log.demand(token);
    const exchanged = await this.#inboxes.exchange(demand.foreign, deadline, options.signal);
    return { ...exchanged, position: laterPosition(demand.position, exchanged.position) };
  }

  /** Forgets a person, and waits until the views of this process have followed, at most `waitMs`. */
  async forget(person: string, options: ForgetOptions, waitMs: number): Promise<Forgotten> {
    const forgotten = await forgetPerson(this.log, person, options);
    await this.waitFor(forgotten.token, waitMs);
    await this.log.scrub();
    return forgotten;
  }

  /** What readers of this store have set aside, by order key. */
  parked(): Promise<ParkedKey[]> {
    return this.log.snapshot((tx) => tx.parking.keys());
  }

  /** Has the chosen order keys tried again, now. Answers how many there are. Throws `not_found`. */
  async replay(choice: ParkedChoice, by = ""): Promise<number> {
    const request = { reason: "", by, at: this.log.host.clock.now() };
    const count = await this.log.transact((tx) => requestReplay(tx, choice, request));
    await this.#attend();
    return count;
  }

  /**
   * Has the first event of an order key, or all of them, never applied: not by later versions of the reader either. What,
   * why and by whom is kept for ever. Answers how many events there are. Throws `not_found`, `invalid_input`.
   */
  async discard(
    choice: ParkedChoice & { readonly key: string; readonly all?: boolean },
    why: { readonly reason: string; readonly by: string },
  ): Promise<number> {
    const request = { ...why, at: this.log.host.clock.now() };
    const count = await this.log.transact((tx) => requestDiscard(tx, choice, request));
    await this.#attend();
    return count;
  }

  // Slots of other processes are seen to by these at their next look.
  async #attend(): Promise<void> {
    await Promise.all(this.readers().map((reader) => reader.attend()));
  }

  /** Finishes what was begun and closes the store. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #start(options: StartOptions): Promise<void> {
    const { log } = this;
    await destroyForgotten(log);
    const strong = new StrongViews();
    strong.install(log);
    for (const part of Object.values(this.parts)) {
      if (part.kind === "entity") this.entities.set(part.name, new EntityRuntime(part, log, options));
      else if (part.kind === "view") this.#addView(part, options);
      else if (part.kind === "saga") this.#addSaga(part, options);
    }
    if (options.onUnknown) for (const unknown of unknownEvents(this.name, this.parts, await log.eventTypes())) options.onUnknown(unknown);
    await this.#reportOrphans(options);
    for (const view of this.views.values()) await view.start(strong);
    const former = new FormerVersions(log, () => [...this.reactions.values()].map(({ reader }) => reader.checkpointKey));
    this.#janitor = new Janitor({
      log,
      also: () => former.look(),
      isUsed: async (tx, row) => this.#uses(row) || (await isRun(tx, { reader: row.name, version: row.version })),
      news: (news) => options.onRebuild?.({ service: this.name, ...news }),
    });
    this.#janitor.start();
    await finishForgetting(log);
    for (const part of Object.values(this.parts)) if (part.kind === "reaction") await this.#startReaction(part, options);
    await this.#membership.start();
    for (const saga of this.sagas.values()) await saga.start();
  }

  #addView(definition: AnyView, options: StartOptions, gatherMs = 0): ViewRuntime {
    const view = new ViewRuntime(definition, this.#viewOptions(definition.name, options, gatherMs));
    this.views.set(definition.name, view);
    return view;
  }

  #addSaga(definition: AnySaga, options: StartOptions): void {
    const unfinished = this.#addView(unfinishedOf(definition), options, unfinishedMs);
    const onParked = (parked: ParkedSaga): void => options.onParkedSaga?.({ service: this.name, ...parked });
    const own = {
      log: this.log,
      work: workOf(unfinished, this.#membership),
      onParked,
      waits: this.#waits,
      hasEntity: (name: string) => this.entities.has(name) || this.sagas.has(name),
      sagaOf: (name: string) => this.sagas.get(name),
    };
    this.sagas.set(definition.name, new SagaRuntime(definition, own));
  }

  async #startReaction(definition: AnyReaction, options: StartOptions): Promise<void> {
    const onRefusal = (refusal: Refusal): void => {
      this.refusals++;
      options.onRefusal?.(refusal);
    };
    const reaction = new ReactionRuntime(definition, {
      source: this.#sourceOf(definition, options),
      effects: this.log,
      commanded: (name) => this.entities.get(name) ?? this.sagas.get(name),
      onRefusal,
      setting: this.#setting(definition.name, options),
    });
    this.reactions.set(definition.name, reaction);
    if (reaction.reader.source.store !== this.log.store) {
      this.#inboxes.add(reaction.reader);
      this.log.addInbox(reaction.reader.checkpointKey, reaction.reader.source);
    }
    await takeBack(this.log, reaction.reader.checkpointKey);
    reaction.reader.start();
  }

  async #reportOrphans({ onOrphaned }: StartOptions): Promise<void> {
    if (!onOrphaned) return;
    const names = new Set(this.views.keys());
    for (const orphaned of await this.log.snapshot((tx) => orphanedViews(tx, this.name, names))) onOrphaned(orphaned);
  }

  #uses({ name, version }: DefinitionRow): boolean {
    const view = this.views.get(name);
    return view?.definition.version === version || view?.rebuild.previous?.version === version;
  }

  #viewOptions(view: string, options: StartOptions, gatherMs: number): ViewOptions {
    const news: ViewOptions["news"] = (each) => options.onRebuild?.({ service: this.name, ...each });
    return { log: this.log, inboxes: this.#inboxes, setting: { ...this.#setting(view, options), gatherMs }, news };
  }

  #setting(reader: string, { onStuck, onParked, attemptsMax }: StartOptions): ReaderSetting {
    const lag = this.#lags.get(reader);
    return {
      membership: this.#membership,
      ...(lag ? { lag } : {}),
      ...(attemptsMax === undefined ? {} : { attemptsMax }),
      // Once when it begins, and again each tenth time: a reader that is stuck tries for ever.
      failed: (failure) => {
        if (failure.attempts === 2 || failure.attempts % 10 === 0) onStuck?.({ service: this.name, reader, ...failure });
      },
      parked: (parked) => onParked?.({ service: this.name, reader, ...parked }),
    };
  }

  #sourceOf(definition: AnyReaction, options: StartOptions): LogSource {
    const sources = new Set(definition.from.map((entity) => this.#logOf(entity.name, definition, options)));
    const [source, ...others] = sources;
    if (source && others.length === 0) return source;
    throw new ConvergentError(
      "definition_invalid",
      `the reaction "${definition.name}" listens to entities of several services; write one reaction a service`,
    );
  }

  #logOf(entity: string, definition: AnyReaction, options: StartOptions): LogSource {
    if (this.entities.has(entity) || this.sagas.has(entity)) return this.log;
    const channel = (options.channels ?? []).find((candidate) => candidate.entities.includes(entity));
    if (channel) return channel.source;
    throw new ConvergentError(
      "definition_invalid",
      `the reaction "${definition.name}" listens to "${entity}", which is no part of "${this.name}" and comes by no channel; pass its service in channels: [inProcess(…)]`,
    );
  }

  async #stop(): Promise<void> {
    await Promise.all([...this.sagas.values()].map((saga) => saga.stop()));
    await this.#waits.stop();
    await this.#janitor?.stop();
    await Promise.all([...this.reactions.values()].map((reaction) => reaction.reader.stop()));
    await Promise.all([...this.views.values()].map((view) => view.stop()));
    await Promise.all([...this.entities.values()].map((entity) => entity.settled()));
    await this.#membership.stop();
    await this.log.close();
  }
}

function slowest(all: ReadonlyArray<Percentiles | undefined>): Percentiles | undefined {
  return all.reduce((worst, candidate) => (candidate && (!worst || candidate.p99 > worst.p99) ? candidate : worst), undefined);
}

function unknown(kind: string, name: string, names: Iterable<string>): never {
  const known = [...names];
  throw new ConvergentError("not_found", `there is no ${kind} "${name}"; there is ${known.join(", ") || "none at all"}`, {
    details: { known },
  });
}

// Callers without types forget it, and would meet a property of undefined somewhere below.
function isDriver(store: unknown): boolean {
  return typeof store === "object" && store !== null && "open" in store;
}
