/**
 * The sagas of one definition on one log: started, looked at, signalled, and run to their end by some process.
 *
 * - Whoever starts a saga runs it. What is unfinished is a view of the log; a saga whose owner does not live any more is taken over
 *   by the process that owns its slot there, within the time in which members notice that one is gone.
 * - Two processes may believe for a moment that a saga is theirs. Its stream decides: see `writer.ts`.
 */
import { ConvergentError, isConvergentError } from "../errors/error.ts";
import type { CancelSignal, Timer } from "../host/host.ts";
import type { Appended, AppendId } from "../log/append.ts";
import { EventCodec } from "../log/codec.ts";
import { canonicalJson } from "../log/digest.ts";
import { type Metadata, type NewEvent, type StoredEvent, streamOf } from "../log/event.ts";
import type { Log } from "../log/log.ts";
import { validated } from "../log/schema.ts";
import type { WriteTransaction } from "../log/store.ts";
import type { Position } from "../position/position.ts";
import type { Token } from "../position/token.ts";
import { hasEnded, type SagaAccepted, type SagaState } from "../protocol/saga.ts";
import type { ChildSagas } from "./children.ts";
import type { EventWaits } from "./event-waits.ts";
import { type Fact, factOf, isClaim, shown, type Told } from "./facts.ts";
import { heardBefore } from "./heard.ts";
import { Hearing } from "./hearing.ts";
import { Offers, type SagaCommand, tellIn, type TellOutcome } from "./offers.ts";
import type { AnySaga } from "./saga.ts";
import { SagaRun } from "./saga-run.ts";
import { type SagaCallOptions, type SagaTellOptions, tellIdOf, type TellId, toldBefore, toldMetadata } from "./telling.ts";
import { type Here, type SagaReading, Watching } from "./watching.ts";
import { Abandoned, Exists } from "./writer.ts";

/** How often sagas are looked for whose owner is gone. */
const lookMs = 1_000;

/** Looks that find nobody gone ask the view only now and then. */
const looksPerScan = 10;

/** A saga that has not ended, as the view of these has it. */
export interface Unfinished {
  readonly id: string;
  readonly owner: string;
}

/** What a runtime needs of its service. */
export interface SagaOptions {
  readonly log: Log;
  readonly work: {
    /** Sagas that run, as far as the view has come, a page at a time. */
    readonly running: () => AsyncIterable<Unfinished>;
    /** Whether this process is to see to a saga that nobody runs. */
    readonly isOurs: (id: string) => boolean;
    /** A text that changes with the slots that are this process's. */
    readonly slots: () => string;
    /** This process, and all that live. */
    readonly self: string;
    readonly live: () => ReadonlySet<string>;
  };
  readonly onParked: (parked: ParkedSaga) => void;
  /** What sagas of this process wait for: of all definitions, so that one reader serves them. */
  readonly waits: EventWaits;
  /** Whether a name is one of the service's own entities, or sagas. */
  readonly hasEntity: (name: string) => boolean;
  readonly sagaOf: (name: string) => ChildSagas | undefined;
}

/** A saga that cannot go on without somebody. */
export interface ParkedSaga {
  readonly saga: string;
  readonly id: string;
  readonly step?: string;
  readonly error: string;
}

interface Read {
  readonly facts: readonly Told[];
  readonly state: SagaState;
  readonly owner: string;
  readonly metadata: Metadata;
  readonly last: StoredEvent;
}

/** What is written into a saga's stream by others, and under which id. */
interface Written {
  readonly facts: readonly Fact[];
  readonly own?: AppendId | undefined;
}

/** The sagas of one definition, in a running service. */
export class SagaRuntime {
  readonly definition: AnySaga;
  readonly #log: Log;
  readonly #codec: EventCodec;
  readonly #options: SagaOptions;
  readonly #runs = new Map<string, SagaRun>();
  readonly #watching: Watching;
  readonly #hearing: Hearing;
  readonly #offers: Offers;
  #timer: Timer | undefined;
  #looks = 0;
  #live = "";
  #stopped = false;

  constructor(definition: AnySaga, options: SagaOptions) {
    this.definition = definition;
    this.#options = options;
    this.#log = options.log;
    this.#codec = new EventCodec([definition.entity], options.log);
    const watched = {
      here: (id: string) => this.#here(id),
      tokenAt: (position: Position) => options.log.tokenAt(position),
      read: (id: string) => this.read(id),
      elsewhere: () => this.#hearing.listen(this.#types()),
    };
    this.#watching = new Watching(watched, options.log.host.timers);
    this.#hearing = new Hearing(options.log, (event) => this.#dispatch(event));
    this.#offers = new Offers((id) => this.#adopt(id, options.work.live()));
  }

  /** Follows what others write, and takes over what nobody runs. */
  async start(): Promise<void> {
    await this.#hearing.start(this.#types());
    this.#later();
  }

  /** Begins no step any more; what is under way is left to the next one who runs it. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#offers.stop();
    await this.#hearing.stop();
    for (const run of this.#runs.values()) run.leave(new Abandoned("the service stops"));
    await Promise.allSettled([...this.#runs.values()].map((run) => run.writer.settled()));
  }

  /** How many sagas this process runs. */
  get running(): number {
    return this.#runs.size;
  }

  /**
   * Starts a saga, once: the same id with the same input again answers the saga that there is. Resolves when it is durable.
   * Throws `saga_exists` for another input, `invalid_input`, `outcome_unknown` when the service stops meanwhile, and what `Log.append` throws.
   */
  async begin(id: string, input: unknown, { actor, metadata }: SagaCallOptions = {}): Promise<SagaAccepted> {
    this.stream(id);
    const { name, version } = this.definition;
    await validated(this.definition.input, input, `the input of ${name}`);
    canonicalJson(input);
    if (this.#stopped) throw new ConvergentError("closed", `the service stops; nothing of the saga ${id} was written`);
    // Of two starts at once in this process the second waits for what becomes of the first.
    const other = this.#run(id);
    if (
      other &&
      (await other.durable.then(
        () => true,
        () => false,
      ))
    )
      return this.#startedBefore(id, input);
    const about: Metadata = { correlation: id, ...(actor === undefined ? {} : { actor }), ...metadata };
    const run = this.#newRun(id, about);
    const started = { input, version, owner: this.#options.work.self, run: this.#log.host.random.id() };
    run.run(input, { name: "started", data: started });
    this.#keep(run);
    try {
      await run.durable;
      return { id, token: run.writer.token as Token, repeated: false };
    } catch (error) {
      if (error instanceof Exists) return await this.#startedBefore(id, input);
      if (!(error instanceof Abandoned)) throw error;
      throw new ConvergentError("outcome_unknown", `the service stops; start the saga ${id} again under this id`, { details: { id } });
    }
  }

  /** Throws `saga_not_found`. */
  async read(id: string): Promise<SagaReading> {
    const { state, last } = await this.#known(id);
    return { id, state, version: last.version, token: await this.#log.tokenAt(last.position) };
  }

  /** The saga as it becomes, from now on, the present state first; it ends with the saga. A slow caller gets the newest state. Throws `saga_not_found`. */
  watch(id: string, signal?: CancelSignal): AsyncGenerator<SagaReading, void, undefined> {
    return this.#watching.watch(id, signal);
  }

  /** The saga as it becomes, the present state first, until it has completed or is undone: what a parent follows it by. */
  follow(id: string, signal: CancelSignal): AsyncGenerator<SagaReading, void, undefined> {
    return this.#watching.watch(id, signal, (status) => status === "completed" || status === "compensated");
  }

  /** The saga once it has ended, or as it is after `waitMs`. Throws `saga_not_found`. */
  end(id: string, waitMs: number, signal?: CancelSignal): Promise<SagaReading> {
    return this.#watching.end(id, waitMs, signal);
  }

  /** Gives a running saga a signal. Resolves when it is durable. Throws `saga_not_found`, `saga_ended`. */
  signal(id: string, signal: string, data: unknown, options: SagaTellOptions = {}): Promise<SagaAccepted> {
    canonicalJson(data);
    const fact: Fact = { name: "signalled", data: { signal, ...(data === undefined ? {} : { data }) } };
    return this.#tell(id, fact, options);
  }

  /** Has a running saga undo what it did. Throws `saga_not_found`, `saga_ended`. */
  cancel(id: string, reason: string, options: SagaTellOptions = {}): Promise<SagaAccepted> {
    return this.#tell(id, { name: "cancelled", data: { reason } }, options);
  }

  /**
   * Has a parked saga go on: what failed is tried again, or is taken for done because somebody has seen to it (`resolved`).
   * Throws `saga_not_found`, `saga_ended` for one that is not parked.
   */
  async resume(
    id: string,
    how: { readonly resolved: boolean; readonly reason: string; readonly by: string } & TellId,
  ): Promise<SagaAccepted> {
    const known = await this.#known(id);
    const { status, steps } = known.state;
    const { reason, by, resolved } = how;
    const own = tellIdOf(this.stream(id), ["resume", resolved, reason, by], { ...how, actor: by });
    const before = await toldBefore(this.#log, id, own);
    if (before) return before;
    if (status !== "parked") this.#ended(id, status, "only a parked one is resumed");
    const stuck = steps
      .filter(({ state }) => state === "stuck")
      .map(({ name: step }): Fact => ({ name: "undone", data: { step, how: "resolved", reason, by } }));
    if (resolved && stuck.length === 0)
      throw new ConvergentError("invalid_input", `the saga ${id} has no undo that is stuck; retry it instead`);
    const facts: readonly Fact[] = [...(resolved ? stuck : []), { name: "resumed", data: { ...this.#claim(), reason, by } }];
    return this.#takeOver(id, known, { facts, own });
  }

  /** Has a saga that has completed undo itself, as a parent does; what is being undone, or has been, is left as it is. */
  async revert(id: string, reason: string): Promise<void> {
    for (;;) {
      const known = await this.#known(id);
      if (known.state.status !== "completed") return;
      const facts: readonly Fact[] = [{ name: "reverted", data: { ...this.#claim(), reason } }];
      if (await this.#takeOver(id, known, { facts }).catch(ifConflict)) return;
    }
  }

  /** Tells a saga what a reaction has for it, in the reaction's transaction: see `tellIn`. */
  runIn(tx: WriteTransaction, call: SagaCommand): Promise<TellOutcome> {
    this.stream(call.entityId);
    return tellIn(tx, { log: this.#log, definition: this.definition }, call);
  }

  /** The stream of a saga. Throws `invalid_input` for an id that cannot be stored. */
  stream(id: string): string {
    if (id.length === 0 || id.length > 256 || !id.isWellFormed() || id.includes("\u0000"))
      throw new ConvergentError("invalid_input", "the id of a saga has 1 to 256 characters of well-formed text");
    return streamOf(this.definition.name, id);
  }

  /** The execution in this process, as long as the saga is its own. */
  #run(id: string): SagaRun | undefined {
    const run = this.#runs.get(id);
    return run?.isLeft ? undefined : run;
  }

  #here(id: string): Here | undefined {
    const { state, writer } = this.#run(id) ?? {};
    if (!state || !writer?.token || writer.position === undefined) return undefined;
    return { id, state, version: writer.version, position: writer.position };
  }

  #type(name: string): string {
    return `${this.definition.name}.${name}`;
  }

  #claim(): { owner: string; run: string } {
    return { owner: this.#options.work.self, run: this.#log.host.random.id() };
  }

  #newRun(
    id: string,
    metadata: Metadata,
    { history = [], heard = new Map() }: { readonly history?: readonly Told[]; readonly heard?: ReadonlyMap<string, StoredEvent> } = {},
  ): SagaRun {
    const { definition } = this;
    const { waits, hasEntity, sagaOf } = this.#options;
    const options = {
      definition,
      log: this.#log,
      id,
      stream: this.stream(id),
      metadata,
      waits,
      hasEntity,
      sagaOf,
      heard,
      isStopped: () => this.#stopped,
      wrote: () => this.#watching.wake(id),
      parked: (why: { readonly step?: string; readonly error: string }) => this.#options.onParked({ saga: definition.name, id, ...why }),
    };
    return new SagaRun(options, history);
  }

  #keep(run: SagaRun): void {
    this.#runs.set(run.id, run);
    void run.ended.then(() => {
      if (this.#runs.get(run.id) !== run) return;
      this.#runs.delete(run.id);
      this.#watching.wake(run.id); // whoever waits for one that was left asks the store
    });
  }

  async #startedBefore(id: string, input: unknown): Promise<SagaAccepted> {
    const { state, last } = await this.#known(id);
    if (canonicalJson(state.input) !== canonicalJson(input))
      throw new ConvergentError(
        "saga_exists",
        `there is a saga ${this.definition.name} ${id} with another input; use a new id for a new saga`,
        {
          details: { id },
        },
      );
    return { id, token: await this.#log.tokenAt(last.position), repeated: true };
  }

  async #known(id: string): Promise<Read> {
    const events = await this.#log.stream(this.stream(id));
    const last = events.at(-1);
    if (!last) throw new ConvergentError("saga_not_found", `there is no ${this.definition.name} "${id}"`, { details: { id } });
    const envelopes = events.map(this.#codec.decode);
    const facts = envelopes.map(factOf);
    let owner = "";
    let state: SagaState | undefined;
    for (const fact of facts) {
      if (fact.name === "started" || isClaim(fact)) ({ owner } = fact.data);
      state = shown(state, fact);
    }
    return { facts, state: state as SagaState, owner, last, metadata: envelopes[0]?.metadata ?? {} };
  }

  #ended(id: string, status: string, why: string): never {
    throw new ConvergentError("saga_ended", `the saga ${this.definition.name} ${id} is ${status}: ${why}`, { details: { id, status } });
  }

  /** Writes something into a running saga's stream, behind whatever is there. */
  async #tell(id: string, fact: Fact, options: SagaTellOptions): Promise<SagaAccepted> {
    const own = tellIdOf(this.stream(id), [fact.name, fact.data], options);
    for (;;) {
      const { state, last, metadata: first } = await this.#known(id);
      if (state.status !== "running")
        return (await toldBefore(this.#log, id, own)) ?? this.#ended(id, state.status, "it hears of nothing any more");
      const appended = await this.#append(id, last.version, { facts: [fact], own, metadata: toldMetadata(first, options) });
      if (appended) return { id, token: appended.token, repeated: appended.repeated };
    }
  }

  async #append(
    id: string,
    expected: number,
    { facts, own, metadata }: Written & { readonly metadata: Metadata },
  ): Promise<Appended | undefined> {
    const events = facts.map(({ name, data }): NewEvent => ({ type: this.#type(name), data }));
    const outcome = await this.#log.append({ stream: this.stream(id), expected, events, metadata, ...(own ? { id: own } : {}) });
    if (outcome.kind === "refused") throw outcome.reason;
    if (outcome.kind === "conflict") return undefined;
    for (const event of outcome.events) this.#dispatch(event);
    return outcome;
  }

  async #takeOver(id: string, known: Read, written: Written): Promise<SagaAccepted> {
    const heard = await heardBefore(this.#log, known.facts);
    const appended = await this.#append(id, known.last.version, { ...written, metadata: known.metadata });
    if (!appended)
      throw new ConvergentError("version_conflict", `the saga ${id} has changed meanwhile; look at it and try again`, { details: { id } });
    const { token, repeated } = appended;
    if (repeated) return { id, token, repeated };
    const history = [...known.facts, ...appended.events.map((event) => factOf(this.#codec.decode(event)))];
    const run = this.#newRun(id, known.metadata, { history, heard });
    run.run(known.state.input);
    this.#keep(run);
    return { id, token, repeated };
  }

  /** What is read of the log: what runs must hear of, and everything while somebody watches. */
  #types(): readonly string[] {
    const names = this.#watching.isElsewhere
      ? Object.keys(this.definition.entity.events as object)
      : ["offered", "signalled", "cancelled", "taken", "resumed", "reverted"];
    return names.map((name) => this.#type(name));
  }

  #dispatch(event: StoredEvent): void {
    const id = event.stream.slice(this.definition.name.length + 1);
    const fact = factOf(this.#codec.decode(event));
    const run = this.#run(id);
    if (fact.name === "signalled" || fact.name === "cancelled") run?.hear(event.version, fact);
    else if (isClaim(fact) && run && event.version > run.writer.version) run.leave(new Abandoned(`${event.stream} was taken over`));
    else if (fact.name === "offered" && !this.#stopped && this.#options.work.isOurs(id)) this.#offers.heard(id);
    this.#watching.wake(id);
  }

  #later(): void {
    this.#timer = this.#log.host.timers.after(lookMs, () => {
      void this.#look()
        .catch(() => undefined) // the store does not answer: it is asked again
        .then(() => {
          if (!this.#stopped) this.#later();
        });
    });
  }

  async #look(): Promise<void> {
    const { running, isOurs, slots, live, self } = this.#options.work;
    const present = live();
    // What came before the slots were ours is nobody's but ours by now.
    const names = `${[...present].sort().join()} ${slots()}`;
    if (names === this.#live && this.#looks++ % looksPerScan !== 0) return;
    let isWhole = true;
    for await (const { id, owner } of running()) {
      if (this.#stopped) return;
      const isOrphaned = owner === self ? !this.#run(id) : !present.has(owner);
      // One that cannot be read holds up no other; it is tried again at the next look.
      if (isOrphaned && isOurs(id))
        isWhole = await this.#adopt(id, present).then(
          () => isWhole,
          () => false,
        );
    }
    if (isWhole) this.#live = names;
  }

  async #adopt(id: string, present: ReadonlySet<string>): Promise<void> {
    const known = await this.#known(id);
    const { status } = known.state;
    if (hasEnded(status) || this.#run(id) || (known.owner !== this.#options.work.self && present.has(known.owner))) return;
    await this.#takeOver(id, known, { facts: [{ name: "taken", data: this.#claim() }] }).catch(ifConflict);
  }
}

// Somebody was faster.
function ifConflict(error: unknown): undefined {
  if (!isConvergentError(error, "version_conflict")) throw error;
}
