/**
 * What history says of each step while the script runs again. Results are given back in the order in which they came, also those
 * of steps that ran side by side, and nothing new begins before everything in the history has been asked for: so the script takes
 * the way that it took, or it is told that it does not.
 */
import type { Timers } from "../host/host.ts";
import type { Position } from "../position/position.ts";
import type { Begins, EventPlace, Facts, Outcome, Told } from "./facts.ts";

/** The script has so long to ask for what history has next, before it counts as another script. */
const divergedMs = 1_000;

/** Where a script and its history part: the step by its place in the history, from 1 on, what it was, and what the script does instead. */
export interface Difference {
  readonly step: number;
  /** Absent when history has nothing more. */
  readonly was?: string;
  /** Absent when the script asks for nothing more. */
  readonly asks?: string;
}

/** The script does not do what it did: it was changed, or it depends on something that is not in the history. */
export class Diverged extends Error {
  readonly difference: Difference | undefined;

  constructor(message: string, difference?: Difference) {
    super(message);
    this.difference = difference;
  }
}

export type StepEnd =
  | { readonly kind: "done"; readonly result: unknown }
  | { readonly kind: "failed"; readonly error: string; readonly outcome: Outcome };

interface Known {
  readonly begun: Begins;
  /** Its place among all that was begun, from 1 on. */
  readonly number: number;
  readonly begunAt: number;
  retries: number;
  next: number;
  end: StepEnd | undefined;
}

/** What is known of a step that the script asks for again. */
type Asked = Pick<Known, "retries" | "next" | "end"> & { readonly [Field in "until" | "timeout" | "after"]: number | undefined };

interface Deferred {
  readonly step: string;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export class Journal {
  readonly #timers: Timers;
  readonly #steps = new Map<string, Known>();
  /** Steps in the order in which they ended. */
  readonly #ended: string[] = [];
  /** How many of these the script was given back. */
  #given = 0;
  readonly #unasked = new Set<string>();
  readonly #waiting = new Map<string, Deferred>();
  #deferred: Deferred[] = [];
  #watching = false;
  #moves = 0;
  readonly #signals = new Map<string, unknown[]>();
  readonly #undone = new Set<string>();
  readonly #undoRetries = new Map<string, number>();
  cancelled: string | undefined;
  /** Why the saga is being undone. */
  undoing: string | undefined;
  readonly #events = new Set<string>();
  #at = 0;
  #startedAt: Position | undefined;
  #version: number;
  /** It had completed, and is undone nevertheless. */
  isReverted = false;

  /** `version` is that of a definition of which a saga begins now. */
  constructor(timers: Timers, version: number) {
    this.#timers = timers;
    this.#version = version;
  }

  /** Of the definition that the saga was started with. */
  get version(): number {
    return this.#version;
  }

  /** Position of the saga's first event, once that is known. */
  get startedAt(): Position {
    return this.#startedAt as Position;
  }

  /** How much was begun before this execution. */
  get begunCount(): number {
    return this.#steps.size;
  }

  /** The saga begins now. */
  started(position: Position): void {
    this.#startedAt ??= position;
  }

  /** When the newest step that the script has begun was begun, or the saga. */
  get at(): number {
    return this.#at;
  }

  /** Takes in what was read of the stream, before the script runs. */
  read(facts: readonly Told[]): void {
    for (const fact of facts) {
      if (this.#at === 0) this.#at = fact.at;
      this.#startedAt ??= fact.position;
      this.#read(fact);
    }
  }

  /** Takes in what came while the script runs. */
  tell(fact: Told): void {
    if (fact.name === "signalled") this.#signal(fact.data);
    if (fact.name === "cancelled") this.cancelled ??= fact.data.reason;
  }

  /** Something was begun now. */
  begun(at: number): void {
    this.#at = Math.max(this.#at, at);
  }

  /** What is known of a step that the script asks for; throws `Diverged` when it is known as something else. */
  ask(step: string, { kind, undo, child }: Pick<Begins, "kind" | "undo" | "child">): Asked | undefined {
    const known = this.#steps.get(step);
    if (!known) return undefined;
    const { begun, number } = known;
    const differs = (says: string, was: string, asks: string): Diverged =>
      new Diverged(`history has "${step}" ${says}`, { step: number, was: `${step} (${was})`, asks: `${step} (${asks})` });
    if (begun.kind !== kind) throw differs(`as a ${begun.kind}, and the script asks for a ${kind}`, begun.kind, kind);
    if (begun.undo && !undo) throw differs("with an undo, and the script has none for it", "with an undo", "without");
    if (begun.child?.saga !== child?.saga)
      throw differs(`as ${begun.child?.saga}, and the script asks for ${child?.saga}`, `${begun.child?.saga}`, `${child?.saga}`);
    this.#unasked.delete(step);
    this.begun(known.begunAt);
    this.#moved();
    const { after, timeout } = begun;
    const { retries, next, end, begunAt } = known;
    const until = timeout === undefined ? begun.until : begunAt + timeout;
    return { retries, next, end, until, timeout, after };
  }

  /** Resolves when it is the turn of a step's end to be given back. */
  async turn(step: string): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#waiting.set(step, { step, resolve, reject });
      this.#give();
      if (this.#waiting.has(step)) this.#watch();
    });
  }

  /** Whether the script was given all that history has. */
  get isSpent(): boolean {
    return this.#unasked.size === 0 && this.#given === this.#ended.length;
  }

  /** Resolves when something new may begin. Rejects with `Diverged`. */
  async spent(step: string): Promise<void> {
    if (this.isSpent) return;
    await new Promise<void>((resolve, reject) => {
      this.#deferred.push({ step, resolve, reject });
      this.#watch();
    });
  }

  /** What the script has not asked for, once it has ended. */
  requireSpent(): void {
    const [next] = this.#unasked;
    if (next === undefined) return;
    throw new Diverged(`the script ended, and history has "${next}" next`, { step: this.#numberOf(next), was: next });
  }

  /** What the script asks for when history has no place for it: it was undone by then. */
  requireGoingOn(step: string): void {
    if (this.undoing === undefined) return;
    throw new Diverged(`the script asks for "${step}", and history has it undone by then`, { step: this.#steps.size + 1, asks: step });
  }

  /** The next signal of a name that was not given to a step yet. */
  takeSignal(name: string): { readonly data: unknown } | undefined {
    const some = this.#signals.get(name);
    return some && some.length > 0 ? { data: some.shift() } : undefined;
  }

  /** Whether an event was given to no wait yet; it is given to this one then. */
  takeEvent({ stream, version }: EventPlace): boolean {
    const place = `${version} ${stream}`;
    return !this.#events.has(place) && this.#events.add(place) !== undefined;
  }

  isUndone(step: string): boolean {
    return this.#undone.has(step);
  }

  undoRetries(step: string): number {
    return this.#undoRetries.get(step) ?? 0;
  }

  #read(fact: Told): void {
    switch (fact.name) {
      case "started":
        this.#version = fact.data.version;
        return;
      case "begun": {
        const { step } = fact.data;
        const number = this.#steps.size + 1;
        this.#steps.set(step, { begun: fact.data, number, begunAt: fact.at, retries: 0, next: 0, end: undefined });
        this.#unasked.add(step);
        return;
      }
      case "retried":
        return this.#retried(fact.data);
      case "done":
        return this.#end(fact.data.step, { kind: "done", result: fact.data.result });
      case "failed":
        return this.#end(fact.data.step, { kind: "failed", error: fact.data.error, outcome: fact.data.outcome });
      case "undoing":
        this.undoing = fact.data.error;
        return;
      case "undo-retried":
        this.#undoRetries.set(fact.data.step, fact.data.attempt);
        return;
      case "undone":
        this.#undone.add(fact.data.step);
        return;
      case "reverted":
        this.undoing ??= fact.data.reason;
        this.isReverted = true;
        return;
      case "resumed":
        this.#undoRetries.clear(); // somebody has seen to it
        return;
      default:
        this.tell(fact);
    }
  }

  #retried({ step, attempt, next }: Facts["retried"]): void {
    const known = this.#steps.get(step);
    if (known) [known.retries, known.next] = [attempt, next];
  }

  #end(step: string, end: StepEnd): void {
    const known = this.#steps.get(step);
    if (!known) return;
    known.end = end;
    this.#ended.push(step);
    if (end.kind !== "done" || end.result === undefined) return;
    if (known.begun.kind === "signal") this.takeSignal(known.begun.signal ?? "");
    if (known.begun.kind === "event") this.takeEvent(end.result as EventPlace);
  }

  #numberOf(step: string): number {
    return this.#steps.get(step)?.number ?? 0;
  }

  #signal({ signal, data }: Facts["signalled"]): void {
    this.#signals.set(signal, [...(this.#signals.get(signal) ?? []), data]);
  }

  #give(): void {
    const next = this.#ended[this.#given];
    const waiting = next === undefined ? undefined : this.#waiting.get(next);
    if (!waiting) return;
    this.#waiting.delete(waiting.step);
    this.#given++;
    waiting.resolve();
    this.#moved();
    // Between two ends there was at least a turn, in which the script could react to the first.
    if (this.#waiting.size > 0) void this.#timers.turn().then(() => this.#give());
  }

  #moved(): void {
    this.#moves++;
    if (!this.isSpent) return;
    const deferred = this.#deferred;
    this.#deferred = [];
    for (const each of deferred) each.resolve();
  }

  #watch(): void {
    if (this.#watching) return;
    this.#watching = true;
    const before = this.#moves;
    this.#timers.after(divergedMs, () => {
      this.#watching = false;
      const all = [...this.#deferred, ...this.#waiting.values()];
      if (all.length === 0) return;
      if (this.#moves !== before) return this.#watch();
      const next = [...this.#unasked][0] ?? this.#ended[this.#given] ?? "nothing";
      this.#deferred = [];
      this.#waiting.clear();
      for (const { step, reject } of all) {
        const difference = { step: this.#numberOf(next), was: next, asks: step };
        reject(new Diverged(`the script asks for "${step}", and history has "${next}" next`, difference));
      }
    });
  }
}
