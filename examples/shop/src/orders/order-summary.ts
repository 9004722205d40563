/** One document an order, joined from the order and its return. Found and sorted by customer, status, total and time. */
import { view } from "convergent";
import { z } from "zod";
import { Lines, Text, TextOrNone, totalOf } from "../values.ts";
import { order } from "./order.ts";
import { orderReturn } from "./order-return.ts";

const Summary = z.object({
  order: z.string(),
  customer: Text,
  status: z.enum(["placed", "cancelled"]),
  total: z.int(),
  /** When it was placed, in milliseconds since 1970. */
  placedAt: z.int(),
  lines: Lines,
  address: TextOrNone.optional(),
  returnCode: Text.optional(),
  /** Whether the goods are on their way back. */
  returning: z.boolean().optional(),
});

export const orderSummary = view("order-summary", {
  version: 2,
  from: [order, orderReturn],
  document: Summary,
  key: (event) => event.entityId,
  indexes: ["customer", "status", "total", "placedAt"],
}).on({
  "order.placed": (_, { entityId, at, data: { customer, lines, address } }) => ({
    order: entityId,
    customer,
    status: "placed",
    total: totalOf(lines),
    placedAt: at,
    lines,
    ...(address === undefined ? {} : { address }),
  }),
  "order.amended": (summary, { data: { lines } }) => summary && { ...summary, lines, total: totalOf(lines) },
  "order.detailed": (summary, { data: { address } }) => summary && (address === undefined ? summary : { ...summary, address }),
  "order.cancelled": (summary) => summary && { ...summary, status: "cancelled" },
  "order-return.requested": (summary) => summary && { ...summary, returning: true },
  "order-return.issued": (summary, { data: { code } }) => summary && { ...summary, returnCode: code },
});
