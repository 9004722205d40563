/**
 * What a script asks for, under names, and how each of that ended: given back from history, or begun now. What is begun is durable before
 * it runs, and with that that it is to be undone.
 */
import { ConvergentError } from "../errors/error.ts";
import type { Host } from "../host/host.ts";
import type { Cancellation } from "./cancellation.ts";
import type { Begins, Fact, StepKind } from "./facts.ts";
import { Diverged, type Journal, type StepEnd } from "./journal.ts";
import type { StepOptions } from "./saga.ts";
import { Abandoned, Exists, type Writer } from "./writer.ts";

/** A step that can be taken back, as the script registered it. */
export interface Undo {
  readonly step: string;
  readonly options: StepOptions<unknown>;
}

/** Where a step stands when the script asks for it. */
export interface Begun {
  readonly end: StepEnd | undefined;
  readonly until: number | undefined;
  readonly timeout: number | undefined;
  /** Position behind which an event is waited for, if the script gave one. */
  readonly after: number | undefined;
  /** Failed attempts so far, and when the next one is due. */
  readonly retries: number;
  readonly next: number;
  /** An execution before this one has begun it. */
  readonly isResumed: boolean;
}

/** What is to begin, unless history knows it. */
export interface ToBegin extends Omit<Begins, "step" | "until" | "undo"> {
  readonly kind: StepKind;
  readonly undo?: StepOptions<unknown> | undefined;
  readonly until?: () => number | undefined;
}

/** An undo that failed for good, or a step of which nobody can say what became of it. */
export class Stuck extends Error {
  readonly step: string;

  constructor(step: string, message: string) {
    super(message);
    this.step = step;
  }
}

export interface StepsOptions {
  readonly host: Host;
  readonly journal: Journal;
  readonly writer: Pick<Writer, "record">;
  /** The saga is to be undone, or this execution of it ends. */
  readonly cancelled: Cancellation;
  /** This execution of it ends: its attempts, undos included, are told, and nothing follows from what becomes of them. */
  readonly left: Cancellation;
  readonly saga: string;
  readonly id: string;
}

export class Steps implements StepsOptions {
  readonly host: Host;
  readonly journal: Journal;
  readonly writer: Pick<Writer, "record">;
  readonly cancelled: Cancellation;
  readonly left: Cancellation;
  readonly saga: string;
  readonly id: string;
  readonly undos: Undo[] = [];
  readonly ends: Map<string, StepEnd> = new Map();
  readonly #underWay = new Set<Promise<unknown>>();
  readonly #names = new Map<string, number>();
  readonly #sleepers: Array<() => void> = [];
  #isOver = false;

  constructor(options: StepsOptions) {
    ({
      host: this.host,
      journal: this.journal,
      writer: this.writer,
      cancelled: this.cancelled,
      left: this.left,
      saga: this.saga,
      id: this.id,
    } = options);
  }

  /** Steps that run beside the one that failed come to their end first; after that nothing more is asked for. */
  async settle(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.allSettled(this.#underWay);
    this.#isOver = true;
  }

  tracked<T>(work: Promise<T>): Promise<T> {
    this.#underWay.add(work);
    void work.catch(() => undefined).finally(() => this.#underWay.delete(work));
    return work;
  }

  /** What the next use of a name is called: the name itself, then `name #2`. */
  named(name: string): string {
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

  idOf(step: string): string {
    return `${this.saga}/${this.id}/${step}`;
  }

  /** The end that history has for it; otherwise it is begun now, or was. */
  async begin(step: string, { kind, undo: options, until: untilOf, ...also }: ToBegin): Promise<Begun> {
    const { journal } = this;
    const undo = options !== undefined;
    const asked = journal.ask(step, { kind, undo, ...also });
    if (!asked) {
      await journal.spent(step);
      // The execution that was told of it asked for the same, was refused it, and may have begun the undos by then.
      if (this.cancelled.aborted) throw this.cancelled.reason;
      journal.requireGoingOn(step);
    }
    if (undo) this.undos.push({ step, options });
    if (asked?.end) {
      await journal.turn(step);
      this.ends.set(step, asked.end);
    }
    if (asked) return { ...asked, isResumed: true };
    const until = untilOf?.();
    const fact: Fact = { name: "begun", data: { step, kind, undo, ...also, ...(until === undefined ? {} : { until }) } };
    const at = await this.writer.record(fact);
    journal.begun(at);
    const { after, timeout } = also;
    const begun = { until: timeout === undefined ? until : at + timeout, timeout, after };
    return { end: undefined, ...begun, retries: 0, next: 0, isResumed: false };
  }

  // What follows need not wait until the end is durable: what it does is written behind it, in the same append.
  end(step: string, end: StepEnd): unknown {
    this.ends.set(step, end);
    const fact: Fact =
      end.kind === "done"
        ? { name: "done", data: { step, ...(end.result === undefined ? {} : { result: end.result }) } }
        : { name: "failed", data: { step, error: end.error, outcome: end.outcome } };
    void this.writer.record(fact).catch(() => undefined); // whoever records the next thing hears of it
    return given(step, end);
  }

  /** Resolves when something was told, or at a time. */
  async newsUntil(until: number | undefined): Promise<void> {
    const { clock, timers } = this.host;
    const timer =
      until === undefined ? undefined : timers.after(Math.min(Math.max(1, until - clock.now()), 3_600_000), () => this.wakeUp());
    await new Promise<void>((resolve) => this.#sleepers.push(resolve));
    timer?.cancel();
  }

  /** Something was told. */
  wakeUp(): void {
    for (const resolve of this.#sleepers.splice(0)) resolve();
  }
}

/** What a step that has ended gives to the script. */
export function given(step: string, end: StepEnd): unknown {
  if (end.kind === "done") return end.result;
  throw new ConvergentError("saga_step_failed", `the step "${step}" failed: ${end.error}`, { details: { step, outcome: end.outcome } });
}

/** What ends this execution, and is nothing that the script may handle. */
export function isOfRun(error: unknown): boolean {
  return error instanceof Abandoned || error instanceof Exists || error instanceof Diverged || error instanceof Stuck;
}
