/** The service that customers talk to, and that runs the amendments of agents. */
import { service } from "convergent";
import type { StepSwitches } from "../step-switches.ts";
import { amendOrder, type Reach } from "./amend-order.ts";
import { customerOrders } from "./customer-orders.ts";
import { order } from "./order.ts";
import { issueReturnCode, orderReturn } from "./order-return.ts";
import { orderSummary } from "./order-summary.ts";

/** `reach` leads to the services that amendments need. */
export function ordersService(reach: Reach, switches: StepSwitches) {
  return service("orders", {
    parts: { order, orderReturn, orderSummary, customerOrders, issueReturnCode, amendOrder: amendOrder(reach, switches) },
  });
}

export type Orders = ReturnType<typeof ordersService>;
