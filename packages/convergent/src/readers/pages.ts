/**
 * The pages that a reader applies one after the other. Where its store lies elsewhere, the next one is read, and its events are
 * prepared, while the server writes what the one before led to: a reader that catches up then waits for one of the two and not for
 * both. The page says nothing about the reader's place; whoever is at another one by then has it read anew (R1).
 */
import type { StoredEvent } from "../log/event.ts";
import type { EventFilter, LogPage } from "../log/source.ts";
import type { ReadTransaction } from "../log/store.ts";
import { comparePositions, type Position } from "../position/position.ts";
import type { ReaderOptions } from "./reader-options.ts";

/** Events applied in one transaction: few enough that a view of them holds the event loop and the lock for some 5 ms (500 held them for 20). */
const eventsDefault = 128;

/** With a store elsewhere it is the messages that cost: an empty handler got through 39,000 events a second by 128, and 104,000 by 512. */
const eventsDistant = 512;

/** As long as so many positions are left, a page has twice as many events: 8% more a second into a view, and a process so far behind has nothing newer to show. */
const farBehind = 10_000;
const eventsFarBehind = 1_024;

/** Events that are prepared before the event loop turns: a millisecond or two. */
const preparedAtOnce = 256;

/** Where a page begins, and how many events it has at most. */
interface Range {
  readonly after: Position;
  readonly limit: number;
}

/** A page, and what its events were made into. */
interface Ahead<Item> {
  readonly page: LogPage;
  readonly items: ReadonlyMap<StoredEvent, Item>;
}

export class Pages<Item> {
  readonly #options: ReaderOptions<Item>;
  readonly #filter: EventFilter;
  // Of the present page only, and no WeakMap: every event survived young collections in one, 1.8 kB each, until a full one came.
  #prepared: ReadonlyMap<StoredEvent, Item> = new Map();
  #isDistant = false;
  #isFarBehind = false;
  #next: (Range & { readonly ahead: Promise<Ahead<Item> | undefined> }) | undefined;

  constructor(options: ReaderOptions<Item>, filter: EventFilter) {
    this.#options = options;
    this.#filter = filter;
  }

  /** Events of one page at most. */
  get eventsMax(): number {
    const most = this.#isFarBehind ? eventsFarBehind : eventsDistant;
    return this.#options.batchEvents ?? (this.#isDistant ? most : eventsDefault);
  }

  /** Looks where the store lies. */
  learnFrom(tx: ReadTransaction): void {
    this.#isDistant = tx.isDistant === true;
  }

  async read({ after, limit }: Range): Promise<LogPage> {
    const next = this.#next;
    this.#next = undefined;
    const isNext = next !== undefined && next.after === after && next.limit <= limit;
    const ahead = isNext ? await next.ahead : undefined;
    const page = ahead?.page ?? (await this.#ask({ after, limit }));
    this.#prepared = ahead?.items ?? new Map();
    this.#isFarBehind = page.head.position - page.scanned >= farBehind;
    if (this.#isDistant && comparePositions(page.scanned, page.head.position) < 0) {
      const range = { after: page.scanned, limit };
      this.#next = { ...range, ahead: this.#ahead(range) };
    }
    return page;
  }

  /** The event as an item. Throws what `prepare` throws. */
  prepare(event: StoredEvent): Item {
    return this.#prepared.get(event) ?? this.#options.prepare(event);
  }

  #ask(range: Range): Promise<LogPage> {
    return this.#options.source.read({ ...range, ...this.#filter });
  }

  // What fails here is asked for again when it is needed.
  async #ahead(range: Range): Promise<Ahead<Item> | undefined> {
    try {
      const page = await this.#ask(range);
      // Nothing yet of what is there (see `lag.ts`): by the time it is wanted there may be.
      if (comparePositions(page.scanned, range.after) <= 0) return undefined;
      // A view looks again whether somebody was forgotten since; others prepare an event when they apply it.
      const items = new Map<StoredEvent, Item>();
      for (const [index, event] of this.#options.derived ? page.events.entries() : []) {
        if (index > 0 && index % preparedAtOnce === 0) await this.#options.effects.host.timers.turn();
        items.set(event, this.#options.prepare(event));
      }
      return { page, items };
    } catch {
      return undefined;
    }
  }
}

/** Which events it reads. */
export function filterOf({ types, others }: Pick<ReaderOptions<never>, "types" | "others">): EventFilter {
  return { ...(types ? { types } : {}), ...(others ? { others } : {}) };
}
