/** The pause of a loop that has nothing to do: ended by time or by a signal, which is not lost when it comes too early. */
import type { Timers } from "../host/host.ts";

export class Nap {
  readonly #timers: Timers;
  #signalled = false;
  #rouse: (() => void) | undefined;

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  /** Ends the nap, or the next one before it begins. */
  signal(): void {
    this.#signalled = true;
    this.#rouse?.();
  }

  /** Resolves after `ms`, or once signalled; `deaf`: signals count only when that says so no longer. */
  async take(ms: number, deaf: () => boolean): Promise<void> {
    if (!this.#signalled || deaf()) {
      await new Promise<void>((resolve) => {
        const timer = this.#timers.after(ms, resolve);
        this.#rouse = () => {
          if (deaf()) return;
          timer.cancel();
          resolve();
        };
      });
    }
    this.#rouse = undefined;
    this.#signalled = false;
  }
}
