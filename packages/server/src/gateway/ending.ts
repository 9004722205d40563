/**
 * The end of a gateway, in the order in which nothing is lost: first `/readyz` says that no more requests should come,
 * then reads that wait for freshness are answered as they are. Commands that run are never touched.
 */
import type { CancelSignal } from "convergent";

export type Phase = "serving" | "draining" | "ending";

/** A signal of its own and no `AbortSignal`: thousands of reads wait on it, and each leaves it in constant time. */
export class Ending implements CancelSignal {
  readonly #listeners = new Set<() => void>();
  #phase: Phase = "serving";

  get phase(): Phase {
    return this.#phase;
  }

  get aborted(): boolean {
    return this.#phase === "ending";
  }

  /** Whoever sends requests here is told to send them elsewhere. */
  drain(): void {
    if (this.#phase === "serving") this.#phase = "draining";
  }

  /** Nobody waits any more. */
  end(): void {
    this.#phase = "ending";
    for (const listener of this.#listeners) listener();
    this.#listeners.clear();
  }

  addEventListener(_type: "abort", listener: () => void): void {
    this.#listeners.add(listener);
  }

  removeEventListener(_type: "abort", listener: () => void): void {
    this.#listeners.delete(listener);
  }

  /** What ends the wait of one request: its sender going away, or the gateway. The request is not looked at before somebody waits. */
  waitOf(request: Request): CancelSignal {
    return new Wait(this, request);
  }
}

class Wait implements CancelSignal {
  readonly #ending: Ending;
  readonly #request: Request;

  constructor(ending: Ending, request: Request) {
    this.#ending = ending;
    this.#request = request;
  }

  get aborted(): boolean {
    return this.#ending.aborted || this.#request.signal.aborted;
  }

  addEventListener(type: "abort", listener: () => void): void {
    this.#ending.addEventListener(type, listener);
    this.#request.signal.addEventListener(type, listener);
  }

  removeEventListener(type: "abort", listener: () => void): void {
    this.#ending.removeEventListener(type, listener);
    this.#request.signal.removeEventListener(type, listener);
  }
}
