// A service with personal data, and what the tests of forgetting do with it.
import { accepted, command, entity, event, service, view } from "convergent";
import { z } from "zod";

const Registered = z.object({
  customer: z.string(),
  name: z.string(),
  address: z.object({ street: z.string() }),
  birthday: z.string().nullable(),
});
const Moved = z.object({ customer: z.string(), address: z.object({ street: z.string() }) });
const Noted = z.object({ note: z.string() });

const nowhere = { street: "forgotten" };

export const customer = entity("customer", {
  initial: () => ({ name: "", street: "", notes: 0 }),
  events: {
    registered: event(Registered, {
      personal: { person: (data) => data.customer, fields: { name: "forgotten", address: nowhere, birthday: null } },
    }),
    moved: event(Moved, { personal: { person: (data) => data.customer, fields: { address: nowhere } } }),
    noted: Noted,
  },
})
  .evolve(
    {
      registered: (state, { name, address }) => ({ ...state, name, street: address.street }),
      moved: (state, { address }) => ({ ...state, street: address.street }),
      noted: (state) => ({ ...state, notes: state.notes + 1 }),
    },
    { snapshot: { version: 1, every: 2 } },
  )
  .commands({
    register: command(Registered, (_, input, emit) => emit.registered(input)),
    move: command(Moved, (_, input, emit) => emit.moved(input)),
    note: command(Noted, (_, input, emit) => emit.noted(input)),
  });

const Contact = z.object({ name: z.string(), street: z.string(), notes: z.number() });

/** One document a customer. */
export const contacts = view("contacts", { from: [customer], document: Contact, key: ({ entityId }) => entityId, indexes: ["name"] }).on({
  "customer.registered": (_, { data }) => ({ name: data.name, street: data.address.street, notes: 0 }),
  "customer.moved": (contact, { data }) => contact && { ...contact, street: data.address.street },
  "customer.noted": (contact) => contact && { ...contact, notes: contact.notes + 1 },
});

/** Several customers in one document. */
export const everybody = view("everybody", {
  from: [customer],
  document: z.object({ names: z.array(z.string()) }),
  key: () => "all",
  consistency: "strong",
}).on({ "customer.registered": (all, { data }) => ({ names: [...(all?.names ?? []), data.name] }) });

export const customers = service("customers", { parts: { customer, contacts, everybody } });

export type Customers = Awaited<ReturnType<typeof customers.start>>;

export const secrets = ["Ada Lovelace-Byron", "12 St James's Square", "1815-12-10", "Ockham Park 7"];

/** Ada, whose data is `secrets`, and Bob. Resolves when the views have them. */
export async function registered(running: Customers): Promise<void> {
  const [name = "", street = "", birthday = "", second = ""] = secrets;
  accepted(await running.customer("ada").register({ customer: "ada", name, address: { street }, birthday }));
  accepted(await running.customer("bob").register({ customer: "bob", name: "Bob", address: { street: "Main Street" }, birthday: null }));
  accepted(await running.customer("ada").note({ note: "first" }));
  accepted(await running.customer("ada").move({ customer: "ada", address: { street: second } }));
  const { token } = accepted(await running.customer("ada").note({ note: "second" }));
  if (!(await running.waitFor(token, "20s"))) throw new Error("the views did not follow");
}
