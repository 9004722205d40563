// The events all subjects write: an order of 300 bytes as JSON, the same values for everybody, made in advance so that
// making them is not measured.

export const eventBytes = 300;

export interface OrderPlaced {
  readonly customer: string;
  readonly lines: Array<{ product: string; quantity: number; price: number }>;
  readonly note: string;
}

/** What `load` folds a stream into. */
export interface Totals {
  readonly events: number;
  readonly cents: number;
  readonly customer: string;
}

export const noTotals: Totals = { events: 0, cents: 0, customer: "" };

export function addTo(totals: Totals, event: OrderPlaced): Totals {
  let cents = totals.cents;
  for (const line of event.lines) cents += line.quantity * line.price;
  return { events: totals.events + 1, cents, customer: event.customer };
}

function orderOf(index: number): OrderPlaced {
  const order = {
    customer: `customer-${String(index).padStart(6, "0")}`,
    lines: [
      { product: "espresso-machine", quantity: 1 + (index % 3), price: 24_900 },
      { product: "portafilter-58mm", quantity: 1 + (index % 2), price: 3_950 },
    ],
    note: "",
  };
  return { ...order, note: "x".repeat(eventBytes - JSON.stringify(order).length) };
}

/** So many events differ from one another. */
export const distinctOrders = 256;

const orders = Array.from({ length: distinctOrders }, (_, index) => orderOf(index));

/** The data of the event with this index. */
export function orderPlaced(index: number): OrderPlaced {
  return orders[index % orders.length] ?? orderOf(index);
}
