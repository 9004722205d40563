/**
 * Group commit: appends that are waiting when a transaction can begin share it, and its one fsync. An append that
 * comes alone waits one turn of the event loop and no longer; while a commit runs, the next batch gathers by itself,
 * so the batch grows with the load and nobody sets a delay. A store may have batches overlap: the next one is on its way
 * while the one before is committed.
 */
import { ConvergentError } from "../errors/error.ts";
import type { Host } from "../host/host.ts";
import type { Admitted, Prepared } from "./admission.ts";

/** Appends in one transaction: some 10 ms of work, so that neither this process's loop nor another one's append waits longer. */
export const batchAppendsMax = 512;

/** Appends that may wait; past it the caller is told to come back. */
export const waitingAppendsMax = 20_000;

/** A batch of so many costs hardly more than one of fewer: it is not divided. */
const sharedFrom = 16;

interface Waiting {
  readonly append: Prepared;
  readonly resolve: (outcome: Admitted) => void;
  readonly reject: (error: unknown) => void;
}

/** Writes one batch in one transaction; resolves when it is durable, with one outcome an append. */
export type CommitBatch = (batch: readonly Prepared[]) => Promise<ReadonlyArray<Admitted | ConvergentError>>;

export class GroupCommit {
  readonly #commit: CommitBatch;
  readonly #host: Host;
  readonly #overlap: () => 1 | 2;
  readonly #underWay = new Set<Promise<void>>();
  #waiting: Waiting[] = [];
  /** Appends in the batches that are under way. */
  #sent = 0;
  #running: Promise<void> | undefined;

  /** `overlap` batches may be under way at once; it is asked for each. */
  constructor(commit: CommitBatch, host: Host, overlap: () => 1 | 2 = () => 1) {
    this.#commit = commit;
    this.#host = host;
    this.#overlap = overlap;
  }

  /** Resolves when the append is decided and, if admitted, durable. Throws `unavailable` when too many wait. */
  append(append: Prepared): Promise<Admitted> {
    if (this.#waiting.length >= waitingAppendsMax) {
      throw new ConvergentError(
        "unavailable",
        `${waitingAppendsMax} appends are waiting already; nothing of this one was written, try again later`,
      );
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ append, resolve, reject });
      this.#running ??= this.#run();
    });
  }

  /** Resolves when every append given so far is decided. */
  async drained(): Promise<void> {
    while (this.#running || this.#underWay.size > 0) await Promise.all([this.#running, ...this.#underWay]);
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      await this.#host.timers.turn();
      const overlap = this.#overlap();
      const batch = this.#waiting.splice(0, this.#share(overlap));
      this.#host.reached("append.collected");
      this.#sent += batch.length;
      const done = this.#commitBatch(batch).finally(() => (this.#sent -= batch.length));
      await this.#orFreeLine(done, overlap);
    }
    this.#running = undefined;
  }

  // With batches that overlap, an equal part of all that is here: a large one and a small one in turn would have the store wait for
  // this process while it makes the large one, and this process for the store (64 in flight on PostgreSQL: 15,600 appends/s by 8,200).
  #share(overlap: number): number {
    if (overlap === 1) return batchAppendsMax;
    const equal = Math.ceil((this.#waiting.length + this.#sent) / overlap);
    return Math.min(batchAppendsMax, Math.max(sharedFrom, equal));
  }

  // Resolves when another batch may be sent.
  async #orFreeLine(batch: Promise<void>, overlap: number): Promise<void> {
    const done = batch.finally(() => this.#underWay.delete(done));
    this.#underWay.add(done);
    while (this.#underWay.size >= overlap) await Promise.race(this.#underWay);
  }

  async #commitBatch(batch: readonly Waiting[]): Promise<void> {
    let outcomes: ReadonlyArray<Admitted | ConvergentError>;
    try {
      outcomes = await this.#commit(batch.map((waiting) => waiting.append));
    } catch (error) {
      await this.#failed(batch, error);
      return;
    }
    this.#host.reached("append.committed");
    batch.forEach((waiting, index) => {
      const outcome = outcomes[index] as Admitted | ConvergentError;
      if (outcome instanceof ConvergentError) waiting.reject(outcome);
      else waiting.resolve(outcome);
      if (index === 0) this.#host.reached("append.acknowledged");
    });
  }

  // A failure of the store is everybody's. Anything else was brought in by one of them: each is tried alone, and only that one fails.
  async #failed(batch: readonly Waiting[], error: unknown): Promise<void> {
    const shared = error instanceof ConvergentError && error.retry === "later";
    if (batch.length > 1 && !shared) for (const waiting of batch) await this.#commitBatch([waiting]);
    else for (const waiting of batch) waiting.reject(error);
  }
}
