/**
 * The parcel of an order: what is to be packed comes from the order, the address from the customer, in any sequence.
 * A shipment has the id of its order.
 */
import { command, entity, reject } from "convergent";
import { z } from "zod";
import { OrderId, Text } from "../values.ts";

const Items = z.array(z.object({ product: Text, quantity: z.int() }));

interface Shipment {
  readonly status: "none" | "preparing" | "stopped";
  readonly order: string;
  readonly items: z.infer<typeof Items>;
  readonly address?: string;
}

const Prepare = z.object({ order: OrderId, items: Items });
const Update = z.object({ order: OrderId, address: Text });
const Stop = z.object({ order: OrderId, reason: Text });

export const shipment = entity("shipment", {
  initial: (): Shipment => ({ status: "none", order: "", items: [] }),
  events: { prepared: Prepare, updated: Update, stopped: Stop },
})
  .evolve(
    {
      prepared: (shipment, { order, items }) => ({ ...shipment, status: "preparing", order, items }),
      updated: (shipment, { order, address }) => ({ ...shipment, status: "preparing", order, address }),
      stopped: (shipment, { order }) => ({ ...shipment, status: "stopped", order }),
    },
    { pending: (shipment) => (shipment.status === "preparing" && shipment.address === undefined ? ["address"] : []) },
  )
  .commands({
    prepare: command(Prepare, (shipment, input, emit) => (shipment.status === "stopped" ? stopped(input.order) : emit.prepared(input))),
    update: command(Update, (shipment, input, emit) => (shipment.status === "stopped" ? stopped(input.order) : emit.updated(input))),
    stop: command(Stop, (shipment, input, emit) => (shipment.status === "stopped" ? stopped(input.order) : emit.stopped(input))),
  });

function stopped(order: string): ReturnType<typeof reject> {
  return reject(`the shipment of order "${order}" was stopped, because the order was cancelled`);
}
