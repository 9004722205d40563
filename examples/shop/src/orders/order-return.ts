/**
 * The return of an order: the code that goods are sent back with, and whether its customer asked to. It is an entity of its own, with the order's id: if the system wrote it
 * into the order, the order's version would move under the customer's hands and their next change would be a conflict.
 */
import { command, entity, reaction, reject } from "convergent";
import { z } from "zod";
import { Text } from "../values.ts";
import { order } from "./order.ts";

interface Return {
  /** Empty until the system has issued it. */
  readonly code: string;
  /** Why the customer sends the goods back; absent while they do not. */
  readonly reason?: string;
}

const Issue = z.object({ code: Text });
const Request = z.object({ reason: Text });

export const orderReturn = entity("order-return", {
  initial: (): Return => ({ code: "" }),
  events: { issued: Issue, requested: Request },
})
  .evolve(
    {
      issued: (state, { code }) => ({ ...state, code }),
      requested: (state, { reason }) => ({ ...state, reason }),
    },
    { pending: ({ code }) => (code === "" ? ["returnCode"] : []) },
  )
  .commands({
    request: command(Request, (state, input, emit) =>
      state.reason === undefined ? emit.requested(input) : reject("the return of this order was asked for before"),
    ),
    issue: command(Issue, (state, input, emit) =>
      state.code === "" ? emit.issued(input) : reject(`this order has the return code ${state.code} already`),
    ),
  });

/** Gives every placed order its code, a little later. */
export const issueReturnCode = reaction("issue-return-code", { from: [order], to: { orderReturn } }).on({
  "order.placed": (event, { commands }) => commands.orderReturn(event.entityId).issue({ code: returnCode(event.id) }),
});

// Made of the event's random id: a reaction is pure, so that running it again would give the same code.
function returnCode(eventId: string): string {
  const letters = eventId.slice(-8).toUpperCase();
  return `R-${letters.slice(0, 4)}-${letters.slice(4)}`;
}
