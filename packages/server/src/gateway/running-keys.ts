/**
 * Idempotency keys of requests that are running. A second request with the same key waits for the first, a bounded
 * time, and then runs itself: by then the log knows the key, if anything was appended under it.
 */
import { ConvergentError, type Host } from "convergent";

export class RunningKeys {
  readonly #running = new Map<string, Promise<unknown>>();

  /** Runs `work` when nothing else runs under `key`. Throws `in_progress` past `waitMs`. */
  async run<T>(key: string, work: () => Promise<T>, wait: { readonly ms: number; readonly host: Host }): Promise<T> {
    const { clock } = wait.host;
    const deadline = this.#running.has(key) ? clock.elapsed() + wait.ms : 0;
    // Looked at again after every wait: of several that waited, one goes first and the others wait for that one.
    for (let other = this.#running.get(key); other; other = this.#running.get(key))
      if (!(await settles(other, deadline - clock.elapsed(), wait.host))) throw stillRunning(wait.ms);
    const running = work();
    this.#running.set(key, running);
    try {
      return await running;
    } finally {
      this.#running.delete(key);
    }
  }
}

/** Whether `work` ends, well or badly, within `ms`. */
async function settles(work: Promise<unknown>, ms: number, host: Host): Promise<boolean> {
  if (ms <= 0) return false;
  return new Promise((resolve) => {
    const timer = host.timers.after(ms, () => resolve(false));
    const settled = (): void => {
      timer.cancel();
      resolve(true);
    };
    work.then(settled, settled);
  });
}

function stillRunning(ms: number): ConvergentError {
  return new ConvergentError(
    "in_progress",
    `a request with this Idempotency-Key was still running after ${ms} ms; ask again with the same key`,
  );
}
