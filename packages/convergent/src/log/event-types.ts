/** The types of all events ever appended to a log, by whatever release: learnt from its store, which only ever adds some. */
import type { EventFilter } from "./source.ts";
import type { ReadTransaction } from "./store.ts";

export class EventTypes {
  readonly #known: string[] = [];

  /** Asked in the snapshot that is read, so that no event of a type that came meanwhile is passed over. */
  async all(tx: ReadTransaction): Promise<readonly string[]> {
    const count = this.#known.length;
    for (const [index, type] of (await tx.eventTypes(count)).entries()) this.#known[count + index] = type;
    return this.#known;
  }

  /** The types that a filter lets through, for a question to the store. */
  async of({ types, others }: EventFilter, tx: ReadTransaction): Promise<{ types?: readonly string[] }> {
    if (!types) return {};
    return { types: others ? [...types, ...(await this.all(tx)).filter((type) => !types.includes(type) && others(type))] : types };
  }
}
