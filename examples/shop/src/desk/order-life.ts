/**
 * An order's life across all services: every event of the order, its return, its payment, its parcel and its amendments, and what stock it held.
 * Each of the four logs is followed by a reaction of its own and at its own pace, so an entry may come before one that is older: they are kept
 * in the sequence of the services' clocks, and each says which position of which log it has.
 */
import { type AnyEntity, command, entity, type Envelope, reaction } from "convergent";
import { z } from "zod";
import { orderOfAmendment } from "../orders/amend-order.ts";

/** Of a longer life the oldest entries are left out; the audit trails have them all. */
const entriesMax = 500;

const Entry = z.object({
  id: z.string(),
  service: z.string(),
  type: z.string(),
  entityId: z.string(),
  /** In its own stream. */
  version: z.int(),
  /** In the log of its service. */
  position: z.int(),
  /** By the clock of its service, in milliseconds since 1970. */
  at: z.int(),
  data: z.unknown(),
  actor: z.string().optional(),
  cause: z.string().optional(),
  correlation: z.string().optional(),
});
type Entry = z.infer<typeof Entry>;

interface Life {
  readonly entries: readonly Entry[];
}

const services: Readonly<Record<string, string>> = {
  order: "orders",
  "order-return": "orders",
  "amend-order": "orders",
  payment: "payments",
  stock: "inventory",
  shipment: "shipping",
};
const ranks = ["orders", "payments", "inventory", "shipping"];

export const orderLife = entity("order-life", { initial: (): Life => ({ entries: [] }), events: { noted: Entry } })
  .evolve({ noted: ({ entries }, entry) => ({ entries: [...entries, entry].sort(byTime).slice(-entriesMax) }) })
  .commands({
    note: command(Entry, ({ entries }, entry, emit) => (entries.some(({ id }) => id === entry.id) ? [] : emit.noted(entry))),
  });

/** Notes what happens in one service. */
export function noting<const Name extends string>(name: Name, from: readonly AnyEntity[]) {
  const types = from.flatMap(({ name: of, events }) => Object.keys(events as object).map((event) => `${of}.${event}`));
  const note: Handler = (event, { commands }) => {
    const of = orderOf(event);
    return of === "" ? [] : commands.orderLife(of).note(entryOf(event));
  };
  return reaction(name, { from, to: { orderLife } }).on(Object.fromEntries(types.map((type) => [type, note])));
}

type Reacting = ReturnType<typeof reaction<string, readonly AnyEntity[], { readonly orderLife: typeof orderLife }>>;
type Handler = NonNullable<Parameters<Reacting["on"]>[0][`${string}.${string}`]>;

/** The parcel and the payment of an order have its id; stock names the order, an amendment's id begins with it. "": of no order. */
function orderOf({ entity: of, entityId, data }: Envelope): string {
  if (of === "stock") return (data as { readonly order?: string }).order ?? "";
  return of === "amend-order" ? orderOfAmendment(entityId) : entityId;
}

function entryOf({
  id,
  entity: of,
  entityId,
  type,
  version,
  position,
  at,
  data,
  metadata: { actor, cause, correlation },
}: Envelope): Entry {
  return {
    ...{ id, service: services[of] ?? of, type, entityId, version, position, at, data },
    ...(actor === undefined ? {} : { actor }),
    ...(cause === undefined ? {} : { cause }),
    ...(correlation === undefined ? {} : { correlation }),
  };
}

/** Of the same millisecond those first from which the others follow, and within a service by position. */
function byTime(one: Entry, other: Entry): number {
  return one.at - other.at || ranks.indexOf(one.service) - ranks.indexOf(other.service) || one.position - other.position;
}
