/** Those who wait until a condition on a reader's progress holds, each for a bounded time. */
import type { CancelSignal, Timers } from "../host/host.ts";

/** Waiters of one reader; more are answered at once, as not met. */
const waitersMax = 10_000;

export class Waiters {
  readonly #timers: Timers;
  readonly #waiting = new Set<() => void>();
  #ended = false;

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  /** Whether anybody waits. */
  get waiting(): boolean {
    return this.#waiting.size > 0;
  }

  /** Resolves true as soon as `met` holds, false after `waitMs` or when cancelled. */
  wait(met: () => boolean, waitMs: number, signal?: CancelSignal): Promise<boolean> {
    if (met()) return Promise.resolve(true);
    if (waitMs <= 0 || this.#ended || signal?.aborted || this.#waiting.size >= waitersMax) return Promise.resolve(false);
    return new Promise((resolve) => {
      const settle = (result: boolean): void => {
        timer.cancel();
        this.#waiting.delete(look);
        signal?.removeEventListener("abort", cancel);
        resolve(result);
      };
      const look = (): void => {
        if (this.#ended || met()) settle(met());
      };
      const cancel = (): void => settle(false);
      const timer = this.#timers.after(waitMs, () => settle(met()), "awaited");
      this.#waiting.add(look);
      signal?.addEventListener("abort", cancel);
    });
  }

  /** To be called after every step of progress. */
  progressed(): void {
    for (const look of this.#waiting) look();
  }

  /** Nothing more will come: everybody is answered now. */
  end(): void {
    this.#ended = true;
    this.progressed();
  }
}
