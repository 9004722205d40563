/**
 * The parcel of an order: what is to be packed comes from the order, the address from the customer, in any sequence.
 * A shipment has the id of its order.
 *
 * Amendments lie above each other, each with what there was before it: undone, the uppermost one uncovers that, and any other one hands it
 * to the one above. What the order itself says (`prepare`) counts for good.
 */
import { command, entity, reject } from "convergent";
import { z } from "zod";
import { AmendmentId, OrderId, Text } from "../values.ts";

const Items = z.array(z.object({ product: Text, quantity: z.int() }));

interface Shipment {
  readonly status: "none" | "preparing" | "stopped";
  readonly order: string;
  readonly items: z.infer<typeof Items>;
  readonly address?: string;
  /** Amendments that are not over, the newest last, each with the items before it; absent when there are none. */
  readonly amendments?: ReadonlyArray<{ readonly amendment: string; readonly items: z.infer<typeof Items> }>;
}

const Prepare = z.object({ order: OrderId, items: Items });
const Update = z.object({ order: OrderId, address: Text });
const Amend = z.object({ order: OrderId, amendment: AmendmentId, items: Items });
const PutBack = z.object({ order: OrderId, amendment: AmendmentId });
const Stop = z.object({ order: OrderId, reason: Text });

export const shipment = entity("shipment", {
  initial: (): Shipment => ({ status: "none", order: "", items: [] }),
  events: { prepared: Prepare, updated: Update, amended: Amend, restored: Amend, stopped: Stop },
})
  .evolve(
    {
      prepared: ({ address }, { order, items }) => settled("preparing", { order, items, address }),
      updated: (shipment, { order, address }) => ({ ...shipment, status: "preparing", order, address }),
      amended: (shipment, { order, amendment, items }) => ({
        ...shipment,
        status: "preparing",
        order,
        items,
        amendments: [...(shipment.amendments ?? []), { amendment, items: shipment.items }],
      }),
      restored: (shipment, { amendment }) => withoutAmendment(shipment, amendment),
      stopped: ({ items, address }, { order }) => settled("stopped", { order, items, address }),
    },
    { pending: (shipment) => (shipment.status === "preparing" && shipment.address === undefined ? ["address"] : []) },
  )
  .commands({
    prepare: command(Prepare, (shipment, input, emit) => (shipment.status === "stopped" ? stopped(input.order) : emit.prepared(input))),
    update: command(Update, (shipment, input, emit) => (shipment.status === "stopped" ? stopped(input.order) : emit.updated(input))),
    amend: command(Amend, (shipment, input, emit) => (shipment.status === "stopped" ? stopped(input.order) : emit.amended(input))),
    putBack: command(PutBack, (shipment, { order, amendment }, emit) =>
      shipment.amendments?.some((open) => open.amendment === amendment)
        ? emit.restored({ order, amendment, items: withoutAmendment(shipment, amendment).items })
        : [],
    ),
    stop: command(Stop, (shipment, input, emit) => (shipment.status === "stopped" ? stopped(input.order) : emit.stopped(input))),
  });

/** A shipment without amendments. */
function settled(
  status: Shipment["status"],
  { order, items, address }: Pick<Shipment, "order" | "items"> & { readonly address: string | undefined },
): Shipment {
  return { status, order, items, ...(address === undefined ? {} : { address }) };
}

function withoutAmendment({ amendments = [], ...shipment }: Shipment, amendment: string): Shipment {
  const index = amendments.findIndex((open) => open.amendment === amendment);
  const before = amendments[index]?.items ?? shipment.items;
  const others = amendments.flatMap((open, place) => (place === index ? [] : [place === index + 1 ? { ...open, items: before } : open]));
  const items = index === amendments.length - 1 ? before : shipment.items;
  return { ...shipment, items, ...(others.length === 0 ? {} : { amendments: others }) };
}

function stopped(order: string): ReturnType<typeof reject> {
  return reject(`the shipment of order "${order}" was stopped, because the order was cancelled`);
}
