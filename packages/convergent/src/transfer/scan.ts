/**
 * Walks a store's log from end to end, page by page: what was there when the walk began, while others go on writing.
 * Events never change, so each page may have a snapshot of its own and none is held for long.
 */
import type { StoredEvent } from "../log/event.ts";
import type { IdRecord, ReadTransaction, Store } from "../log/store.ts";
import { comparePositions, type Position } from "../position/position.ts";

/** Events of one page. */
const pageEvents = 2000;

export interface ScannedPage {
  readonly events: readonly StoredEvent[];
  /** What is remembered of the appends that ended in this page, by position: of one to several streams, the whole and its last part end together. */
  readonly ids: IdsByPosition;
}

/** What is remembered of appends, by the position of their last event. */
export type IdsByPosition = ReadonlyMap<Position, readonly IdRecord[]>;

/** The log of a store in (`after`, `upTo`], in order. `look` may ask more of each page's own snapshot. */
export async function* scan(
  store: Store,
  range: { readonly after: Position; readonly upTo: Position },
  look: (tx: ReadTransaction, events: readonly StoredEvent[]) => Promise<void> = async () => undefined,
): AsyncGenerator<ScannedPage> {
  const ids = new IdScan();
  let after = range.after;
  while (comparePositions(after, range.upTo) < 0) {
    const page = await store.read(async (tx) => {
      const events = await tx.events({ after, upTo: range.upTo, limit: pageEvents });
      const last = events.at(-1);
      if (last) await look(tx, events);
      return { events, ids: last ? await ids.upTo(tx, last.position) : new Map<Position, IdRecord[]>() };
    });
    if (page.events.length === 0) return;
    yield page;
    after = (page.events.at(-1) as StoredEvent).position;
  }
}

/** Goes through the remembered appends beside the events. */
class IdScan {
  #waiting: IdRecord[] = [];
  #next: number | undefined;
  #ended = false;

  /** Those that have not been returned yet and end at or before a position. */
  async upTo(tx: ReadTransaction, position: Position): Promise<IdsByPosition> {
    const found = new Map<Position, IdRecord[]>();
    for (;;) {
      for (const record of this.#waiting) {
        if (comparePositions(record.position, position) > 0) break;
        const others = found.get(record.position);
        if (others) others.push(record);
        else found.set(record.position, [record]);
      }
      this.#waiting = this.#waiting.filter((record) => comparePositions(record.position, position) > 0);
      if (this.#waiting.length > 0 || this.#ended) return found;
      const page = await tx.remembered({ state: "done", limit: pageEvents, ...(this.#next === undefined ? {} : { after: this.#next }) });
      this.#waiting = page.records;
      this.#next = page.next;
      this.#ended = page.records.length === 0;
    }
  }
}
