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
import type { AnyEntity } from "../entities/entity.ts";
import { ConvergentError } from "../errors/error.ts";
import { type Duration, durationMs } from "../host/duration.ts";
import type { Envelope, Metadata, StoredEvent } from "../log/event.ts";
import type { Log } from "../log/log.ts";
import { validated } from "../log/schema.ts";
import { attempted, dueAt, messageOf, outcomeOf, policyOf, storable, waitUntil } from "./attempts.ts";
import { Cancellation } from "./cancellation.ts";
import { type ChildSource, runChild } from "./children.ts";
import type { EventWaits } from "./event-waits.ts";
import { type Fact, type SagaState, shown, type Told } from "./facts.ts";
import { Diverged, Journal } from "./journal.ts";
import type { AnySaga, Attempt, SagaScope, StepOptions, WaitForOptions } from "./saga.ts";
import { given, isOfRun, Steps, Stuck } from "./steps.ts";
import { compensate } from "./undoing.ts";
import { waitForEvent, waitForSignal, waitForTime } from "./waits.ts";
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
  readonly waits: EventWaits;
  readonly hasEntity: (name: string) => boolean;
  /** Events that history has as answers, by step. */
  readonly heard: ReadonlyMap<string, StoredEvent>;
  readonly sagaOf: ChildSource["sagaOf"];
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
  readonly #steps: Steps;
  #state: SagaState | undefined;
  #durable: Promise<void> = Promise.resolve();
  #ended: Promise<void> = Promise.resolve();

  /** `history` is the whole stream; `version` that of its newest event. */
  constructor(options: RunOptions, history: readonly Told[] = []) {
    this.#options = options;
    this.id = options.id;
    this.#journal = new Journal(options.log.host.timers, options.definition.version);
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
        if (facts[0]) this.#journal.started(facts[0].position);
        options.wrote();
      },
    });
    this.#steps = new Steps({
      host: log.host,
      journal: this.#journal,
      writer: this.#writer,
      cancelled: this.#cancelled,
      left: this.#left,
      saga: options.definition.name,
      id: options.id,
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
    this.#steps.wakeUp();
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
      await this.#steps.settle();
      await compensate(this.#steps, messageOf(error));
      return;
    }
    await this.#steps.settle();
    this.#journal.requireSpent();
    if (this.#journal.isReverted) return compensate(this.#steps, this.#journal.undoing ?? "");
    if (this.#journal.undoing !== undefined)
      throw new Diverged("the script ended well, and history has it undone", { step: this.#journal.begunCount + 1 });
    await this.#writer.record({ name: "completed", data: result === undefined ? {} : { result } });
    if (this.#journal.cancelled !== undefined) await compensate(this.#steps, messageOf(cancelledError(this.#journal.cancelled)));
  }

  get #scope(): SagaScope {
    const steps = this.#steps;
    const { log, waits, hasEntity, heard, sagaOf, metadata } = this.#options;
    const journal = this.#journal;
    const events = { log, waits, hasEntity, heard, startedAt: () => journal.startedAt };
    return {
      id: this.id,
      version: journal.version,
      now: () => journal.at,
      step: (name, run, options = {}) => steps.tracked(this.#step(name, run, options)),
      sleep: (name, wait) => steps.tracked(waitForTime(steps, name, { waitMs: durationMs(wait) })),
      until: (name, at) => steps.tracked(waitForTime(steps, name, { at })),
      signal: <T>(name: string, { timeout }: { readonly timeout?: Duration } = {}) =>
        steps.tracked(waitForSignal(steps, name, timeout === undefined ? undefined : durationMs(timeout))) as Promise<T | undefined>,
      waitFor: ((entity: AnyEntity, type: string, { match, entityId, after, timeout }: WaitForOptions<Envelope> = {}) => {
        const timeoutMs = timeout === undefined ? undefined : durationMs(timeout);
        return steps.tracked(waitForEvent(steps, events, { entity, type, match, entityId, after: after?.position, timeoutMs }));
      }) as SagaScope["waitFor"],
      run: (child, input, { name = child.name } = {}) =>
        steps.tracked(runChild(steps, { sagaOf, metadata }, { definition: child, input, name })) as Promise<never>,
    };
  }

  async #step<T>(name: string, run: (id: string, attempt: Attempt) => Promise<T> | T, options: StepOptions<T>): Promise<T> {
    const steps = this.#steps;
    const { host } = steps;
    const step = steps.named(name);
    const { attempts, backoff } = policyOf(options.retry, 5);
    const undo = options.undo === undefined ? undefined : (options as StepOptions<unknown>);
    const { end, retries, next, isResumed } = await steps.begin(step, { kind: "step", undo });
    if (end) return given(step, end) as T;
    const id = steps.idOf(step);
    // What one attempt may yet do, no later one takes back: whatever that is told, the id has to be voided. So it is with an attempt of an
    // execution that died: its request may be on its way.
    let mayArrive = isResumed;
    for (let attempt = retries + 1, due = next; ; attempt++) {
      try {
        if (attempt > 1) await waitUntil(host, due, this.#cancelled);
        return this.#answered(step, await attempted(host, options, (about) => run(id, { ...about, attempt }), this.#cancelled)) as T;
      } catch (error) {
        if (steps.ends.has(step)) throw error;
        if (isOfRun(error)) throw error;
        const outcome = this.#cancelled.aborted && error === this.#cancelled.reason ? "unknown" : outcomeOf(error);
        mayArrive ||= outcome === "unknown";
        const message = messageOf(error);
        if (outcome === "refused" || this.#cancelled.aborted || attempt >= attempts)
          return steps.end(step, { kind: "failed", error: message, outcome: mayArrive ? "unknown" : outcome }) as T;
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
      return this.#steps.end(step, { kind: "failed", error: messageOf(error), outcome: "failed" });
    }
    return this.#steps.end(step, { kind: "done", result });
  }

  #told(fact: Told): void {
    this.#journal.tell(fact);
    this.#state = shown(this.#state, fact);
    this.#options.wrote();
    if (fact.name === "cancelled") this.#cancelled.cancel(cancelledError(fact.data.reason));
    this.#steps.wakeUp();
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
}

function cancelledError(reason: string): ConvergentError {
  return new ConvergentError("saga_cancelled", `the saga was cancelled: ${reason}`);
}
