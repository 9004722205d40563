// What hooks infer from a client. Nothing here runs: `npm run typecheck` is the test.
import { command, entity, saga, service, view } from "convergent";
import {
  type Conflict,
  connect,
  type Overlay,
  type RemoteOutcome,
  type RemoteReading,
  type RemoteState,
  type SagaView,
} from "convergent/client";
import { type Commanding, useCommand, useEntity, useFind, useSaga, useView, type Viewed } from "convergent/react";
import { expectTypeOf, test } from "vitest";
import { z } from "zod";

interface Order {
  readonly status: "none" | "placed";
}
interface Summary {
  customer: string;
  total: number;
}

const Place = z.object({ customer: z.string(), priority: z.string().transform(Number).optional() });
const order = entity("order", { initial: (): Order => ({ status: "none" }), events: { placed: z.object({ customer: z.string() }) } })
  .evolve({ placed: (state) => ({ ...state, status: "placed" }) })
  .commands({ place: command(Place, (_, input, emit) => emit.placed(input)) });
const orderSummary = view("order-summary", {
  from: [order],
  document: z.object({ customer: z.string(), total: z.number() }),
  key: (event) => event.entityId,
  indexes: ["customer"],
}).on({});
const amendOrder = saga("amend-order", { input: z.object({ total: z.number() }) }, async (s) => ({
  captured: await s.step("capture", () => 1),
}));
const orders = service("orders", { parts: { order, orderSummary, amendOrder } });
const client = connect<typeof orders>("/api");

test("values have the types of what they show, and are there once there is a reading", () => {
  const summary = useView(client.orderSummary, "o-1");
  expectTypeOf(summary).toEqualTypeOf<Viewed<Summary | undefined, RemoteReading<Summary | undefined>>>();
  const state = useEntity(client.order, undefined, { interval: "1s" });
  expectTypeOf(state).toEqualTypeOf<Viewed<Order, RemoteState<Order>>>();
  expectTypeOf(state.value).toEqualTypeOf<Order | undefined>();
  if (state.reading) expectTypeOf(state.value).toEqualTypeOf<Order>();
  expectTypeOf(useSaga(client.amendOrder, "s-1").value).toEqualTypeOf<SagaView<{ total: number }, { captured: number }> | undefined>();
  const page = useFind(client.orderSummary, { customer: "ada" }, { orderBy: "customer", limit: 5 });
  if (page.reading) expectTypeOf(page.value[0]?.value).toEqualTypeOf<Summary | undefined>();
  // @ts-expect-error not an index of this view
  useFind(client.orderSummary, { total: 1 });
  // @ts-expect-error an entity is no view
  useView(client.order, "o-1");
});

test("a command takes its input and tells its outcome", () => {
  const place = useCommand(client.order("o-1").place, {
    optimistic: (input): Overlay[] => {
      expectTypeOf(input).toEqualTypeOf<{ customer: string; priority?: string | undefined }>();
      return [client.orderSummary.overlay("o-1", (summary) => summary && { ...summary, customer: input.customer })];
    },
  });
  expectTypeOf(place).toEqualTypeOf<Commanding<{ customer: string; priority?: string | undefined }, Order>>();
  expectTypeOf(place.conflict).toEqualTypeOf<Conflict<Order> | undefined>();
  expectTypeOf(place.send({ customer: "ada" }, { expected: 3 })).resolves.toEqualTypeOf<RemoteOutcome<Order> | undefined>();
  // @ts-expect-error the output of the schema is not its input
  void place.send({ customer: "ada", priority: 3 });
});
