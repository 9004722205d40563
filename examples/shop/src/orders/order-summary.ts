/** One document an order, joined from the order and its return code. Found by customer and by status. */
import { view } from "convergent";
import { z } from "zod";
import { Lines, Text, totalOf } from "../values.ts";
import { order } from "./order.ts";
import { orderReturn } from "./order-return.ts";

const Summary = z.object({
  order: z.string(),
  customer: Text,
  status: z.enum(["placed", "cancelled"]),
  total: z.int(),
  lines: Lines,
  returnCode: Text.optional(),
});

export const orderSummary = view("order-summary", {
  version: 1,
  from: [order, orderReturn],
  document: Summary,
  key: (event) => event.entityId,
  indexes: ["customer", "status"],
}).on({
  "order.placed": (_, { entityId, data: { customer, lines } }) => ({
    order: entityId,
    customer,
    status: "placed",
    total: totalOf(lines),
    lines,
  }),
  "order.amended": (summary, { data: { lines } }) => summary && { ...summary, lines, total: totalOf(lines) },
  "order.cancelled": (summary) => summary && { ...summary, status: "cancelled" },
  "order-return.issued": (summary, { data: { code } }) => summary && { ...summary, returnCode: code },
});
