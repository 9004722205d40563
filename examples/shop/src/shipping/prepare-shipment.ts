/** What orders mean for the parcels. */
import { reaction } from "convergent";
import { order } from "../orders/order.ts";
import { type Line, quantitiesOf } from "../values.ts";
import { shipment } from "./shipment.ts";

export const prepareShipment = reaction("prepare-shipment", { from: [order], to: { shipment } }).on({
  "order.placed": ({ entityId, data }, { commands }) =>
    commands.shipment(entityId).prepare({ order: entityId, items: itemsOf(data.lines) }),
  "order.amended": ({ entityId, data }, { commands }) =>
    commands.shipment(entityId).prepare({ order: entityId, items: itemsOf(data.lines) }),
  "order.cancelled": ({ entityId, data }, { commands }) => commands.shipment(entityId).stop({ order: entityId, reason: data.reason }),
});

function itemsOf(lines: readonly Line[]): Array<{ product: string; quantity: number }> {
  return [...quantitiesOf(lines)].map(([product, quantity]) => ({ product, quantity }));
}
