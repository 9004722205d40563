/**
 * Whoever waits for a saga: told by the execution in this process, if there is one, and else by the log. Nobody is given the states that a
 * saga went through while they looked at an earlier one: they get the newest.
 */
import type { CancelSignal, Timers } from "../host/host.ts";
import type { Position } from "../position/position.ts";
import type { Token } from "../position/token.ts";
import { hasEnded, type SagaState, type SagaStatus } from "../protocol/saga.ts";

/** A saga as it is now. */
export interface SagaReading {
  readonly id: string;
  readonly state: SagaState;
  /** Events in its stream. */
  readonly version: number;
  readonly token: Token;
}

/** A saga as the execution in this process has it, with the position of its newest event, which others may have written. */
export interface Here extends Omit<SagaReading, "token"> {
  readonly position: Position;
}

/** What is known of sagas. */
export interface Watched {
  /** As the execution in this process has written it; undefined when there is none. */
  readonly here: (id: string) => Here | undefined;
  readonly tokenAt: (position: Position) => Promise<Token>;
  /** Asks the store. */
  readonly read: (id: string) => Promise<SagaReading>;
  /** Called when the first one watches a saga that runs elsewhere, and when the last one does not any more. */
  readonly elsewhere: () => void;
}

export class Watching {
  readonly #watched: Watched;
  readonly #timers: Timers;
  readonly #wakes = new Map<string, Set<() => void>>();
  #elsewhere = 0;

  constructor(watched: Watched, timers: Timers) {
    this.#watched = watched;
    this.#timers = timers;
  }

  /** Whether somebody watches a saga that does not run here. */
  get isElsewhere(): boolean {
    return this.#elsewhere > 0;
  }

  /** A saga has become another, perhaps. */
  wake(id: string): void {
    for (const woken of this.#wakes.get(id) ?? []) woken();
  }

  /** The saga as it becomes, the present state first; it ends with the saga. */
  async *watch(
    id: string,
    signal?: CancelSignal,
    isOver: (status: SagaStatus) => boolean = hasEnded,
  ): AsyncGenerator<SagaReading, void, undefined> {
    let wake: () => void = () => undefined;
    let isNew = true;
    let isElsewhere = false;
    const woken = (): void => {
      isNew = true;
      wake();
    };
    this.#add(id, woken);
    signal?.addEventListener("abort", woken);
    try {
      for (let version = 0; ; ) {
        if (signal?.aborted) return;
        isNew = false;
        const here = this.#watched.here(id);
        if (!here && !isElsewhere) {
          isElsewhere = true; // heard of before it is read, so that nothing falls in between
          this.#count(1);
        }
        const reading = here ? await this.#withToken(here) : await this.#watched.read(id);
        if (reading.version > version) yield reading;
        version = Math.max(version, reading.version);
        if (isOver(reading.state.status)) return;
        if (!isNew) await new Promise<void>((resolve) => (wake = resolve));
      }
    } finally {
      this.#remove(id, woken);
      signal?.removeEventListener("abort", woken);
      if (isElsewhere) this.#count(-1);
    }
  }

  /** The saga once it has ended, or as it is after `waitMs`. */
  async end(id: string, waitMs: number, signal?: CancelSignal): Promise<SagaReading> {
    const readings = this.watch(id, signal);
    let late: () => void = () => undefined;
    const isLate = new Promise<"late">((resolve) => (late = () => resolve("late")));
    const timer = this.#timers.after(waitMs, late);
    let newest: SagaReading | undefined;
    try {
      for (;;) {
        const next = await Promise.race([readings.next(), isLate]);
        if (next === "late" || next.done) return newest ?? (await this.#watched.read(id));
        newest = next.value;
      }
    } finally {
      timer.cancel();
      void readings.return();
      this.wake(id); // it may be waiting
    }
  }

  async #withToken({ position, ...saga }: Here): Promise<SagaReading> {
    return { ...saga, token: await this.#watched.tokenAt(position) };
  }

  #count(change: 1 | -1): void {
    const before = this.isElsewhere;
    this.#elsewhere += change;
    if (this.isElsewhere !== before) this.#watched.elsewhere();
  }

  #add(id: string, woken: () => void): void {
    const some = this.#wakes.get(id) ?? new Set();
    this.#wakes.set(id, some.add(woken));
  }

  #remove(id: string, woken: () => void): void {
    const some = this.#wakes.get(id);
    some?.delete(woken);
    if (some?.size === 0) this.#wakes.delete(id);
  }
}
