/** Events as people read them: what happened, and what an agent asks about first. The whole event is in the audit trail. */
import type { Entry } from "./timeline.tsx";
import { money } from "./wording.ts";

const titles: Readonly<Record<string, string>> = {
  "order.placed": "Order placed",
  "order.amended": "Order amended",
  "order.detailed": "Address or note changed",
  "order.cancelled": "Order cancelled",
  "order-return.issued": "Return code issued",
  "order-return.requested": "Return asked for",
  "payment.authorized": "Amount authorized",
  "payment.captured": "Amount captured",
  "payment.released": "Payment released",
  "payment.difference-captured": "Difference captured",
  "payment.difference-refunded": "Difference refunded",
  "payment.amendment-settled": "Payment settled after the amendment",
  "stock.reserved": "Goods reserved",
  "stock.released": "Goods given back",
  "shipment.prepared": "Parcel prepared",
  "shipment.updated": "Parcel’s address changed",
  "shipment.amended": "Parcel changed for the amendment",
  "shipment.restored": "Parcel changed back",
  "shipment.stopped": "Parcel stopped",
  "amend-order.started": "Amendment started",
  "amend-order.taken": "Amendment taken over by another process",
  "amend-order.cancelled": "Amendment called off",
  "amend-order.undoing": "Amendment is being undone",
  "amend-order.completed": "Amendment completed",
  "amend-order.compensated": "Amendment undone",
  "amend-order.parked": "Amendment waits for somebody",
  "amend-order.resumed": "Amendment goes on",
};

const stages: Readonly<Record<string, string>> = {
  begun: "begun",
  retried: "is tried again",
  done: "done",
  failed: "failed",
  "undo-begun": "is being undone",
  "undo-retried": "undo is tried again",
  undone: "undone",
};

export function happening({ type, entityId, data }: Entry): { readonly what: string; readonly about: string } {
  const facts = (data ?? {}) as Readonly<Record<string, unknown>>;
  const stage = type.startsWith("amend-order.") ? stages[type.slice("amend-order.".length)] : undefined;
  const step = textOf(facts["step"]);
  const what =
    stage !== undefined && step !== "" ? `Step “${step}” ${stage}` : (titles[type] ?? type.replace(".", ", ").replaceAll("-", " "));
  return { what, about: [...pieces(facts, entityId), ...sums(facts), ...texts(facts)].join(", ") };
}

function pieces({ lines, items, quantity }: Readonly<Record<string, unknown>>, entityId: string): string[] {
  if (typeof quantity === "number") return [`${quantity} × ${entityId}`];
  const list = Array.isArray(lines) ? lines : Array.isArray(items) ? items : [];
  return (list as ReadonlyArray<{ product: string; quantity: number }>).map((one) => `${one.quantity} × ${one.product}`);
}

function sums({ amount, letGo, owed }: Readonly<Record<string, unknown>>): string[] {
  const sum = (value: unknown, what: string): string[] => (typeof value === "number" && value > 0 ? [`${money(value)}${what}`] : []);
  return [...(typeof amount === "number" ? [money(amount)] : []), ...sum(letGo, " let go"), ...sum(owed, " owed back")];
}

function texts({ address, note, code, reason, error }: Readonly<Record<string, unknown>>): string[] {
  return [address, note, code, reason, error].map(textOf).filter((text) => text !== "");
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}
