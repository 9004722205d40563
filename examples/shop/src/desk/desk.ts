/** What agents look at beside the order itself. It follows all four logs, and writes nothing but what it read there. */
import { type AnyEntity, service } from "convergent";
import { stock } from "../inventory/stock.ts";
import { order } from "../orders/order.ts";
import { orderReturn } from "../orders/order-return.ts";
import { payment } from "../payments/payment.ts";
import { shipment } from "../shipping/shipment.ts";
import { noting, orderLife } from "./order-life.ts";

export function deskService(amendments: AnyEntity) {
  return service("desk", {
    parts: {
      orderLife,
      noteOrders: noting("note-orders", [order, orderReturn, amendments]),
      notePayments: noting("note-payments", [payment]),
      noteStock: noting("note-stock", [stock]),
      noteShipping: noting("note-shipping", [shipment]),
    },
  });
}

export type Desk = ReturnType<typeof deskService>;
