/** The types of all events ever appended to a log, by whatever release: learnt from its store, which only ever adds some. */
import type { EventFilter } from "./source.ts";
import type { ReadTransaction } from "./store.ts";

/** What a filter lets through of the first `count` types ever appended. */
interface Worked {
  readonly others: EventFilter["others"];
  count: number;
  readonly types: string[];
}

export class EventTypes {
  readonly #known: string[] = [];
  /** What filters with further types came to, by their list of types: worked out again when there are more types. */
  readonly #worked = new WeakMap<
    readonly string[],
    { readonly others: EventFilter["others"]; readonly count: number; readonly types: readonly string[] }
  >();

  /** Asked in the snapshot that is read, so that no event of a type that came meanwhile is passed over. */
  async all(tx: ReadTransaction): Promise<readonly string[]> {
    const count = this.#known.length;
    for (const [index, type] of (await tx.eventTypes(count)).entries()) this.#known[count + index] = type;
    return this.#known;
  }

  /** The types that a filter lets through, for a question to the store. */
  async of({ types, others }: EventFilter, tx: ReadTransaction): Promise<{ types?: readonly string[] }> {
    if (!types || !others) return types ? { types } : {};
    const all = await this.all(tx);
    const worked = this.#worked.get(types);
    if (worked?.others !== others) this.#worked.set(types, { others, count: 0, types: [...types] });
    const known = this.#worked.get(types) as Worked;
    for (; known.count < all.length; known.count++) {
      const type = all[known.count] as string;
      if (!known.types.includes(type) && others(type)) known.types.push(type);
    }
    return { types: known.types };
  }
}
