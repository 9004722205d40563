// What an editor knows while somebody writes a check. Nothing here runs: `npm run typecheck` is the test.
import { command, entity, event, type Outcome, query, reaction, reject, service, view } from "convergent";
import {
  type Actor,
  type Circumstances,
  explore,
  type Gateway,
  type Given,
  given,
  type PastOf,
  type SeededRandom,
} from "convergent/testing";
import { expectTypeOf, test } from "vitest";
import { z } from "zod";

interface Order {
  readonly status: "none" | "placed";
  readonly lines: readonly string[];
}

const Placed = z.object({ customer: z.string(), lines: z.array(z.string()).default([]) });
const order = entity("order", {
  initial: (): Order => ({ status: "none", lines: [] }),
  events: {
    placed: event(Placed, { upcast: [(old: { who: string }) => ({ customer: old.who, lines: [] })] }),
    counted: z.object({ count: z.string().transform(Number) }),
  },
})
  .evolve({ placed: (_, { lines }) => ({ status: "placed", lines }), counted: (state) => state })
  .commands({
    place: command(Placed, (state, input, emit) => (state.status === "none" ? emit.placed(input) : reject("placed already"))),
    count: command(z.object({ count: z.string() }), (_, input, emit) => emit.counted(input)),
  });
const member = entity("member", { initial: () => 0, events: { joined: z.object({ name: z.string() }) } })
  .evolve({ joined: (state) => state + 1 })
  .commands({ join: command(z.object({ name: z.string() }), (_, input, emit) => emit.joined(input)) });
const Summary = z.object({ customer: z.string(), lines: z.number() });
const summary = view("order-summary", { from: [order, member], document: Summary, key: (each) => each.entityId, indexes: ["customer"] }).on(
  {
    "order.placed": (_, { data }) => ({ customer: data.customer, lines: data.lines.length }),
  },
);

test("events of an entity's past are those it has, with what their schema takes", async () => {
  const past: ReadonlyArray<PastOf<typeof order>> = [
    ["placed", { customer: "ada" }], // what the schema fills in may be left out
    ["counted", { count: "7" }], //      what it takes, not what it makes of it
    ["placed", { who: "ada" }, { version: 1 }], // as an older release wrote it
  ];
  const seen = given(order, past).when("place", { customer: "ada" });
  expectTypeOf(await seen.thenRejected()).toEqualTypeOf<Outcome<Order>>();
  expectTypeOf<Parameters<(typeof seen)["thenState"]>[0]>().toEqualTypeOf<Order>();
  // @ts-expect-error there is no such event
  given(order, [["shipped", {}]]);
  // @ts-expect-error the event has no such field
  given(order, [["placed", { customer: "ada", note: "" }]]);
  // @ts-expect-error the field is a text
  given(order, [["placed", { customer: 7 }]]);
  // @ts-expect-error what its schema makes of it is not what it takes
  given(order, [["counted", { count: 7 }]]);
});

test("commands take their input, and lead to events and states of the entity", async () => {
  const placing = given(order).when("place", { customer: "ada" }, { expected: "none" });
  const both = placing.thenEvents(["placed", { customer: "ada" }]).thenState({ status: "placed", lines: [] });
  expectTypeOf(await both).toEqualTypeOf<Outcome<Order>>();
  await placing.thenThrows("invalid_input");
  // @ts-expect-error there is no such command
  given(order).when("ship", {});
  // @ts-expect-error the input lacks its customer
  given(order).when("place", {});
  // @ts-expect-error there is no such event
  void placing.thenEvents(["shipped", {}]);
  // @ts-expect-error there is no such status
  void placing.thenState({ status: "lost", lines: [] });
  // @ts-expect-error no error has this code
  void placing.thenThrows("invalid");
});

test("a view is given events of the entities it follows, and is held against its documents", async () => {
  const seen = given(summary, [
    ["order.placed", "o-1", { customer: "ada" }],
    ["member.joined", "m-1", { name: "ada" }, { at: 0, metadata: { actor: "ada" } }],
    ["order.placed", "o-2", { who: "ada" }, { version: 1 }],
  ]);
  expectTypeOf<Parameters<(typeof seen)["thenDocument"]>[1]>().toEqualTypeOf<{ customer: string; lines: number } | undefined>();
  const all = await seen.thenDocument("o-1", { customer: "ada", lines: 0 }).thenDocuments({});
  expectTypeOf(all).toEqualTypeOf<Readonly<Record<string, { customer: string; lines: number }>>>();
  // @ts-expect-error an event of another entity
  given(summary, [["stock.taken", "p-1", {}]]);
  // @ts-expect-error there is no such field
  given(summary, [["member.joined", "m-1", { nam: "ada" }]]);
  // @ts-expect-error a document has a customer
  void seen.thenDocument("o-1", { lines: 0 });
});

test("what is neither an entity nor a view is no part to be given", () => {
  const react = reaction("react", { from: [order], to: { order } }).on({});
  // @ts-expect-error a reaction decides nothing and keeps nothing
  given(react);
  const tables = view.sql("tables", { from: [order], tables: { orders: "id text primary key" } }).on({});
  // A view with tables has documents of no type; that it cannot be given is said when it is.
  const counted = tables.queries({ count: query(z.object({}), (sql) => sql.all("select 1")) });
  expectTypeOf<Parameters<Given<typeof counted>["thenDocument"]>[1]>().toEqualTypeOf<unknown>();
});

const members = (joined: (name: string) => void) => {
  const welcome = reaction("welcome", { from: [member], to: {} }).on({ "member.joined": ({ data }) => (joined(data.name), undefined) });
  return service("members", { parts: { member, welcome } });
};
type Members = ReturnType<typeof members>;
interface Letters {
  readonly names: string[];
}
declare const gateway: Gateway;
declare function joins(actor: Actor<Members, Letters>): Promise<void>;
declare function isWelcome(running: ReadonlyArray<Awaited<ReturnType<Members["start"]>>>, letters: Letters): Promise<void>;

test("a run knows its services and what is outside, whether functions stand in place or elsewhere", async () => {
  const outside = (): Letters => ({ names: [] });
  await explore(
    (world) => {
      expectTypeOf(world).toEqualTypeOf<Circumstances<Letters>>();
      return members((name) => void world.outside.names.push(name));
    },
    {
      gateway,
      outside,
      workload: async (actor) => {
        expectTypeOf(actor).toEqualTypeOf<Actor<Members, Letters>>();
        // @ts-expect-error there is no such command
        void actor.client.member("m").leave;
      },
      invariants: {
        elsewhere: isWelcome,
        here: async ([running], letters) => {
          expectTypeOf(letters).toEqualTypeOf<Letters>();
          expectTypeOf(running).toEqualTypeOf<Awaited<ReturnType<Members["start"]>> | undefined>();
        },
      },
    },
  );
  const made = members(() => undefined);
  await explore(({ outside: { names } }) => members((name) => void names.push(name)), { gateway, outside, workload: joins });
  await explore(made, { gateway, workload: async (actor) => expectTypeOf(actor).toEqualTypeOf<Actor<Members>>() && undefined });
  const random = (world: { readonly random: SeededRandom }) => world.random.below(2);
  // @ts-expect-error the workload wants other things outside
  await explore(made, { gateway, outside: random, workload: joins });
});
