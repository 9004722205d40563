/**
 * The payment of an order: first the amount is authorized (held on the customer's card), then captured in one or more
 * parts, or released. Releasing ends it: what was held is let go, and what had been captured is owed back.
 */
import { command, entity, reject } from "convergent";
import { z } from "zod";
import { money, OrderId } from "../values.ts";

interface Payment {
  readonly status: "none" | "authorized" | "captured" | "released";
  readonly order: string;
  readonly authorized: number;
  readonly captured: number;
  /** Captured and to be paid back, over all releases. */
  readonly owed: number;
}

const Amount = z.int().min(0);
const Authorize = z.object({ order: OrderId, amount: Amount });
const Capture = z.object({ amount: Amount.min(1) });
const Release = z.object({});

export const payment = entity("payment", {
  initial: (): Payment => ({ status: "none", order: "", authorized: 0, captured: 0, owed: 0 }),
  events: { authorized: Authorize, captured: Capture, released: z.object({ letGo: Amount, owed: Amount }) },
})
  .evolve({
    authorized: (payment, { order, amount }) => ({ ...payment, status: "authorized", order, authorized: amount, captured: 0 }),
    captured: (payment, { amount }) => {
      const captured = payment.captured + amount;
      return { ...payment, captured, status: captured === payment.authorized ? "captured" : "authorized" };
    },
    released: (payment, { owed }) => ({ ...payment, status: "released", authorized: 0, captured: 0, owed: payment.owed + owed }),
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
  });
