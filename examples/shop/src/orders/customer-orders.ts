/**
 * One document a customer, with all their orders in the sequence in which they were placed. A list without an end
 * would rather be asked of `order-summary` by its index: this one is for a page that shows everything at once.
 */
import { view } from "convergent";
import { z } from "zod";
import { Text, totalOf } from "../values.ts";
import { order } from "./order.ts";

const Entry = z.object({ order: z.string(), status: z.enum(["placed", "cancelled"]), total: z.int() });
const CustomerOrders = z.object({ customer: Text, orders: z.array(Entry) });
type CustomerOrders = z.infer<typeof CustomerOrders>;

export const customerOrders = view("customer-orders", {
  version: 1,
  from: [order],
  document: CustomerOrders,
  // The events of an order are keyed by the order; each of them names the customer, so that they can be gathered here.
  key: (event) => event.data.customer,
}).on({
  "order.placed": (document, { entityId, data: { customer, lines } }) => ({
    customer,
    orders: [...(document?.orders ?? []), { order: entityId, status: "placed", total: totalOf(lines) }],
  }),
  "order.amended": (document, { entityId, data }) => document && withEntry(document, entityId, { total: totalOf(data.lines) }),
  "order.cancelled": (document, { entityId }) => document && withEntry(document, entityId, { status: "cancelled" }),
});

function withEntry(document: CustomerOrders, order: string, change: Partial<z.infer<typeof Entry>>): CustomerOrders {
  return { ...document, orders: document.orders.map((entry) => (entry.order === order ? { ...entry, ...change } : entry)) };
}
