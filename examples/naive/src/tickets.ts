/**
 * The lost update. Seats of a concert are sold; a view says how many are left. The naive seller reads the view, subtracts one, and
 * sends the result: of two who read the same number, one sale is lost, and the concert is sold out too late. The right one sends what
 * he wants, and the command, which sees the entity itself, decides.
 */
import { createGateway } from "@convergent/server";
import { command, entity, reject, service, view } from "convergent";
import { type Actor, explore, type Explored } from "convergent/testing";
import { z } from "zod";

const Seats = z.object({ seats: z.number() });
const Left = z.object({ left: z.number() });

const concert = entity("concert", { initial: () => ({ seats: 0, sold: 0, left: 0 }), events: { announced: Seats, sold: Left } })
  .evolve({
    announced: (_, { seats }) => ({ seats, sold: 0, left: seats }),
    sold: (state, { left }) => ({ ...state, sold: state.sold + 1, left }),
  })
  .commands({
    announce: command(Seats, (state, input, emit) => (state.seats > 0 ? reject("it is announced") : emit.announced(input))),
    /** Naive: the caller says what is left. */
    record: command(Left, (_, input, emit) => emit.sold(input)),
    /** Right: the caller says what he wants, and the decision is made on the state. */
    sell: command(z.object({}), (state, _, emit) => (state.left === 0 ? reject("sold out") : emit.sold({ left: state.left - 1 }))),
  });

const seats = view("seats", { from: [concert], document: Left, key: (event) => event.entityId }).on({
  "concert.announced": (_, { data }) => ({ left: data.seats }),
  "concert.sold": (_, { data }) => data,
});

const tickets = service("tickets", { parts: { concert, seats } });

type Seller = Actor<typeof tickets>;

async function sellByView({ client, mark }: Seller): Promise<void> {
  await client.concert("c").announce({ seats: 500 });
  const { value } = await client.seats.get("c");
  if (!value) return;
  const outcome = await client.concert("c").record({ left: value.left - 1 });
  if (outcome.kind === "accepted") mark("sold");
}

async function sellByCommand({ client, mark }: Seller): Promise<void> {
  await client.concert("c").announce({ seats: 500 });
  const outcome = await client.concert("c").sell({});
  if (outcome.kind === "accepted") mark("sold");
}

/** Of what the log holds, and not of what clients remember: an answer that got lost on the way is no mistake of the service. */
async function noSaleIsLost([running]: ReadonlyArray<Awaited<ReturnType<typeof tickets.start>>>): Promise<void> {
  const { value } = (await running?.seats.get("c")) ?? {};
  if (!running || !value) return; // nobody has announced it
  const { state } = await running.concert.state("c");
  if (state.left !== state.seats - state.sold)
    throw new Error(`${state.sold} of ${state.seats} seats are sold, and ${state.left} are left`);
}

function sold(seeds: number, workload: (seller: Seller) => Promise<void>): Promise<Explored> {
  return explore(tickets, {
    seeds,
    gateway: createGateway,
    steps: 1000,
    workload,
    invariants: { "no sale is lost": noSaleIsLost },
    sometimes: ["sold"],
  });
}

export const naiveTickets = (seeds: number): Promise<Explored> => sold(seeds, sellByView);

export const rightTickets = (seeds: number): Promise<Explored> => sold(seeds, sellByCommand);
