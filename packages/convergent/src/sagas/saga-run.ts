/**
 * One execution of a saga's script, from its beginning or from what its stream says.
 *
 *   begun ──► attempt ──► done                         the next step begins in the same append
 *               │ failed for good
 *               ▼
 *            undoing ──► each undo, in reverse order ──► compensated
 *                            │ failed for good
 *                            ▼
 *                          parked
 *
 * - Before a step runs it is durable that it will, and with that that it is to be undone.
 * - Steps and undos have ids that are made of the saga's and the step's name: however often they run, and whoever runs them.
 * - When nobody knows whether a step took effect, its id is voided before it is undone: a late arrival can then not take effect any more.
 */
import { ConvergentError } from "../errors/error.ts";
import { type Duration, durationMs } from "../host/duration.ts";
import type { Metadata } from "../log/event.ts";
import type { Log } from "../log/log.ts";
import { validated } from "../log/schema.ts";
import { attempted, dueAt, messageOf, outcomeOf, policyOf, storable, waitUntil } from "./attempts.ts";
import { Cancellation } from "./cancellation.ts";
import { type Fact, type Outcome, type SagaState, shown, type StepKind, type Told } from "./facts.ts";
import { Diverged, Journal, type StepEnd } from "./journal.ts";
import type { AnySaga, Attempt, SagaScope, StepOptions } from "./saga.ts";
import { Abandoned, Exists, Writer } from "./writer.ts";

export interface RunOptions {
  readonly definition: AnySaga;
  readonly log: Log;
  readonly id: string;
  readonly stream: string;
  readonly metadata: Metadata;
  /** Told when the saga has become another. */
  readonly wrote: () => void;
  readonly isStopped: () => boolean;
  /** Told of a saga that cannot go on without somebody. */
  readonly parked: (why: { readonly step?: string; readonly error: string }) => void;
}

/** A step that can be taken back, as the script registered it. */
interface Undo {
  readonly step: string;
  readonly options: StepOptions<unknown>;
}

/** Where a step stands when the script asks for it. */
interface Begun {
  readonly end: StepEnd | undefined;
  readonly until: number | undefined;
  /** Failed attempts so far, and when the next one is due. */
  readonly retries: number;
  readonly next: number;
  /** An execution before this one has begun it. */
  readonly isResumed: boolean;
}

/** An undo that failed for good, or a step of which nobody can say what became of it. */
class Stuck extends Error {
  readonly step: string;

  constructor(step: string, message: string) {
    super(message);
    this.step = step;
  }
}

export class SagaRun {
  readonly id: string;
  readonly #options: RunOptions;
  readonly #journal: Journal;
  readonly #writer: Writer;
  /** The saga is to be undone, or this execution of it ends. */
  readonly #cancelled = new Cancellation();
  /** This execution of it ends: its attempts, undos included, are told, and nothing follows from what becomes of them. */
  readonly #left = new Cancellation();
  readonly #undos: Undo[] = [];
  readonly #ends = new Map<string, StepEnd>();
  readonly #underWay = new Set<Promise<unknown>>();
  readonly #names = new Map<string, number>();
  readonly #sleepers: Array<() => void> = [];
  #state: SagaState | undefined;
  #isOver = false;
  #durable: Promise<void> = Promise.resolve();
  #ended: Promise<void> = Promise.resolve();

  /** `history` is the whole stream; `version` that of its newest event. */
  constructor(options: RunOptions, history: readonly Told[] = []) {
    this.#options = options;
    this.id = options.id;
    this.#journal = new Journal(options.log.host.timers);
    this.#journal.read(history);
    for (const fact of history) this.#state = shown(this.#state, fact);
    if (this.#journal.cancelled !== undefined) this.#cancelled.cancel(cancelledError(this.#journal.cancelled));
    const { log, stream, metadata, isStopped } = options;
    this.#writer = new Writer({
      log,
      saga: options.definition.name,
      stream,
      metadata,
      version: history.at(-1)?.version ?? 0,
      isStopped,
      told: (fact) => this.#told(fact),
      // Whoever cancelled it was told that it will be undone.
      holds: ({ name }) => name !== "completed" || this.#journal.cancelled === undefined,
      abandoned: (why) => {
        this.leave(why);
        if (why.cause !== undefined) options.parked({ error: messageOf(why.cause) });
      },
      wrote: (facts) => {
        for (const fact of facts) this.#state = shown(this.#state, fact);
        options.wrote();
      },
    });
  }

  /** Of the newest append. */
  get writer(): Writer {
    return this.#writer;
  }

  /** Writes `first` together with what the script does at once, and runs it. */
  run(input: unknown, ...first: readonly Fact[]): void {
    if (first.length > 0) this.#durable = this.#writer.record(...first).then((at) => this.#journal.begun(at));
    this.#durable.catch(() => undefined); // the script meets it, or its end does
    this.#ended = this.#script(input).catch((error: unknown) => this.#stuck(error));
  }

  /** Resolves when it is durable that the saga was started, and by this execution. */
  get durable(): Promise<void> {
    return this.#durable;
  }

  /** The saga as this execution has written it. */
  get state(): SagaState | undefined {
    return this.#state;
  }

  /** Whether it was ended where it stands; what the script still waits for may never come. */
  get isLeft(): boolean {
    return this.#left.aborted;
  }

  /** Resolves when this execution is over. */
  get ended(): Promise<void> {
    return this.#ended;
  }

  /** Ends this execution where it stands: the process stops, or the saga is somebody else's. */
  leave(why: Abandoned): void {
    this.#left.cancel(why);
    this.#cancelled.cancel(why);
    this.#wakeUp();
    this.#options.wrote();
  }

  /** Something that others have written. */
  hear(version: number, fact: Told): void {
    this.#writer.hear(version, fact);
  }

  async #script(input: unknown): Promise<void> {
    const { definition, id } = this.#options;
    let result: unknown;
    try {
      result = storable(
        await definition.run(this.#scope, await validated(definition.input, input, `the input of ${definition.name} ${id}`)),
      );
      if (this.#cancelled.aborted) throw this.#cancelled.reason;
    } catch (error) {
      if (isOfRun(error)) throw error;
      await this.#settle();
      this.#isOver = true;
      await this.#compensate(messageOf(error));
      return;
    }
    await this.#settle();
    this.#isOver = true;
    this.#journal.requireSpent();
    if (this.#journal.undoing !== undefined) throw new Diverged("the script ended well, and history has it undone");
    await this.#writer.record({ name: "completed", data: result === undefined ? {} : { result } });
    if (this.#journal.cancelled !== undefined) await this.#compensate(messageOf(cancelledError(this.#journal.cancelled)));
  }

  // Steps that run beside the one that failed come to their end first.
  async #settle(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.allSettled(this.#underWay);
  }

  get #scope(): SagaScope {
    return {
      id: this.id,
      now: () => this.#journal.at,
      step: (name, run, options = {}) => this.#tracked(this.#step(name, run, options)),
      sleep: (name, wait) => this.#tracked(this.#timer(name, durationMs(wait), undefined)),
      until: (name, at) => this.#tracked(this.#timer(name, 0, at)),
      signal: <T>(name: string, { timeout }: { readonly timeout?: Duration } = {}) =>
        this.#tracked(this.#signal(name, timeout === undefined ? undefined : durationMs(timeout))) as Promise<T | undefined>,
    };
  }

  #tracked<T>(work: Promise<T>): Promise<T> {
    this.#underWay.add(work);
    void work.catch(() => undefined).finally(() => this.#underWay.delete(work));
    return work;
  }

  /** What the next use of a name is called: the name itself, then `name #2`. */
  #named(name: string): string {
    if (this.#isOver)
      throw new ConvergentError(
        "definition_invalid",
        `the saga ${this.id} asks for "${name}" after its script has ended; await every step`,
      );
    if (typeof name !== "string" || name.length === 0 || name.length > 200)
      throw new ConvergentError("invalid_input", "the name of a step is a text of 1 to 200 characters");
    const count = (this.#names.get(name) ?? 0) + 1;
    this.#names.set(name, count);
    return count === 1 ? name : `${name} #${count}`;
  }

  /** The end that history has for it; otherwise it is begun now, or was. */
  async #begin(
    step: string,
    begun: { readonly kind: StepKind; readonly undo: boolean; readonly signal?: string; readonly until?: () => number | undefined },
    options: StepOptions<unknown> = {},
  ): Promise<Begun> {
    const { kind, undo, signal } = begun;
    const asked = this.#journal.ask(step, kind, undo);
    if (!asked) {
      await this.#journal.spent(step);
      // Before it was undone, too, one that was cancelled came no further than this.
      if (this.#cancelled.aborted) throw this.#cancelled.reason;
      if (this.#journal.undoing !== undefined) throw new Diverged(`the script asks for "${step}", and history has it undone by then`);
    }
    if (undo) this.#undos.push({ step, options });
    if (asked?.end) {
      await this.#journal.turn(step);
      this.#ends.set(step, asked.end);
    }
    if (asked) return { ...asked, isResumed: true };
    const until = begun.until?.();
    const also = { ...(signal === undefined ? {} : { signal }), ...(until === undefined ? {} : { until }) };
    this.#journal.begun(await this.#writer.record({ name: "begun", data: { step, kind, undo, ...also } }));
    return { end: undefined, until, retries: 0, next: 0, isResumed: false };
  }

  async #step<T>(name: string, run: (id: string, attempt: Attempt) => Promise<T> | T, options: StepOptions<T>): Promise<T> {
    const step = this.#named(name);
    const { attempts, backoff } = policyOf(options.retry, 5);
    const { end, retries, next, isResumed } = await this.#begin(
      step,
      { kind: "step", undo: options.undo !== undefined },
      options as StepOptions<unknown>,
    );
    if (end) return given(step, end) as T;
    const { host } = this.#options.log;
    const id = this.#idOf(step);
    // What one attempt may yet do, no later one takes back: whatever that is told, the id has to be voided. So it is with an attempt of an
    // execution that died: its request may be on its way.
    let mayArrive = isResumed;
    for (let attempt = retries + 1, due = next; ; attempt++) {
      try {
        if (attempt > 1) await waitUntil(host, due, this.#cancelled);
        return this.#answered(step, await attempted(host, options, (about) => run(id, { ...about, attempt }), this.#cancelled)) as T;
      } catch (error) {
        if (this.#ends.has(step)) throw error;
        if (isOfRun(error)) throw error;
        const outcome = this.#cancelled.aborted && error === this.#cancelled.reason ? "unknown" : outcomeOf(error);
        mayArrive ||= outcome === "unknown";
        const message = messageOf(error);
        if (outcome === "refused" || this.#cancelled.aborted || attempt >= attempts)
          return this.#end(step, { kind: "failed", error: message, outcome: mayArrive ? "unknown" : outcome }) as T;
        due = dueAt(host, backoff, attempt);
        void this.#writer.record({ name: "retried", data: { step, attempt, error: message, next: due } }).catch(() => undefined);
      }
    }
  }

  // What cannot be kept has had its effect nevertheless, and trying again would not make it JSON.
  #answered(step: string, answer: unknown): unknown {
    let result: unknown;
    try {
      result = storable(answer);
    } catch (error) {
      return this.#end(step, { kind: "failed", error: messageOf(error), outcome: "failed" });
    }
    return this.#end(step, { kind: "done", result });
  }

  // What follows need not wait until the end is durable: what it does is written behind it, in the same append.
  #end(step: string, end: StepEnd): unknown {
    this.#ends.set(step, end);
    const fact: Fact =
      end.kind === "done"
        ? { name: "done", data: { step, ...(end.result === undefined ? {} : { result: end.result }) } }
        : { name: "failed", data: { step, error: end.error, outcome: end.outcome } };
    void this.#writer.record(fact).catch(() => undefined); // whoever records the next thing hears of it
    return given(step, end);
  }

  async #timer(name: string, waitMs: number, at: number | undefined): Promise<void> {
    const step = this.#named(name);
    if (at !== undefined && !Number.isFinite(at))
      throw new ConvergentError("invalid_input", `the saga ${this.id} waits at "${name}" until ${at}, which is no time in milliseconds`);
    const { host } = this.#options.log;
    const until = (): number => Math.ceil(at ?? host.clock.now() + waitMs);
    const begun = await this.#begin(step, { kind: "timer", undo: false, until });
    if (begun.end) return void given(step, begun.end);
    try {
      await waitUntil(host, begun.until ?? 0, this.#cancelled);
    } catch (error) {
      if (isOfRun(error)) throw error;
      this.#end(step, { kind: "failed", error: messageOf(error), outcome: "refused" });
    }
    this.#end(step, { kind: "done", result: undefined });
  }

  async #signal(name: string, timeoutMs: number | undefined): Promise<unknown> {
    const step = this.#named(name);
    const { host } = this.#options.log;
    const until = (): number | undefined => (timeoutMs === undefined ? undefined : Math.ceil(host.clock.now() + timeoutMs));
    const begun = await this.#begin(step, { kind: "signal", undo: false, signal: name, until });
    if (begun.end) return given(step, begun.end);
    for (;;) {
      if (this.#left.aborted) throw this.#left.reason;
      if (this.#cancelled.aborted) return this.#end(step, { kind: "failed", error: messageOf(this.#cancelled.reason), outcome: "refused" });
      const signal = this.#journal.takeSignal(name);
      if (signal) return this.#end(step, { kind: "done", result: signal.data ?? null });
      if (begun.until !== undefined && host.clock.now() >= begun.until) return this.#end(step, { kind: "done", result: undefined });
      await this.#newsUntil(begun.until);
    }
  }

  /** Resolves when something was told, or at a time. */
  async #newsUntil(until: number | undefined): Promise<void> {
    const { clock, timers } = this.#options.log.host;
    const timer =
      until === undefined ? undefined : timers.after(Math.min(Math.max(1, until - clock.now()), 3_600_000), () => this.#wakeUp());
    await new Promise<void>((resolve) => this.#sleepers.push(resolve));
    timer?.cancel();
  }

  #wakeUp(): void {
    for (const resolve of this.#sleepers.splice(0)) resolve();
  }

  #told(fact: Told): void {
    this.#journal.tell(fact);
    this.#state = shown(this.#state, fact);
    this.#options.wrote();
    if (fact.name === "cancelled") this.#cancelled.cancel(cancelledError(fact.data.reason));
    this.#wakeUp();
  }

  async #compensate(error: string): Promise<void> {
    this.#journal.requireSpent();
    if (this.#journal.undoing === undefined) await this.#writer.record({ name: "undoing", data: { error } });
    this.#journal.undoing ??= error;
    for (const undo of this.#undos.toReversed()) if (!this.#journal.isUndone(undo.step)) await this.#undo(undo);
    await this.#writer.record({ name: "compensated", data: { error: this.#journal.undoing } });
  }

  async #undo({ step, options }: Undo): Promise<void> {
    const end = this.#ends.get(step);
    const outcome: Outcome | "done" = end?.kind === "done" ? "done" : (end?.outcome ?? "unknown");
    if (outcome === "refused") return;
    const id = this.#idOf(step);
    await this.#writer.record({ name: "undo-begun", data: { step } });
    let done = outcome === "done";
    if (outcome === "unknown") {
      const { void: voids } = options;
      if (!voids)
        throw new Stuck(step, `nobody knows whether "${step}" will still take effect: give the step a \`void\`, or see to it and say so`);
      if (await this.#persist(step, options, () => voids(id))) {
        await this.#writer.record({ name: "undone", data: { step, how: "void" } });
        return;
      }
      done = true;
    }
    const result = end?.kind === "done" ? end.result : undefined;
    await this.#persist(step, options, (about) => options.undo?.(`${id}/undo`, { ...about, stepId: id, done, result }));
    await this.#writer.record({ name: "undone", data: { step, how: "undone" } });
  }

  /** Shielded from being cancelled. Throws `Stuck` when it fails for good. */
  async #persist<T>(step: string, options: StepOptions<unknown>, work: (about: Attempt) => Promise<T> | T): Promise<T> {
    const { host } = this.#options.log;
    const { attempts, backoff } = policyOf(options.retry, 10);
    for (let attempt = this.#journal.undoRetries(step) + 1; ; attempt++) {
      try {
        return await attempted(host, options, (about) => work({ ...about, attempt }), this.#left);
      } catch (error) {
        if (isOfRun(error)) throw error;
        const message = messageOf(error);
        if (attempt >= attempts) throw new Stuck(step, message);
        const next = dueAt(host, backoff, attempt);
        await this.#writer.record({ name: "undo-retried", data: { step, attempt, error: message, next } });
        await waitUntil(host, next, this.#left);
      }
    }
  }

  async #stuck(error: unknown): Promise<void> {
    if (error instanceof Abandoned || error instanceof Exists) return;
    const why = { ...(error instanceof Stuck ? { step: error.step } : {}), error: messageOf(error) };
    try {
      await this.#writer.record({ name: "parked", data: why });
      this.#options.parked(why);
    } catch {
      // Whoever has it now will find it.
    }
  }

  #idOf(step: string): string {
    return `${this.#options.definition.name}/${this.id}/${step}`;
  }
}

/** What a step that has ended gives to the script. */
function given(step: string, end: StepEnd): unknown {
  if (end.kind === "done") return end.result;
  throw new ConvergentError("saga_step_failed", `the step "${step}" failed: ${end.error}`, { details: { step, outcome: end.outcome } });
}

function cancelledError(reason: string): ConvergentError {
  return new ConvergentError("saga_cancelled", `the saga was cancelled: ${reason}`);
}

/** What ends this execution, and is nothing that the script may handle. */
function isOfRun(error: unknown): boolean {
  return error instanceof Abandoned || error instanceof Exists || error instanceof Diverged || error instanceof Stuck;
}
