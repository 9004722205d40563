/**
 * The payment of an order: first the amount is authorized (held on the customer's card), then captured in one or more
 * parts, or released. Releasing ends it: what was held is let go, and what had been captured is owed back.
 *
 * An amendment captures what the order costs more, and gives that back when it is undone, whatever other amendments did meanwhile: the
 * payment remembers each by its id until it is over. What the order costs less goes back once the order says so.
 */
import { command, entity, reject } from "convergent";
import { z } from "zod";
import { AmendmentId, money, OrderId } from "../values.ts";

interface Payment {
  readonly status: "none" | "authorized" | "captured" | "released";
  readonly order: string;
  readonly authorized: number;
  readonly captured: number;
  /** Captured and to be paid back, over all releases. */
  readonly owed: number;
  /** Amendments that are not over, and what each captured; absent when there are none. */
  readonly amendments?: ReadonlyArray<{ readonly amendment: string; readonly amount: number }>;
}

const Amount = z.int().min(0);
const Authorize = z.object({ order: OrderId, amount: Amount });
const Capture = z.object({ amount: Amount.min(1) });
const Release = z.object({});
const Amendment = z.object({ amendment: AmendmentId });
const Difference = Amendment.extend({ amount: Amount });
const LetGo = z.object({ letGo: Amount, owed: Amount });

export const payment = entity("payment", {
  initial: (): Payment => ({ status: "none", order: "", authorized: 0, captured: 0, owed: 0 }),
  events: {
    authorized: Authorize,
    captured: Capture,
    released: LetGo,
    "difference-captured": Difference,
    "difference-refunded": Difference,
    "amendment-settled": LetGo.extend({ amendment: AmendmentId }),
  },
})
  .evolve({
    authorized: (payment, { order, amount }) => ({ ...payment, status: "authorized", order, authorized: amount, captured: 0 }),
    captured: (payment, { amount }) => {
      const captured = payment.captured + amount;
      return { ...payment, captured, status: captured === payment.authorized ? "captured" : "authorized" };
    },
    released: ({ order, owed: before }, { owed }) => ({ status: "released", order, authorized: 0, captured: 0, owed: before + owed }),
    "difference-captured": (payment, difference) => ({
      ...changed(payment, { authorized: difference.amount, captured: difference.amount }),
      amendments: [...(payment.amendments ?? []), difference],
    }),
    "difference-refunded": (payment, { amendment, amount }) =>
      withoutAmendment(changed(payment, { authorized: -amount, captured: -amount }), amendment),
    "amendment-settled": (payment, { amendment, letGo, owed }) => {
      const settled = changed(payment, { authorized: -letGo - owed, captured: -owed });
      return withoutAmendment({ ...settled, owed: payment.owed + owed }, amendment);
    },
  })
  .commands({
    authorize: command(Authorize, (payment, input, emit) =>
      payment.status === "none" || payment.status === "released"
        ? emit.authorized(input)
        : reject(`${money(payment.authorized)} are authorized already; release them first`),
    ),
    capture: command(Capture, (payment, { amount }, emit) => {
      const left = payment.authorized - payment.captured;
      if (payment.status === "none" || payment.status === "released") return reject("nothing is authorized that could be captured");
      if (amount > left) return reject(`${money(amount)} cannot be captured: ${money(left)} of ${money(payment.authorized)} are left`);
      return emit.captured({ amount });
    }),
    release: command(Release, (payment, _, emit) =>
      payment.status === "none" || payment.status === "released"
        ? reject("nothing is authorized that could be released")
        : emit.released({ letGo: payment.authorized - payment.captured, owed: payment.captured }),
    ),
    captureDifference: command(Difference, (payment, input, emit) =>
      payment.status === "none" || payment.status === "released"
        ? reject("nothing is authorized that an amendment could change")
        : emit["difference-captured"](input),
    ),
    refundDifference: command(Amendment, (payment, { amendment }, emit) => {
      const amount = capturedFor(payment, amendment);
      return amount === undefined ? [] : emit["difference-refunded"]({ amendment, amount });
    }),
    /** The order is amended: what it costs less is let go, or owed back as far as it had been captured. */
    settleAmendment: command(Difference, (payment, { amendment, amount }, emit) => {
      if (capturedFor(payment, amendment) === undefined) return [];
      const letGo = Math.min(amount, payment.authorized - payment.captured);
      return emit["amendment-settled"]({ amendment, letGo, owed: amount - letGo });
    }),
  });

function capturedFor({ amendments = [] }: Payment, amendment: string): number | undefined {
  return amendments.find((open) => open.amendment === amendment)?.amount;
}

function withoutAmendment({ amendments = [], ...payment }: Payment, amendment: string): Payment {
  const others = amendments.filter((open) => open.amendment !== amendment);
  return others.length === 0 ? payment : { ...payment, amendments: others };
}

function changed(payment: Payment, by: { readonly authorized: number; readonly captured: number }): Payment {
  const [authorized, captured] = [payment.authorized + by.authorized, payment.captured + by.captured];
  return { ...payment, authorized, captured, status: captured === authorized ? "captured" : "authorized" };
}
