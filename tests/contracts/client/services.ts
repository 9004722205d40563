/** Two small services for the client's tests: orders, and an inventory that follows them. */
import { command, entity, reaction, reject, service, view } from "convergent";
import { z } from "zod";

const Lines = z.array(z.object({ product: z.string(), quantity: z.number().int().positive() })).min(1);
const Place = z.object({ customer: z.string(), lines: Lines });

export const order = entity("order", {
  initial: () => ({ status: "none" as "none" | "placed" | "cancelled", units: 0, returnCode: undefined as string | undefined }),
  events: { placed: Place, amended: z.object({ lines: Lines }), cancelled: z.object({ reason: z.string() }) },
})
  .evolve(
    {
      placed: (state, data) => ({ ...state, status: "placed", units: unitsOf(data.lines) }),
      amended: (state, data) => ({ ...state, units: unitsOf(data.lines) }),
      cancelled: (state) => ({ ...state, status: "cancelled" }),
    },
    { pending: (state) => (state.returnCode === undefined ? ["returnCode"] : []) },
  )
  .commands({
    place: command(Place, (state, input, emit) => (state.status === "none" ? emit.placed(input) : reject("already placed"))),
    amend: command(z.object({ lines: Lines }), (state, input, emit) =>
      state.status === "placed" ? emit.amended(input) : reject("not placed"),
    ),
    cancel: command(z.object({ reason: z.string() }), (state, input, emit) => (state.status === "placed" ? emit.cancelled(input) : [])),
  });

export const orderSummary = view("order-summary", {
  from: [order],
  document: z.object({ customer: z.string(), units: z.number(), status: z.enum(["placed", "cancelled"]) }),
  key: (event) => event.entityId,
  indexes: ["customer", "units", "status"],
}).on({
  "order.placed": (_, event) => ({ customer: event.data.customer, units: unitsOf(event.data.lines), status: "placed" }),
  "order.amended": (summary, event) => summary && { ...summary, units: unitsOf(event.data.lines) },
  "order.cancelled": (summary) => summary && { ...summary, status: "cancelled" },
});

export const stock = entity("stock", {
  initial: () => ({ reserved: 0 }),
  events: { reserved: z.object({ order: z.string(), quantity: z.number() }) },
})
  .evolve({ reserved: (state, data) => ({ reserved: state.reserved + data.quantity }) })
  .commands({ reserve: command(z.object({ order: z.string(), quantity: z.number() }), (_, input, emit) => emit.reserved(input)) });

export const availability = view("availability", {
  from: [stock],
  document: z.object({ reserved: z.number() }),
  key: (event) => event.entityId,
}).on({ "stock.reserved": (document, event) => ({ reserved: (document?.reserved ?? 0) + event.data.quantity }) });

export const reserveStock = reaction("reserve-stock", { from: [order], to: { stock } }).on({
  "order.placed": (event, { commands }) =>
    event.data.lines.map((line) => commands.stock(line.product).reserve({ order: event.entityId, quantity: line.quantity })),
});

export const orders = service("orders", { parts: { order, orderSummary } });
export const inventory = service("inventory", { parts: { stock, availability, reserveStock } });

function unitsOf(lines: ReadonlyArray<{ readonly quantity: number }>): number {
  return lines.reduce((sum, line) => sum + line.quantity, 0);
}
