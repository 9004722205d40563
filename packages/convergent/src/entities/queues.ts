/**
 * One queue a stream: commands of this process on one entity run one after another, so that they never lose a race to
 * each other; races remain only between processes.
 */
import { ConvergentError } from "../errors/error.ts";

/** Commands under way or waiting, over all streams of one entity. */
const waitingMax = 20_000;

export class Queues {
  readonly #last = new Map<string, Promise<unknown>>();
  #waiting = 0;

  /** Runs `work` when everything queued before it under `key` is done. Throws `unavailable` when too many wait. */
  async run<T>(key: string, work: () => Promise<T>): Promise<T> {
    if (this.#waiting >= waitingMax)
      throw new ConvergentError(
        "unavailable",
        `${waitingMax} commands are waiting already; nothing of this one was written, try again later`,
      );
    const before = this.#last.get(key);
    const turn = before ? before.then(work) : work();
    const settled = turn.catch(() => undefined);
    this.#last.set(key, settled);
    this.#waiting++;
    try {
      return await turn;
    } finally {
      this.#waiting--;
      if (this.#last.get(key) === settled) this.#last.delete(key);
    }
  }
}
