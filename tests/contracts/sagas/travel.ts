// The service that sagas over HTTP are tested on: a trip of three bookings, a request that waits until somebody decides on it, and bookings
// as a receiver of commands keeps them.
import { command, entity, reject, saga, service } from "convergent";
import { z } from "zod";
import { quick, tripIn, type World } from "./trip.ts";

const Approval = z.object({ amount: z.number().int(), customer: z.string().optional() });

const booking = entity("booking", { initial: () => ({ booked: 0 }), events: { booked: z.object({ seats: z.number() }) } })
  .evolve({ booked: (state, { seats }) => ({ booked: state.booked + seats }) })
  .commands({
    book: command(z.object({ seats: z.number() }), (_, input, emit) => (input.seats > 0 ? emit.booked(input) : reject("no seats"))),
  });

export function travel(world: World) {
  const approval = saga("approval", { input: Approval }, async (s, { amount }) => {
    await s.step("hold", (id) => world.book("hold", id), { ...quick, undo: (id) => world.cancel("hold", id) });
    const decisions = [];
    for (let missing = 2; missing > 0; missing--) decisions.push(await s.signal<{ readonly by: string }>("decided"));
    return { amount, by: decisions.map((decision) => decision?.by ?? "nobody") };
  });
  return service("travel", { parts: { bookTrip: tripIn(world), approval, booking } });
}
