/**
 * The double charge. Each order is paid by a call to a payment provider, from a reaction. The call is outside of the transaction in which
 * the reaction saves how far it is: after a crash, or a batch that was rolled back, the same event is handled again. The naive version
 * charges anew each time. The right one sends an id that is the same each time, and the provider drops repeats, as real ones do.
 */
import { createGateway } from "@convergent/server";
import { command, entity, isConvergentError, reaction, reject, service } from "convergent";
import { explore, type Explored } from "convergent/testing";
import { z } from "zod";

/** Stands for somebody else's service: it outlives all crashes, and does what it is asked unless it has done that already. */
class Provider {
  readonly charges: string[] = [];
  readonly #done = new Set<string>();

  charge(order: string, options: { readonly id?: string } = {}): void {
    if (options.id !== undefined && this.#done.has(options.id)) return;
    if (options.id !== undefined) this.#done.add(options.id);
    this.charges.push(order);
  }
}

const Order = z.object({ amount: z.number() });
const order = entity("order", { initial: () => ({ amount: 0 }), events: { placed: Order } })
  .evolve({ placed: (_, data) => data })
  .commands({ place: command(Order, (state, input, emit) => (state.amount > 0 ? reject("it is placed") : emit.placed(input))) });

function payments(charge: (id: string) => void) {
  const pay = reaction("pay", { from: [order], to: {} }).on({
    "order.placed": (event) => {
      charge(event.entityId);
      return undefined;
    },
  });
  return service("payments", { parts: { order, pay } });
}

type Payments = Awaited<ReturnType<ReturnType<typeof payments>["start"]>>;

interface Outside {
  readonly provider: Provider;
  /** Ids of orders that somebody tried to place. */
  readonly orders: string[];
}

async function eachIsPaidOnce([running]: readonly Payments[], { provider, orders }: Outside): Promise<void> {
  for (const id of orders) {
    const charges = provider.charges.filter((charged) => charged === id).length;
    if (charges > 1) throw new Error(`${id} was charged ${charges} times`);
    if (charges === 0 && (await isPlaced(running, id))) throw new Error(`${id} was never charged`);
  }
}

async function isPlaced(running: Payments | undefined, id: string): Promise<boolean> {
  try {
    return running !== undefined && (await running.order.state(id)).version > 0;
  } catch (error) {
    if (isConvergentError(error, "entity_not_found")) return false;
    throw error;
  }
}

function paid(seeds: number, charge: (provider: Provider, order: string) => void): Promise<Explored> {
  return explore(({ outside }) => payments((id) => charge(outside.provider, id)), {
    seeds,
    gateway: createGateway,
    steps: 1000,
    // What this mistake needs. Without `faults` each seed draws some of all kinds, and one in twenty finds it; with these, every other one.
    faults: { "crash at a point": 0.03, "process crash": 6 },
    outside: (): Outside => ({ provider: new Provider(), orders: [] }),
    workload: async ({ client, outside, random, mark }) => {
      const id = `order-${outside.orders.length + 1}`;
      outside.orders.push(id);
      const outcome = await client.order(id).place({ amount: 1 + random.below(100) });
      if (outcome.kind === "accepted") mark("placed");
    },
    invariants: { "each order is paid once": eachIsPaidOnce },
    sometimes: ["placed"],
  });
}

export const naiveCharges = (seeds: number): Promise<Explored> => paid(seeds, (provider, id) => provider.charge(id));

export const rightCharges = (seeds: number): Promise<Explored> => paid(seeds, (provider, id) => provider.charge(id, { id: `pay-${id}` }));
