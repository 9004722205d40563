// What a client infers from the services behind its gateway. Nothing here runs: `npm run typecheck` is the test.
import { command, entity, query, reaction, saga, service, view } from "convergent";
import {
  accepted,
  type Accepted,
  connect,
  type Overlay,
  type RemoteAccepted,
  type RemoteOutcome,
  type RemoteCounted,
  type RemotePage,
  type RemoteReading,
  type RemoteState,
  type SagaAccepted,
  type SagaView,
  type Session,
  type Shown,
  type Token,
  type VisibilityMs,
  type Watch,
} from "convergent/client";
import { expectTypeOf, test } from "vitest";
import { z } from "zod";

interface Order {
  readonly status: "none" | "placed";
}

const Place = z.object({ customer: z.string(), priority: z.string().transform(Number).optional() });
const order = entity("order", { initial: (): Order => ({ status: "none" }), events: { placed: z.object({ customer: z.string() }) } })
  .evolve({ placed: (state) => ({ ...state, status: "placed" }) })
  .commands({
    place: command(Place, (_, input, emit) => emit.placed(input)),
    touch: command(z.undefined(), () => []),
  });
const orderSummary = view("order-summary", {
  from: [order],
  document: z.object({ customer: z.string(), status: z.enum(["placed", "cancelled"]), total: z.number() }),
  key: (event) => event.entityId,
  indexes: ["customer", "status"],
}).on({});
const unindexed = view("unindexed", { from: [order], document: z.object({ a: z.string() }), key: (event) => event.entityId }).on({});
const stock = entity("stock", { initial: () => ({ reserved: 0 }), events: { reserved: z.object({ quantity: z.number() }) } })
  .evolve({ reserved: (state) => state })
  .commands({ reserve: command(z.object({ quantity: z.number() }), (_, input, emit) => emit.reserved(input)) });
const reserve = reaction("reserve-stock", { from: [order], to: { stock } }).on({});

const stats = view
  .sql("stats", { from: [order], tables: { totals: "customer TEXT" } })
  .on({})
  .queries({ top: query(z.object({ least: z.number() }), (sql) => sql.all<{ customer: string }>("SELECT customer FROM {totals}")) });

const Amend = z.object({ order: z.string(), total: z.string().transform(Number) });
const amendOrder = saga("amend-order", { input: Amend }, async (s, { total }) => ({ captured: await s.step("capture", () => total) }));

const orders = service("orders", { parts: { order, orderSummary, unindexed } });
const inventory = service("inventory", { parts: { stock, reserve } });

const client = connect<typeof orders>("http://localhost:4000");

test("commands take their schema's input and answer with the entity's state", async () => {
  const { place } = client.order("o-1");
  expectTypeOf(place).parameter(0).toEqualTypeOf<{ customer: string; priority?: string | undefined }>();
  expectTypeOf(place).returns.resolves.toEqualTypeOf<RemoteOutcome<Order>>();
  const outcome = await place({ customer: "ada" }, { id: "i-1", expected: 3, actor: "ada", signal: AbortSignal.timeout(1000) });
  expectTypeOf(accepted(outcome)).toEqualTypeOf<RemoteAccepted<Order>>();
  expectTypeOf(accepted(outcome)).toExtend<Accepted<Order>>();
  if (outcome.kind === "accepted") expectTypeOf(outcome.visibilityMs).toEqualTypeOf<VisibilityMs | undefined>();
  if (outcome.kind === "conflict") expectTypeOf(outcome.state).toEqualTypeOf<Order>();
  expectTypeOf((await client.order.state("o-1", { version: 2 })).state).toEqualTypeOf<Order>();
  // @ts-expect-error a command that the entity does not have
  void client.order("o-1").cancel;
  // @ts-expect-error the output of the schema is not its input
  await place({ customer: "ada", priority: 3 });
  await place({ customer: "ada" }, { expected: 3, onConflict: "retry" });
  // @ts-expect-error there is no such policy
  await place({ customer: "ada" }, { expected: 3, onConflict: "ignore" });
});

test("views answer with their document and are found by declared indexes only", async () => {
  type Document = { customer: string; status: "placed" | "cancelled"; total: number };
  expectTypeOf(client.orderSummary.get("o-1")).resolves.toEqualTypeOf<RemoteReading<Document | undefined>>();
  expectTypeOf(client.orderSummary.find({ status: "placed" })).resolves.toEqualTypeOf<RemotePage<Document>>();
  expectTypeOf(client.orderSummary.pages({})).toEqualTypeOf<AsyncIterable<RemotePage<Document>>>();
  expectTypeOf(client.orderSummary.count({ status: "placed" }, { maxAge: "5s" })).resolves.toEqualTypeOf<RemoteCounted>();
  expectTypeOf((await client.orderSummary.find({}, { count: true })).count).toEqualTypeOf<number>();
  await client.orderSummary.poll("o-1", { until: ({ value }) => value?.total === 3, after: null, timeout: "5s" });
  await client.orderSummary.find({ customer: { from: "a" } }, { orderBy: "status", after: "token" });
  // @ts-expect-error total is a field and no index
  await client.orderSummary.find({ total: 3 });
  // @ts-expect-error no such status
  await client.orderSummary.find({ status: "lost" });
  // @ts-expect-error no such duration
  await client.orderSummary.get("o-1", { wait: "soon" });
  // @ts-expect-error a view without indexes is asked by key, or page by page
  await client.unindexed.find({ a: "x" });
  await client.unindexed.find({});
});

test("queries of a view with tables are asked by name", async () => {
  const asked = connect<{ parts: { stats: typeof stats } }>("http://localhost:4000");
  expectTypeOf(asked.stats.query.top).parameter(0).toEqualTypeOf<{ least: number }>();
  expectTypeOf(asked.stats.query.top({ least: 1 }, { after: null, maxAge: "5s" })).resolves.toEqualTypeOf<
    RemoteReading<Array<{ customer: string }>>
  >();
  expectTypeOf(asked.stats).not.toHaveProperty("get");
  // @ts-expect-error the input lacks a field
  await asked.stats.query.top({});
});

test("sagas are started with their schema's input, and answer with the script's result", async () => {
  const { amendOrder: amend, ...rest } = connect<{ parts: { amendOrder: typeof amendOrder } }>("http://localhost:4000");
  type Input = { order: string; total: string };
  expectTypeOf<Parameters<typeof amend.start>[1]>().toEqualTypeOf<Input>();
  expectTypeOf(amend.start("s-1", { order: "o-1", total: "3" }, { actor: "ada" })).resolves.toEqualTypeOf<SagaAccepted>();
  void amend.start(undefined, { order: "o-1", total: "3" });
  expectTypeOf(amend.get("s-1")).resolves.toEqualTypeOf<SagaView<Input, { captured: number }>>();
  expectTypeOf((await amend.end("s-1", { wait: "5s" })).result).toEqualTypeOf<{ captured: number } | undefined>();
  expectTypeOf(amend.watch("s-1")).toEqualTypeOf<Watch<SagaView<Input, { captured: number }>>>();
  expectTypeOf(amend.signal("s-1", "approved", { by: "ada" }, { id: "x" })).resolves.toEqualTypeOf<SagaAccepted>();
  expectTypeOf(amend).not.toHaveProperty("find");
  expectTypeOf(rest.voidId("k-1", { service: "orders" })).resolves.toEqualTypeOf<boolean>();
  // @ts-expect-error the output of the schema is not its input
  void amend.start("s-1", { order: "o-1", total: 3 });
  // @ts-expect-error an operator says why
  void amend.retry("s-1", {});
  // @ts-expect-error who that is, the gateway knows
  void amend.resolve("s-1", { reason: "seen to", by: "ada" });
});

test("entities and views offer their own reads only", () => {
  expectTypeOf(client.order).not.toHaveProperty("get");
  expectTypeOf(client.orderSummary).not.toBeFunction();
  expectTypeOf(client.orderSummary).not.toHaveProperty("state");
});

test("several services behind one gateway are joined as a union; reactions are not offered", () => {
  const both = connect<typeof orders | typeof inventory>("http://localhost:4000");
  expectTypeOf<keyof typeof both>().toEqualTypeOf<"order" | "orderSummary" | "unindexed" | "stock" | "session" | "voidId">();
  expectTypeOf(both.stock("p-1").reserve).parameter(0).toEqualTypeOf<{ quantity: number }>();
  expectTypeOf(both.order("o-1").place).returns.resolves.toEqualTypeOf<RemoteOutcome<Order>>();
});

test("watches bring what reads answer; with `optimistic`, the value with what lies over it", () => {
  type Summary = { customer: string; status: "placed" | "cancelled"; total: number };
  expectTypeOf(client.orderSummary.watch("o-1")).toEqualTypeOf<Watch<RemoteReading<Summary | undefined>>>();
  expectTypeOf(client.orderSummary.watch("o-1", { optimistic: true })).toEqualTypeOf<
    Watch<Shown<Summary | undefined, RemoteReading<Summary | undefined>>>
  >();
  expectTypeOf(client.orderSummary.watchFind({ customer: "ada" }, { orderBy: "status", limit: 5 })).toEqualTypeOf<
    Watch<RemotePage<Summary>>
  >();
  expectTypeOf(client.order.watch("o-1", { interval: "1s" })).toEqualTypeOf<Watch<RemoteState<Order>>>();
  client.order.watch("o-1", { optimistic: true }).subscribe(({ value, status }) => {
    expectTypeOf(value).toEqualTypeOf<Order>();
    expectTypeOf(status).toEqualTypeOf<"confirmed" | "pending" | "unknown" | "rejected" | "conflict" | "failed" | "lost">();
  });
  // @ts-expect-error not an index of this view
  client.orderSummary.watchFind({ total: 1 });
});

test("overlays are typed by the view or entity that they lie over", () => {
  const over = client.orderSummary.overlay("o-1", (summary) => {
    expectTypeOf(summary).toEqualTypeOf<{ customer: string; status: "placed" | "cancelled"; total: number } | undefined>();
    return summary && { ...summary, total: 0 };
  });
  expectTypeOf(over).toEqualTypeOf<Overlay>();
  // @ts-expect-error no state of this entity
  client.order.overlay("o-1", () => ({ status: "gone" }));
  expectTypeOf(
    client
      .order("o-1")
      .place({ customer: "ada" }, { optimistic: [over, client.order.overlay("o-1", (state) => ({ ...state, status: "placed" }))] }),
  ).resolves.toEqualTypeOf<RemoteOutcome<Order>>();
});

test("parts alone are enough, and an intersection of them works where no names exclude each other", () => {
  const both = connect<{ parts: { order: typeof order } } & { parts: { stock: typeof stock } }>("http://localhost:4000");
  expectTypeOf<keyof typeof both>().toEqualTypeOf<"order" | "stock" | "session" | "voidId">();
  expectTypeOf(both.stock("p-1").reserve).parameter(0).toEqualTypeOf<{ quantity: number }>();
});

test("the session's token is handed over as a token or as text", () => {
  expectTypeOf(client.session).toEqualTypeOf<Session>();
  expectTypeOf(client.session.token).toEqualTypeOf<Token>();
  client.session.merge(String(client.session.token));
  connect<typeof orders>("/api", { token: client.session.token, causal: true, onHistoryLost: ({ store, fork }) => [store, fork] });
});
