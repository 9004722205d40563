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

/** Where a page begins, and how many events it has at most. */
interface Range {
  readonly after: Position;
  readonly limit: number;
}

export class Pages<Item> {
  readonly #options: ReaderOptions<Item>;
  readonly #filter: EventFilter;
  readonly #prepared = new WeakMap<StoredEvent, Item>();
  #isDistant = false;
  #next: (Range & { readonly page: Promise<LogPage | undefined> }) | undefined;

  constructor(options: ReaderOptions<Item>, filter: EventFilter) {
    this.#options = options;
    this.#filter = filter;
  }

  /** Events of one page at most. */
  get eventsMax(): number {
    return this.#options.batchEvents ?? (this.#isDistant ? eventsDistant : eventsDefault);
  }

  /** Looks where the store lies. */
  learnFrom(tx: ReadTransaction): void {
    this.#isDistant = tx.isDistant === true;
  }

  async read({ after, limit }: Range): Promise<LogPage> {
    const next = this.#next;
    this.#next = undefined;
    const isNext = next !== undefined && next.after === after && next.limit === limit;
    const page = (isNext ? await next.page : undefined) ?? (await this.#ask({ after, limit }));
    if (this.#isDistant && comparePositions(page.scanned, page.head.position) < 0) {
      const range = { after: page.scanned, limit };
      this.#next = { ...range, page: this.#ahead(range) };
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
  async #ahead(range: Range): Promise<LogPage | undefined> {
    try {
      const page = await this.#ask(range);
      // A view looks again whether somebody was forgotten since; others prepare an event when they apply it.
      if (this.#options.derived) for (const event of page.events) this.#prepared.set(event, this.#options.prepare(event));
      return page;
    } catch {
      return undefined;
    }
  }
}
