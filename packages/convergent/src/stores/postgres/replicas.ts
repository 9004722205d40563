/**
 * The read replicas of a store, as those who read see them: one is chosen whose log holds what is asked for, a moment is waited
 * for that, and what fails on one is tried on another one, once. In all other cases the primary answers.
 */
import type { Clock } from "../../host/host.ts";
import type { Near, Replicas as StoreReplicas, ReplicaStatus } from "../../log/replicas.ts";
import type { ReadTransaction } from "../../log/store.ts";
import { comparePositions, laterPosition, origin, type Position } from "../../position/position.ts";
import { Replica, type ReplicaOptions } from "./replica.ts";

/** Replicas that one read is tried on. */
const triesMax = 2;

export class Replicas implements StoreReplicas {
  readonly #clock: Clock;
  readonly #all: readonly Replica[];
  #primary: { readonly position: Position; readonly askedAt: number } = { position: origin, askedAt: Number.NEGATIVE_INFINITY };
  #turn = 0;

  constructor(options: Omit<ReplicaOptions, "url" | "place">, servers: ReadonlyArray<Pick<ReplicaOptions, "url" | "place">>) {
    this.#clock = options.host.clock;
    this.#all = servers.map((server) => new Replica({ ...options, ...server }));
  }

  async read<T extends object>({ position, waitMs }: Near, body: (tx: ReadTransaction) => Promise<T>): Promise<T | undefined> {
    const deadline = this.#clock.elapsed() + waitMs;
    const tried = new Set<Replica>();
    while (tried.size < triesMax) {
      const replica = await this.#holding(position, deadline, tried);
      if (!replica) return undefined;
      tried.add(replica);
      try {
        return await replica.read(body);
      } catch {
        // What was wrong with the server its status says, what is wrong with the question the primary will.
      }
    }
    return undefined;
  }

  primary(): { position: Position; ageMs: number } {
    const { position, askedAt } = this.#primary;
    return { position, ageMs: this.#clock.elapsed() - askedAt };
  }

  status(): ReplicaStatus[] {
    return this.#all.map((replica) => replica.status());
  }

  /** The primary's head was asked for at `askedAt`, on the clock that never goes back, and this was the answer. */
  saw(head: Position, askedAt: number): void {
    this.#primary = { position: laterPosition(this.#primary.position, head), askedAt: Math.max(this.#primary.askedAt, askedAt) };
  }

  async close(waitMs: number): Promise<void> {
    await Promise.all(this.#all.map((replica) => replica.close(waitMs)));
  }

  /** One that holds a position, in turn; waits until one does. */
  async #holding(position: Position, deadline: number, tried: ReadonlySet<Replica>): Promise<Replica | undefined> {
    const begun = this.#clock.elapsed();
    for (;;) {
      const ready = this.#all.filter((replica) => replica.isReady && !tried.has(replica));
      const near = ready.filter(({ head }) => comparePositions(head, position) >= 0);
      if (near.length > 0) return near[this.#turn++ % near.length];
      const left = deadline - this.#clock.elapsed();
      if (left <= 0) for (const replica of ready) replica.missed(deadline - begun);
      // One that has been further behind than there is time will not be there in time.
      const hopeful = ready.filter(({ lagOfLate }) => lagOfLate <= left);
      if (left <= 0 || hopeful.length === 0) return undefined;
      await Promise.race(hopeful.map((replica) => replica.askHead()));
    }
  }
}
