/**
 * The cache that is filled with an old value. Prices are read through a cache; when one changes, a reaction takes it out. A slow reader
 * has loaded the old price before that and puts it in after it, where it stays until the next change. The naive cache takes whatever it is
 * given. The right one remembers at which position a price was taken out, and refuses one that was read before that: every
 * answer of a view says its position, `asOf`.
 */
import { createGateway } from "@convergent/server";
import { command, entity, reaction, service, view } from "convergent";
import { type Actor, explore, type Explored } from "convergent/testing";
import { z } from "zod";

/** What clients share, as they would share a Redis. */
interface Cache {
  readonly prices: ReadonlyMap<string, number>;
  put(product: string, price: number, asOf: number): void;
  /** The price has changed at this position. */
  remove(product: string, position: number): void;
}

class NaiveCache implements Cache {
  readonly prices = new Map<string, number>();

  put(product: string, price: number): void {
    this.prices.set(product, price);
  }

  remove(product: string): void {
    this.prices.delete(product);
  }
}

class FencedCache implements Cache {
  readonly prices = new Map<string, number>();
  readonly #floors = new Map<string, number>();

  put(product: string, price: number, asOf: number): void {
    if (asOf >= (this.#floors.get(product) ?? 0)) this.prices.set(product, price);
  }

  remove(product: string, position: number): void {
    this.#floors.set(product, Math.max(position, this.#floors.get(product) ?? 0));
    this.prices.delete(product);
  }
}

const Price = z.object({ price: z.number() });
const product = entity("product", { initial: () => ({ price: 0 }), events: { priced: Price } })
  .evolve({ priced: (_, data) => data })
  .commands({ price: command(Price, (_, input, emit) => emit.priced(input)) });

const priceList = view("price-list", { from: [product], document: Price, key: (event) => event.entityId }).on({
  "product.priced": (_, { data }) => data,
});

function catalogue(cache: Cache) {
  const uncache = reaction("uncache", { from: [product], to: {} }).on({
    "product.priced": (event) => {
      cache.remove(event.entityId, event.position);
      return undefined;
    },
  });
  return service("catalogue", { parts: { product, priceList, uncache } });
}

type Catalogue = ReturnType<typeof catalogue>;

const products = ["tea", "cup", "pot", "tin"];

async function priceOrShow({ client, outside: cache, random, mark }: Actor<Catalogue, Cache>): Promise<void> {
  const id = random.pick(products);
  if (random.chance(0.2)) {
    await client.product(id).price({ price: 1 + random.below(1000) });
    return;
  }
  if (cache.prices.has(id)) return mark("found in the cache");
  const { value, asOf } = await client.priceList.get(id);
  if (value) cache.put(id, value.price, asOf);
}

async function cacheIsRight([running]: ReadonlyArray<Awaited<ReturnType<Catalogue["start"]>>>, cache: Cache): Promise<void> {
  for (const [id, price] of cache.prices) {
    const { value } = (await running?.priceList.get(id)) ?? {};
    if (value?.price !== price) throw new Error(`${id} costs ${value?.price}, and ${price} in the cache`);
  }
}

function shown(seeds: number, outside: () => Cache): Promise<Explored> {
  return explore(({ outside: cache }) => catalogue(cache), {
    seeds,
    outside,
    gateway: createGateway,
    clients: 5,
    // Some readers are slow. A cache does not learn that its store was replaced by an older copy ("older copy"): whoever restores one
    // empties the caches, too.
    faults: { "message delayed": 0.4, "message reordered": 0.3, "process crash": 2 },
    workload: priceOrShow,
    invariants: { "the cache has the present prices": cacheIsRight },
    sometimes: ["found in the cache"],
  });
}

export const naivePrices = (seeds: number): Promise<Explored> => shown(seeds, () => new NaiveCache());

export const rightPrices = (seeds: number): Promise<Explored> => shown(seeds, () => new FencedCache());
