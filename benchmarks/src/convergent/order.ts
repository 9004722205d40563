// The order service of the bench: one entity whose command and event are checked by the same schema, and one eventual view.
import { command, entity, service, view } from "convergent";
import { z } from "zod";
import { addTo, noTotals } from "../workload.ts";

export const Placed = z.object({
  customer: z.string(),
  lines: z.array(z.object({ product: z.string(), quantity: z.number().int(), price: z.number().int() })),
  note: z.string(),
});

export const order = entity("order", { initial: () => noTotals, events: { placed: Placed } })
  .evolve({ placed: addTo })
  .commands({ place: command(Placed, (_, input, emit) => emit.placed(input)) });

export const orderSummary = view("order-summary", {
  version: 1,
  from: [order],
  document: z.object({ customer: z.string(), lines: z.number() }),
  key: (event) => event.entityId,
  indexes: ["customer"],
}).on({ "order.placed": (_, event) => ({ customer: event.data.customer, lines: event.data.lines.length }) });

/** The service without a reader, for what writes alone cost. */
export const writes = service("orders", { parts: { order } });

export const orders = service("orders", { parts: { order, orderSummary } });
