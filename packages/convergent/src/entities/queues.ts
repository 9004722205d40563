/**
 * One queue a stream: commands of this process on one entity run one after another, so that they never lose a race to
 * each other; races remain only between processes.
 */
export class Queues {
  readonly #last = new Map<string, Promise<unknown>>();

  /** Runs `work` when everything queued before it under `key` is done. */
  async run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key);
    const turn = before ? before.then(work) : work();
    const settled = turn.catch(() => undefined);
    this.#last.set(key, settled);
    try {
      return await turn;
    } finally {
      if (this.#last.get(key) === settled) this.#last.delete(key);
    }
  }
}
