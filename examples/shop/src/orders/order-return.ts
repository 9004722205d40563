/**
 * The code a customer sends goods back with. It is an entity of its own, with the order's id: if the system wrote it
 * into the order, the order's version would move under the customer's hands and their next change would be a conflict.
 */
import { command, entity, reaction, reject } from "convergent";
import { z } from "zod";
import { Text } from "../values.ts";
import { order } from "./order.ts";

const Issue = z.object({ code: Text });

export const orderReturn = entity("order-return", {
  initial: () => ({ code: "" }),
  events: { issued: Issue },
})
  .evolve({ issued: (_, { code }) => ({ code }) })
  .commands({
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
