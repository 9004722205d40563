/**
 * The gate of a store: write bodies of one process pass one at a time. A body that stays open past its limit loses
 * the gate; the store then rolls it back. Nesting is noticed, because a write inside a write would wait for itself.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { ConvergentError } from "../errors/error.ts";
import type { Host } from "../host/host.ts";

/** How long a write transaction may stay open, unless its driver says otherwise. */
export const transactionLimitMs = 10_000;

export class Gate {
  readonly #host: Host;
  readonly #limitMs: number;
  readonly #inside = new AsyncLocalStorage<{ open: boolean }>();
  #last: Promise<unknown> = Promise.resolve();

  constructor(host: Host, limitMs: number = transactionLimitMs) {
    this.#host = host;
    this.#limitMs = limitMs;
  }

  /** Whether the caller is inside a body that holds this gate. */
  inside(): boolean {
    return this.#inside.getStore()?.open === true;
  }

  /** Runs `work` when all that came before is done. The next one waits for its end, whatever that is. */
  pass<T>(work: () => Promise<T>): Promise<T> {
    if (this.inside()) return Promise.reject(nestedWrite());
    const turn = this.#last.then(work);
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  /** Runs a transaction's body, marked as inside, for at most the limit. Throws `transaction_timeout` past it. */
  async body<T>(run: () => Promise<T>): Promise<T> {
    let expire: (error: ConvergentError) => void = () => undefined;
    const expired = new Promise<never>((_, reject) => {
      expire = reject;
    });
    const timer = this.#host.timers.after(this.#limitMs, () => {
      expire(
        new ConvergentError(
          "transaction_timeout",
          `a write transaction was still open after ${this.#limitMs} ms and was rolled back; do slow work before or after it`,
        ),
      );
    });
    // Loops and timers that a body leaves behind keep its context for ever; they are inside only as long as it is open.
    const inside = { open: true };
    try {
      return await Promise.race([this.#inside.run(inside, run), expired]);
    } finally {
      inside.open = false;
      timer.cancel();
    }
  }
}

/** The error for a write that would wait for itself. */
export function nestedWrite(): ConvergentError {
  return new ConvergentError(
    "append_in_transaction",
    "a write transaction was begun inside another one of the same store; use the open one",
  );
}
