// Mistakes that an editor shows while they are made. Each line below was tried without its mistake, and compiles then.
// Nothing here runs: `npm run typecheck` is the test.
import { command, entity, merge, reaction, reject, service, view } from "convergent";
import { connect } from "convergent/client";
import { memory } from "convergent/memory";
import { expectTypeOf, test } from "vitest";
import { z } from "zod";

const Placed = z.object({ customer: z.string(), total: z.number() });
const begun = entity("order", {
  initial: () => ({ status: "none" as "none" | "placed", total: 0 }),
  events: { placed: Placed, cancelled: z.object({}) },
});
const folded = begun.evolve({ placed: (_, data) => ({ status: "placed", total: data.total }), cancelled: (state) => state });
const order = folded.commands({
  place: command(Placed, (state, input, emit) => (state.status === "none" ? emit.placed(input) : reject("placed already"))),
});
const shape = {
  from: [order],
  document: z.object({ customer: z.string(), total: z.number() }),
  key: (event: { readonly entityId: string }) => event.entityId,
  indexes: ["customer", "total"],
} as const;
const totals = view("totals", shape).on({ "order.placed": (_, event) => event.data });
const stock = entity("stock", { initial: () => ({ left: 0 }), events: { taken: z.object({ count: z.number() }) } })
  .evolve({ taken: (state, { count }) => ({ left: state.left - count }) })
  .commands({ take: command(z.object({ count: z.number() }), (_, input, emit) => emit.taken(input)) });
const reserve = reaction("reserve", { from: [order], to: { stock } }).on({
  "order.placed": (event, { commands }) => commands.stock("p").take({ count: event.data.total }),
});
const orders = service("orders", { parts: { order, totals, stock, reserve } });

test("folds: what an event does not carry, and what is no state", () => {
  expectTypeOf(folded).toHaveProperty("commands");
  const cancelled = (state: { status: "none" | "placed"; total: number }) => state;
  // @ts-expect-error the event has no such field
  begun.evolve({ placed: (_, data) => ({ status: "placed", total: data.sum }), cancelled });
  // @ts-expect-error there is no such status
  begun.evolve({ placed: (_, data) => ({ status: "lost", total: data.total }), cancelled });
  // @ts-expect-error the state has a total
  begun.evolve({ placed: () => ({ status: "placed" }), cancelled });
  // @ts-expect-error pending names parts by text
  begun.evolve({ placed: (state) => state, cancelled }, { pending: () => [1] });
});

test("commands: what the input does not have, what no event is, and what is no decision", () => {
  expectTypeOf(orders.parts.order.name).toEqualTypeOf<"order">();
  // @ts-expect-error the input has no such field
  folded.commands({ place: command(Placed, (_, input, emit) => emit.placed({ customer: input.client, total: 0 })) });
  // @ts-expect-error the event needs its customer
  folded.commands({ place: command(Placed, (_, input, emit) => emit.placed({ total: input.total })) });
  folded.commands({
    place: command(Placed, (_, __, emit) => {
      // @ts-expect-error the entity has no such event
      void emit.shipped;
      return [];
    }),
  });
  // @ts-expect-error the state has no such field
  folded.commands({ place: command(Placed, (state) => (state.closed ? [] : reject("open"))) });
  // @ts-expect-error a reason is text
  folded.commands({ place: command(Placed, () => reject(42)) });
  // @ts-expect-error a decision is events or a refusal
  folded.commands({ place: command(Placed, () => "yes") });
  const of = () => ({ customer: "", total: 0 });
  // @ts-expect-error the input has no such field to make a rule for
  folded.commands({ place: command(Placed, () => [], { onConflict: merge({ of, rules: { sum: "ours" } }) }) });
  // @ts-expect-error what the rule makes is no total
  folded.commands({ place: command(Placed, () => [], { onConflict: merge({ of, rules: { total: () => "1" } }) }) });
});

test("views: events of others, fields that are not there, indexes that are none", () => {
  expectTypeOf(totals.name).toEqualTypeOf<"totals">();
  // @ts-expect-error the entities of this view have no such event
  view("v", shape).on({ "stock.taken": () => undefined });
  // @ts-expect-error the event has no such field
  view("v", shape).on({ "order.placed": (_, event) => ({ customer: event.data.client, total: 0 }) });
  // @ts-expect-error the document has a total
  view("v", shape).on({ "order.placed": (_, event) => ({ customer: event.data.customer }) });
  // @ts-expect-error there may be no document yet
  view("v", shape).on({ "order.placed": (document) => ({ ...document, total: document.total + 1 }) });
  // @ts-expect-error no field of the document
  view("v", { ...shape, indexes: ["status"] });
  // @ts-expect-error a key is text
  view("v", { ...shape, key: () => 7 });
  // @ts-expect-error there is no such consistency
  view("v", { ...shape, consistency: "sometimes" });
});

test("reactions: entities and commands that are not there, inputs that are none", () => {
  expectTypeOf(reserve.name).toEqualTypeOf<"reserve">();
  const begin = reaction("r", { from: [order], to: { stock } });
  // @ts-expect-error the entities it listens to have no such event
  begin.on({ "stock.taken": () => undefined });
  begin.on({
    "order.placed": (_, { commands }) => {
      // @ts-expect-error it may not command this entity
      void commands.order;
      // @ts-expect-error the entity has no such command
      void commands.stock("p").give;
      return undefined;
    },
  });
  // @ts-expect-error the input is not the command's
  begin.on({ "order.placed": (_, { commands }) => commands.stock("p").take({ amount: 1 }) });
  // @ts-expect-error a reaction answers with commands
  begin.on({ "order.placed": (event) => event.data });
});

test("running services and clients: names, inputs, conditions and options that are not there", async () => {
  const running = await orders.start({ store: memory() });
  const client = connect<typeof orders>("http://localhost:4000");
  expectTypeOf<keyof typeof client>().toEqualTypeOf<"order" | "totals" | "stock" | "session" | "voidId">();
  for (const caller of [running, client]) {
    // @ts-expect-error no such part
    void caller.orders;
    // @ts-expect-error no such command
    void caller.order("o").ship;
    // @ts-expect-error an id is text
    void caller.order(7);
    // @ts-expect-error the input lacks its total
    await caller.order("o").place({ customer: "ada" });
    // @ts-expect-error a total is a number
    await caller.order("o").place({ customer: "ada", total: "1" });
    // @ts-expect-error no such option
    await caller.order("o").place({ customer: "ada", total: 1 }, { expects: 3 });
    // @ts-expect-error no such index
    await caller.totals.find({ status: "placed" });
    // @ts-expect-error an index holds its field's type
    await caller.totals.find({ total: { from: "1" } });
    // @ts-expect-error a version is a number
    await caller.order.state("o", { version: "1" });
    // @ts-expect-error there may be no document
    void (await caller.totals.get("o")).value.total;
  }
});
