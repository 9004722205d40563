/**
 * An order: what a customer wants, until it is cancelled. Its events carry all that their readers need (who ordered,
 * what was in the order before), because a reader has the event and nothing else.
 */
import { command, entity, merge, mergeList, reject } from "convergent";
import { z } from "zod";
import { AmendmentId, type Line, Lines, Text, TextOrNone, totalOf } from "../values.ts";

interface Order {
  readonly status: "none" | "placed" | "cancelled";
  readonly customer: string;
  readonly lines: Line[];
  readonly total: number;
  /** Where the goods go; absent until somebody says so. */
  readonly address?: string;
  /** What the customer asks for beside the goods. */
  readonly note?: string;
  readonly reason?: string;
}

const Details = { address: TextOrNone.optional(), note: TextOrNone.optional() };
const Place = z.object({ customer: Text, lines: Lines, ...Details });
/** What is left out stays as it is. */
const Amend = z.object({ lines: Lines.optional(), ...Details });
const Finish = z.object({ amendment: AmendmentId, lines: Lines, ...Details });
const Cancel = z.object({ reason: Text });

type Amend = z.infer<typeof Amend>;

/** Two who amend one order at once: different products, or different details, are merged. */
const amendments = merge<Order, Amend>({
  of: ({ lines, address = "", note = "" }) => ({ lines, address, note }),
  rules: { lines: mergeList<Line>(({ product }) => product) },
  partial: true,
});

export const order = entity("order", {
  initial: (): Order => ({ status: "none", customer: "", lines: [], total: 0 }),
  events: {
    placed: Place,
    // With `amendment` money, goods and parcel have followed already, step by step, in the saga of this id.
    amended: z.object({ customer: Text, lines: Lines, before: Lines, amendment: AmendmentId.optional() }),
    // Apart from the lines: a new address moves neither stock nor money.
    detailed: z.object({ customer: Text, ...Details }),
    cancelled: z.object({ customer: Text, lines: Lines, reason: Text }),
  },
})
  .evolve(
    {
      placed: (_, { customer, lines, address, note }) => ({
        status: "placed",
        customer,
        lines,
        total: totalOf(lines),
        ...detailsOf({ address, note }),
      }),
      amended: (state, { lines }) => ({ ...state, lines, total: totalOf(lines) }),
      detailed: (state, { address, note }) => ({ ...state, ...detailsOf({ address, note }) }),
      cancelled: (state, { reason }) => ({ ...state, status: "cancelled", reason }),
    },
    // The return code comes from the system, as an event of `order-return`: the order itself stays as its customer saw it.
    { pending: (state) => (state.status === "placed" ? ["returnCode"] : []) },
  )
  .commands({
    place: command(Place, (state, input, emit) => (state.status === "none" ? emit.placed(input) : reject("this order was placed before"))),
    amend: command(
      Amend,
      (state, { lines, address, note }, emit) => {
        if (state.status !== "placed") return reject(`this order cannot be amended: ${whyNot(state)}`);
        const { customer } = state;
        const details = changedDetails(state, { address, note });
        return [
          ...(lines && !sameLines(lines, state.lines) ? [emit.amended({ customer, lines, before: state.lines })] : []),
          ...(details ? [emit.detailed({ customer, ...details })] : []),
        ];
      },
      { onConflict: amendments },
    ),
    /** The last step of the saga `amend-order`. */
    finishAmendment: command(Finish, (state, { amendment, lines, ...given }, emit) => {
      if (state.status !== "placed") return reject(`this order cannot be amended: ${whyNot(state)}`);
      const { customer, lines: before } = state;
      const details = changedDetails(state, given);
      return [emit.amended({ customer, lines, before, amendment }), ...(details ? [emit.detailed({ customer, ...details })] : [])];
    }),
    cancel: command(Cancel, (state, { reason }, emit) =>
      state.status === "placed"
        ? emit.cancelled({ customer: state.customer, lines: state.lines, reason })
        : reject(`this order cannot be cancelled: ${whyNot(state)}`),
    ),
  });

interface GivenDetails {
  readonly address?: string | undefined;
  readonly note?: string | undefined;
}

function changedDetails(state: Order, { address, note }: GivenDetails): Pick<Order, "address" | "note"> | undefined {
  const changed = {
    ...(address !== undefined && address !== (state.address ?? "") ? { address } : {}),
    ...(note !== undefined && note !== (state.note ?? "") ? { note } : {}),
  };
  return Object.keys(changed).length > 0 ? changed : undefined;
}

function detailsOf(details: GivenDetails): Pick<Order, "address" | "note"> {
  const { address, note } = details;
  return { ...(address === undefined ? {} : { address }), ...(note === undefined ? {} : { note }) };
}

function sameLines(one: readonly Line[], other: readonly Line[]): boolean {
  const isSame = (line: Line, index: number): boolean => {
    const { product, quantity, price } = other[index] ?? {};
    return line.product === product && line.quantity === quantity && line.price === price;
  };
  return one.length === other.length && one.every(isSame);
}

function whyNot(state: Order): string {
  return state.status === "none" ? "it was never placed" : `it was cancelled before (${state.reason ?? "no reason given"})`;
}
