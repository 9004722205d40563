// What scripts of sagas are given: events by their names, results of other sagas. Nothing here runs: `npm run typecheck` is the test.
import { command, entity, type Envelope, reaction, saga } from "convergent";
import { expectTypeOf, test } from "vitest";
import { z } from "zod";

const order = entity("order", {
  initial: () => ({}),
  events: { placed: z.object({ quantity: z.number() }), paid: z.object({ cents: z.number() }) },
})
  .evolve({ placed: (state) => state, paid: (state) => state })
  .commands({ pay: command(z.object({ cents: z.number() }), (_, sum, emit) => emit.paid(sum)) });

const child = saga("child", { input: z.object({ nights: z.string().transform(Number) }) }, async (_, { nights }) => ({ nights }));

test("a wait gives the event of its name, and its options know it", () => {
  saga("parent", { input: z.object({}) }, async (s) => {
    const paid = await s.waitFor(order, "order.paid", { match: ({ data }) => data.cents > 5, timeout: "1h" });
    expectTypeOf(paid).toEqualTypeOf<Envelope<"order.paid", { cents: number }> | undefined>();
    await s.waitFor(order, "order.paid", paid ? { after: paid } : {});
    // @ts-expect-error -- no such event
    await s.waitFor(order, "order.shipped");
    // @ts-expect-error -- the event of another name has other data
    await s.waitFor(order, "order.placed", { match: ({ data }) => data.cents > 5 });
  });
});

test("a saga is run with its schema's input, and gives its result", () => {
  saga("parent", { input: z.object({}) }, async (s) => {
    expectTypeOf(await s.run(child, { nights: "2" })).toEqualTypeOf<{ nights: number }>();
    expectTypeOf(s.version).toEqualTypeOf<number>();
    // @ts-expect-error -- text is what it takes
    await s.run(child, { nights: 2 });
  });
});

test("a reaction starts sagas with their input, and commands entities beside them", () => {
  reaction("follow", { from: [order], to: { child, order } }).on({
    "order.paid": ({ entityId, data }, { commands }) => {
      expectTypeOf<Parameters<ReturnType<typeof commands.child>["start"]>[0]>().toEqualTypeOf<{ nights: string }>();
      expectTypeOf<Parameters<ReturnType<typeof commands.order>["pay"]>[0]>().toEqualTypeOf<{ cents: number }>();
      expectTypeOf(commands.order(entityId)).not.toHaveProperty("start");
      return [commands.child(entityId).signal("paid", data.cents), commands.child(entityId).cancel({ reason: "paid" })];
    },
  });
});
