/**
 * What history says of each step while the script runs again. Results are given back in the order in which they came, also those
 * of steps that ran side by side, and nothing new begins before everything in the history has been asked for: so the script takes
 * the way that it took, or it is told that it does not.
 */
import type { Timers } from "../host/host.ts";
import type { Facts, Outcome, StepKind, Told } from "./facts.ts";

/** The script has so long to ask for what history has next, before it counts as another script. */
const divergedMs = 1_000;

/** The script does not do what it did: it was changed, or it depends on something that is not in the history. */
export class Diverged extends Error {}

export type StepEnd =
  | { readonly kind: "done"; readonly result: unknown }
  | { readonly kind: "failed"; readonly error: string; readonly outcome: Outcome };

interface Known {
  readonly kind: StepKind;
  readonly undo: boolean;
  readonly begunAt: number;
  readonly until: number | undefined;
  readonly signal: string | undefined;
  retries: number;
  next: number;
  end: StepEnd | undefined;
}

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
  #at = 0;

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  /** When the newest step that the script has begun was begun, or the saga. */
  get at(): number {
    return this.#at;
  }

  /** Takes in what was read of the stream, before the script runs. */
  read(facts: readonly Told[]): void {
    for (const fact of facts) {
      if (this.#at === 0) this.#at = fact.at;
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
  ask(step: string, kind: StepKind, undo: boolean): Known | undefined {
    const known = this.#steps.get(step);
    if (!known) return undefined;
    if (known.kind !== kind) throw new Diverged(`history has "${step}" as a ${known.kind}, and the script asks for a ${kind}`);
    if (known.undo && !undo) throw new Diverged(`history has "${step}" with an undo, and the script has none for it`);
    this.#unasked.delete(step);
    this.begun(known.begunAt);
    this.#moved();
    return known;
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
    if (next !== undefined) throw new Diverged(`the script ended, and history has "${next}" next`);
  }

  /** The next signal of a name that was not given to a step yet. */
  takeSignal(name: string): { readonly data: unknown } | undefined {
    const some = this.#signals.get(name);
    return some && some.length > 0 ? { data: some.shift() } : undefined;
  }

  isUndone(step: string): boolean {
    return this.#undone.has(step);
  }

  undoRetries(step: string): number {
    return this.#undoRetries.get(step) ?? 0;
  }

  #read(fact: Told): void {
    switch (fact.name) {
      case "begun": {
        const { step, kind, undo, until, signal } = fact.data;
        this.#steps.set(step, { kind, undo, begunAt: fact.at, until, signal, retries: 0, next: 0, end: undefined });
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
    if (known.kind === "signal" && end.kind === "done" && end.result !== undefined) this.takeSignal(known.signal ?? "");
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
      const next = [...this.#unasked][0] ?? this.#ended[this.#given];
      this.#deferred = [];
      this.#waiting.clear();
      for (const { step, reject } of all) reject(new Diverged(`the script asks for "${step}", and history has "${next}" next`));
    });
  }
}
