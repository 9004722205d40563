/** The logs that a history tells of. When a store is replaced by an older copy of itself, its log goes on from there as another lineage. */
import type { StoredEvent } from "../../log/event.ts";
import type { HistoryRecord } from "../history.ts";

/** One lineage of a store's log. */
export interface Lineage {
  readonly begunAt: number;
  /** Up to here it is the lineage before. */
  readonly kept: number;
  /** All of it, from position 1 on. */
  readonly events: readonly StoredEvent[];
}

export class Lineages {
  readonly #stores = new Map<string, Array<{ begunAt: number; kept: number; events: StoredEvent[] }>>();

  constructor(history: Iterable<HistoryRecord>) {
    for (const record of history) {
      if (record.kind === "lineage") {
        const all = this.#stores.get(record.store) ?? [];
        const events = all[record.lineage - 1]?.events.slice(0, record.kept) ?? [];
        this.#stores.set(record.store, all);
        all[record.lineage] = { begunAt: record.t, kept: record.kept, events };
      } else if (record.kind === "event") this.#stores.get(record.store)?.[record.lineage]?.events.push(record.event);
    }
  }

  get stores(): Iterable<string> {
    return this.#stores.keys();
  }

  of(store: string): readonly Lineage[] {
    return this.#stores.get(store) ?? [];
  }

  /** The one that a store had at a moment. */
  at(store: string, t: number): number {
    return this.of(store).findLastIndex(({ begunAt }) => begunAt <= t);
  }

  /** Those that an operation may have met. */
  during(store: string, from: number, to: number): number[] {
    const first = this.at(store, from);
    return Array.from({ length: this.at(store, to) - first + 1 }, (_, index) => first + index);
  }

  /** What of a position in one lineage is still there in a later one. */
  kept(store: string, from: number, to: number, position: number): boolean {
    const all = this.of(store);
    for (let lineage = from + 1; lineage <= to; lineage++) if (position > (all[lineage]?.kept ?? 0)) return false;
    return true;
  }
}
