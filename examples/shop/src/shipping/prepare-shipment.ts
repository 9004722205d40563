/** What orders mean for the parcels. */
import { reaction } from "convergent";
import { order } from "../orders/order.ts";
import { itemsOf } from "../values.ts";
import { shipment } from "./shipment.ts";

export const prepareShipment = reaction("prepare-shipment", { from: [order], to: { shipment } }).on({
  "order.placed": ({ entityId, data: { lines, address } }, { commands }) => [
    commands.shipment(entityId).prepare({ order: entityId, items: itemsOf(lines) }),
    ...(address ? [commands.shipment(entityId).update({ order: entityId, address })] : []),
  ],
  "order.amended": ({ entityId, data }, { commands }) =>
    commands.shipment(entityId).prepare({ order: entityId, items: itemsOf(data.lines) }),
  "order.detailed": ({ entityId, data: { address } }, { commands }) =>
    address ? commands.shipment(entityId).update({ order: entityId, address }) : [],
  "order.cancelled": ({ entityId, data }, { commands }) => commands.shipment(entityId).stop({ order: entityId, reason: data.reason }),
});
