// What is watched in the live bench: a saga of some steps, and a page of documents for each customer.
import { serve } from "@convergent/server";
import { command, entity, saga, service, view } from "convergent";
import { z } from "zod";
import { sqliteStore } from "./store.ts";

/** Steps of the saga; it has some more stages: its start, its end, and the beginning and the end of each step. */
export const stages = 20;

/** Customers, and the documents of each of them. */
export const customers = 1_000;
export const documentsEach = 50;

const Placed = z.object({ customer: z.string(), note: z.string() });

const order = entity("order", { initial: () => ({}), events: { placed: Placed } })
  .evolve({ placed: (_, data) => data })
  .commands({ place: command(Placed, (_, input, emit) => emit.placed(input)) });

const orderSummary = view("order-summary", {
  from: [order],
  document: Placed,
  key: (event) => event.entityId,
  indexes: ["customer"],
}).on({ "order.placed": (_, event) => event.data });

const parcel = saga("parcel", { input: z.object({}) }, async (scope) => {
  await scope.signal("go");
  for (let stage = 1; stage <= stages; stage++) await scope.step(`stage ${stage}`, async () => "done");
});

export interface Watched {
  readonly port: number;
  /** Starts a saga, which waits to be told to go. */
  start(id: string): Promise<void>;
  /** Lets it run to its end; answers how many events its stream has. */
  run(id: string): Promise<number>;
}

/** With `seeded`, the documents of all customers are there. */
export async function startWatched(directory: string, seeded = false): Promise<Watched> {
  const definition = service("orders", { parts: { order, orderSummary, parcel } });
  const running = await definition.start({ store: sqliteStore(directory) });
  if (seeded) {
    const note = "n".repeat(200);
    for (let customer = 0; customer < customers; customer++)
      await Promise.all(
        Array.from({ length: documentsEach }, (_, index) =>
          running.order(`order-${customer}-${index}`).place({ customer: `customer-${customer}`, note }),
        ),
      );
    await running.orderSummary.get("order-0-0", { strong: true, wait: "30s" });
  }
  const { port } = await serve({ services: [running], port: 0 });
  return {
    port,
    start: async (id) => void (await running.parcel.start(id, {})),
    run: async (id) => {
      await running.parcel.signal(id, "go", {});
      return (await running.parcel.end(id, { wait: "30s" })).version;
    },
  };
}
