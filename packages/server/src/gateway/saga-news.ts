/** Waits for news of one saga: at most so long, and no longer than whoever asks. */
import type { CancelSignal, SagaReading, SagaRuntime, Timers } from "convergent";

export class SagaNews {
  readonly #runtime: SagaRuntime;
  readonly #timers: Timers;
  readonly #signal: CancelSignal;

  constructor(runtime: SagaRuntime, { timers, signal }: { readonly timers: Timers; readonly signal: CancelSignal }) {
    this.#runtime = runtime;
    this.#timers = timers;
    this.#signal = signal;
  }

  /** The saga once it is news, or has ended; as it is after `waitMs`, and when nobody waits any more. Throws `saga_not_found`. */
  async next(
    id: string,
    { isNews, waitMs }: { readonly isNews: (reading: SagaReading) => boolean; readonly waitMs: number },
  ): Promise<SagaReading | undefined> {
    const patience = new Patience(this.#signal);
    const timer = this.#timers.after(waitMs, () => patience.end());
    let newest: SagaReading | undefined;
    try {
      for await (const reading of this.#runtime.watch(id, patience)) {
        newest = reading;
        if (isNews(reading)) break;
      }
      return newest;
    } finally {
      timer.cancel();
      patience.leave();
    }
  }
}

/** Ends with the sender's, or when its time is over. */
class Patience implements CancelSignal {
  readonly #signal: CancelSignal;
  readonly #listeners = new Set<() => void>();
  readonly #ended = (): void => this.end();
  #isOver = false;

  constructor(signal: CancelSignal) {
    this.#signal = signal;
    signal.addEventListener("abort", this.#ended);
  }

  get aborted(): boolean {
    return this.#isOver || this.#signal.aborted;
  }

  end(): void {
    this.#isOver = true;
    for (const listener of this.#listeners) listener();
  }

  leave(): void {
    this.#signal.removeEventListener("abort", this.#ended);
  }

  addEventListener(_type: "abort", listener: () => void): void {
    this.#listeners.add(listener);
  }

  removeEventListener(_type: "abort", listener: () => void): void {
    this.#listeners.delete(listener);
  }
}
