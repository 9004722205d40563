/**
 * An order: what a customer wants, until it is cancelled. Its events carry all that their readers need (who ordered,
 * what was in the order before), because a reader has the event and nothing else.
 */
import { command, entity, reject } from "convergent";
import { z } from "zod";
import { type Line, Lines, Text, totalOf } from "../values.ts";

interface Order {
  readonly status: "none" | "placed" | "cancelled";
  readonly customer: string;
  readonly lines: Line[];
  readonly total: number;
  readonly reason?: string;
}

const Place = z.object({ customer: Text, lines: Lines });
const Amend = z.object({ lines: Lines });
const Cancel = z.object({ reason: Text });

export const order = entity("order", {
  initial: (): Order => ({ status: "none", customer: "", lines: [], total: 0 }),
  events: {
    placed: Place,
    amended: z.object({ customer: Text, lines: Lines, before: Lines }),
    cancelled: z.object({ customer: Text, lines: Lines, reason: Text }),
  },
})
  .evolve(
    {
      placed: (_, { customer, lines }) => ({ status: "placed", customer, lines, total: totalOf(lines) }),
      amended: (state, { lines }) => ({ ...state, lines, total: totalOf(lines) }),
      cancelled: (state, { reason }) => ({ ...state, status: "cancelled", reason }),
    },
    // The return code comes from the system, as an event of `order-return`: the order itself stays as its customer saw it.
    { pending: (state) => (state.status === "placed" ? ["returnCode"] : []) },
  )
  .commands({
    place: command(Place, (state, input, emit) => (state.status === "none" ? emit.placed(input) : reject("this order was placed before"))),
    amend: command(Amend, (state, { lines }, emit) =>
      state.status === "placed"
        ? emit.amended({ customer: state.customer, lines, before: state.lines })
        : reject(`this order cannot be amended: ${whyNot(state)}`),
    ),
    cancel: command(Cancel, (state, { reason }, emit) =>
      state.status === "placed"
        ? emit.cancelled({ customer: state.customer, lines: state.lines, reason })
        : reject(`this order cannot be cancelled: ${whyNot(state)}`),
    ),
  });

function whyNot(state: Order): string {
  return state.status === "none" ? "it was never placed" : `it was cancelled before (${state.reason ?? "no reason given"})`;
}
