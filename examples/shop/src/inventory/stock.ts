/**
 * The stock of one product. A reservation is a promise to an order. Someone who asks for more than there is gets a
 * refusal, or, with `backorder`, a promise that goods still to come will keep: then more is reserved than is on hand.
 * What was reserved for an amendment can be given back alone, as long as nobody has released all that the order holds.
 */
import { command, entity, reject } from "convergent";
import { z } from "zod";
import { AmendmentId, OrderId, Quantity } from "../values.ts";
import { heldBy, type Reservations, withoutOrder, withReservation } from "./reservations.ts";

interface Stock {
  readonly onHand: number;
  readonly reserved: number;
  readonly reservations: Reservations;
}

const Receive = z.object({ quantity: Quantity });
const Reserve = z.object({
  order: OrderId,
  quantity: z.int().min(1),
  backorder: z.boolean().optional(),
  amendment: AmendmentId.optional(),
});
const Release = z.object({ order: OrderId });
const GiveBack = z.object({ order: OrderId, amendment: AmendmentId });
const Reservation = z.object({ order: OrderId, quantity: z.int(), amendment: AmendmentId.optional() });

export const stock = entity("stock", {
  initial: (): Stock => ({ onHand: 0, reserved: 0, reservations: {} }),
  events: { received: Receive, reserved: Reservation, released: Reservation },
})
  .evolve({
    received: (stock, { quantity }) => ({ ...stock, onHand: stock.onHand + quantity }),
    reserved: (stock, { order, quantity, amendment }) => ({
      ...stock,
      reserved: stock.reserved + quantity,
      reservations: withReservation(stock.reservations, { order, quantity, ...(amendment === undefined ? {} : { amendment }) }),
    }),
    released: (stock, { order, quantity, amendment }) => ({
      ...stock,
      reserved: stock.reserved - quantity,
      reservations: withoutOrder(stock.reservations, order, amendment),
    }),
  })
  .commands({
    receive: command(Receive, (_, input, emit) => emit.received(input)),
    reserve: command(Reserve, (stock, { order, quantity, backorder, amendment }, emit) => {
      const available = Math.max(0, stock.onHand - stock.reserved);
      if (quantity > available && !backorder) return reject(`${quantity} were asked for and ${available} are available`);
      return emit.reserved({ order, quantity, ...(amendment === undefined ? {} : { amendment }) });
    }),
    release: command(Release, (stock, { order }, emit) => {
      const quantity = heldBy(stock.reservations, order);
      return quantity > 0 ? emit.released({ order, quantity }) : reject(`nothing is reserved for order "${order}"`);
    }),
    giveBack: command(GiveBack, (stock, { order, amendment }, emit) => {
      const quantity = heldBy(stock.reservations, order, amendment);
      return quantity > 0 ? emit.released({ order, quantity, amendment }) : [];
    }),
  });
