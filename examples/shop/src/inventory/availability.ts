/** One document a product: what may still be sold, and what was promised beyond the goods on hand. */
import { view } from "convergent";
import { z } from "zod";
import { Text } from "../values.ts";
import { stock } from "./stock.ts";

const Availability = z.object({
  product: Text,
  onHand: z.int(),
  reserved: z.int(),
  available: z.int(),
  backordered: z.int(),
});

export const availability = view("availability", {
  version: 1,
  from: [stock],
  document: Availability,
  key: (event) => event.entityId,
}).on({
  "stock.received": (document, { entityId, data }) => counted(entityId, (document?.onHand ?? 0) + data.quantity, document?.reserved ?? 0),
  "stock.reserved": (document, { entityId, data }) => counted(entityId, document?.onHand ?? 0, (document?.reserved ?? 0) + data.quantity),
  "stock.released": (document, { entityId, data }) => counted(entityId, document?.onHand ?? 0, (document?.reserved ?? 0) - data.quantity),
});

function counted(product: string, onHand: number, reserved: number): z.infer<typeof Availability> {
  return { product, onHand, reserved, available: Math.max(0, onHand - reserved), backordered: Math.max(0, reserved - onHand) };
}
