/** The service that customers talk to. */
import { service } from "convergent";
import { customerOrders } from "./customer-orders.ts";
import { order } from "./order.ts";
import { issueReturnCode, orderReturn } from "./order-return.ts";
import { orderSummary } from "./order-summary.ts";

export const orders = service("orders", { parts: { order, orderReturn, orderSummary, customerOrders, issueReturnCode } });
