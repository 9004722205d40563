/** A signal of our own: rooms that run in a browser too know no `AbortController`. */
import type { CancelSignal } from "../host/host.ts";

export class Cancellation implements CancelSignal {
  aborted = false;
  reason: unknown;
  readonly #listeners = new Set<() => void>();

  addEventListener(_type: "abort", listener: () => void): void {
    this.#listeners.add(listener);
  }

  removeEventListener(_type: "abort", listener: () => void): void {
    this.#listeners.delete(listener);
  }

  cancel(reason: unknown): void {
    if (this.aborted) return;
    this.aborted = true;
    this.reason = reason;
    for (const listener of this.#listeners) listener();
    this.#listeners.clear();
  }

  /** Rejects with the reason once cancelled. */
  rejection(): { readonly promise: Promise<never>; readonly stop: () => void } {
    let stop = (): void => undefined;
    const promise = new Promise<never>((_, reject) => {
      const listener = (): void => reject(this.reason instanceof Error ? this.reason : new Error("cancelled"));
      if (this.aborted) return listener();
      this.#listeners.add(listener);
      stop = () => this.#listeners.delete(listener);
    });
    promise.catch(() => undefined);
    return { promise, stop };
  }
}
