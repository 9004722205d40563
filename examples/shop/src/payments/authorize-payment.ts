/** What orders mean for the money. A payment has the id of its order. */
import { reaction } from "convergent";
import { order } from "../orders/order.ts";
import { totalOf } from "../values.ts";
import { payment } from "./payment.ts";

export const authorizePayment = reaction("authorize-payment", { from: [order], to: { payment } }).on({
  "order.placed": ({ entityId, data }, { commands }) =>
    commands.payment(entityId).authorize({ order: entityId, amount: totalOf(data.lines) }),
  "order.amended": ({ entityId, data: { lines, before, amendment } }, { commands }) =>
    amendment === undefined
      ? [commands.payment(entityId).release({}), commands.payment(entityId).authorize({ order: entityId, amount: totalOf(lines) })]
      : // What it costs more was captured before the order was amended.
        commands.payment(entityId).settleAmendment({ amendment, amount: Math.max(0, totalOf(before) - totalOf(lines)) }),
  "order.cancelled": ({ entityId }, { commands }) => commands.payment(entityId).release({}),
});
