// What TypeScript infers from definitions, and what it refuses. Nothing here runs: `npm run typecheck` is the test.
import {
  type Accepted,
  accepted,
  command,
  entity,
  type Envelope,
  event,
  type EventOf,
  type Outcome,
  type Page,
  type Counted,
  type Reading,
  query,
  reaction,
  reject,
  type Schema,
  service,
  type Token,
  view,
} from "convergent";
import { memory } from "convergent/memory";
import { expectTypeOf, test } from "vitest";
import { z } from "zod";

interface Order {
  readonly status: "none" | "placed";
  readonly lines: ReadonlyArray<{ readonly product: string; readonly price: number }>;
  readonly returnCode?: string;
}

const Lines = z.array(z.object({ product: z.string(), price: z.number() }));
// Input and output of this schema differ: what callers pass is text, what `decide` gets is a number.
const Place = z.object({ customer: z.string().optional(), lines: Lines, priority: z.string().transform(Number) });

const begun = entity("order", {
  initial: (): Order => ({ status: "none", lines: [] }),
  events: { placed: z.object({ customer: z.string(), lines: Lines }), amended: z.object({ lines: Lines }) },
});
const folded = begun.evolve(
  {
    placed: (order, data) => {
      expectTypeOf(order).toEqualTypeOf<Order>();
      expectTypeOf(data).toEqualTypeOf<{ customer: string; lines: { product: string; price: number }[] }>();
      return { ...order, status: "placed", lines: data.lines };
    },
    amended: (order, data) => ({ ...order, lines: data.lines }),
  },
  {
    pending: (order) => {
      expectTypeOf(order).toEqualTypeOf<Order>();
      return order.returnCode === undefined ? ["returnCode"] : [];
    },
  },
);
const order = folded.commands({
  place: command(Place, (state, input, emit) => {
    expectTypeOf(state).toEqualTypeOf<Order>();
    expectTypeOf(input.priority).toEqualTypeOf<number>();
    expectTypeOf(emit.placed).parameter(0).toEqualTypeOf<{ customer: string; lines: { product: string; price: number }[] }>();
    return state.status === "none" ? emit.placed({ customer: input.customer ?? "", lines: input.lines }) : reject("already placed");
  }),
  amend: command(z.object({ lines: Lines }), (_, input, emit) => [emit.amended(input)], { onConflict: "retry" }),
});

const summary = view("order-summary", {
  from: [order],
  document: z.object({ customer: z.string(), status: z.enum(["placed", "cancelled"]), total: z.number(), note: z.string().optional() }),
  key: (event) => event.entityId,
  indexes: ["customer", "status", "total"],
}).on({
  "order.placed": (document, event) => {
    expectTypeOf(document).toEqualTypeOf<
      { customer: string; status: "placed" | "cancelled"; total: number; note?: string | undefined } | undefined
    >();
    expectTypeOf(event).toEqualTypeOf<Envelope<"order.placed", { customer: string; lines: { product: string; price: number }[] }>>();
    return { customer: event.data.customer, status: "placed", total: 0 };
  },
});

const stock = entity("stock", { initial: () => ({ reserved: 0 }), events: { reserved: z.object({ quantity: z.number() }) } })
  .evolve({ reserved: (state, data) => ({ reserved: state.reserved + data.quantity }) })
  .commands({ reserve: command(z.object({ quantity: z.number() }), (_, input, emit) => emit.reserved(input)) });

const reserve = reaction("reserve-stock", { from: [order], to: { stock } }).on({
  "order.placed": (event, { commands }) => {
    expectTypeOf(event.data.lines).toEqualTypeOf<{ product: string; price: number }[]>();
    expectTypeOf(commands.stock("p-1").reserve).parameter(0).toEqualTypeOf<{ quantity: number }>();
    return event.data.lines.map((line) => commands.stock(line.product).reserve({ quantity: 1 }));
  },
});

const shop = service("orders", { parts: { order, summary, stock, reserve } });

test("commands take their schema's input and answer with the entity's state", async () => {
  const running = await shop.start({ store: memory() });
  const { place, amend } = running.order("o-1");
  expectTypeOf(place)
    .parameter(0)
    .toEqualTypeOf<{ customer?: string | undefined; lines: { product: string; price: number }[]; priority: string }>();
  expectTypeOf(amend).parameter(0).toEqualTypeOf<{ lines: { product: string; price: number }[] }>();
  expectTypeOf(place).returns.resolves.toEqualTypeOf<Outcome<Order>>();
  const outcome = await amend({ lines: [] }, { expected: "some", id: "i-1" });
  expectTypeOf(accepted(outcome)).toEqualTypeOf<Accepted<Order>>();
  expectTypeOf(accepted(outcome).token).toEqualTypeOf<Token>();
  expectTypeOf((await running.order.state("o-1")).state).toEqualTypeOf<Order>();
  // @ts-expect-error a command that the entity does not have
  void running.order("o-1").cancel;
  // @ts-expect-error the output of the schema is not its input
  await place({ lines: [], priority: 3 });
  // @ts-expect-error expected is a number or one of three words
  await amend({ lines: [] }, { expected: "maybe" });
});

test("an event with older forms has the type of its present schema", () => {
  const Placed = z.object({ customer: z.string() });
  const cart = entity("cart", {
    initial: () => 0,
    events: { placed: event(Placed, { upcast: [(old: { who: string }) => ({ customer: old.who })] }), emptied: z.object({}) },
    retired: ["shelved"],
  })
    .evolve({
      placed: (state, data) => {
        expectTypeOf(data).toEqualTypeOf<{ customer: string }>();
        return state;
      },
      emptied: (state) => state,
    })
    .commands({
      place: command(Placed, (_, input, emit) => {
        expectTypeOf(emit.placed).parameter(0).toEqualTypeOf<{ customer: string }>();
        // @ts-expect-error a retired event is not written any more
        void emit.shelved;
        return emit.placed(input);
      }),
    });
  expectTypeOf<Extract<EventOf<typeof cart>, { type: "cart.placed" }>["data"]>().toEqualTypeOf<{ customer: string }>();
  const personal = event(z.object({ id: z.string(), name: z.string(), age: z.number().nullable() }), {
    personal: { person: (data) => data.id, fields: { name: "forgotten", age: null } },
  });
  expectTypeOf<(typeof personal)["~standard"]>().toExtend<Schema<{ id: string; name: string; age: number | null }>["~standard"]>();
  // @ts-expect-error what a field reads as when forgotten has its type
  event(Placed, { personal: { person: (data) => data.customer, fields: { customer: 7 } } });
  // @ts-expect-error no such field
  event(Placed, { personal: { person: (data) => data.customer, fields: { address: "" } } });
  // Between them, upcasters may pass what they like.
  event(Placed, { upcast: [(old: number) => String(old), (old: string) => (old === "" ? undefined : { customer: old })] });
  // @ts-expect-error the last upcaster gives what the schema describes
  event(Placed, { upcast: [(old: { who: string }) => ({ who: old.who })] });
});

test("commands run together answer each with its own entity's state", async () => {
  const running = await shop.start({ store: memory() });
  const { order: orders, stock: stocks } = running;
  const outcome = await running.together(
    [orders.plan("o-1").place({ lines: [], priority: "3" }, { expected: "none" }), stocks.plan("p-1").reserve({ quantity: 1 })],
    { id: "i-1", actor: "ada" },
  );
  if (outcome.kind === "accepted") {
    expectTypeOf(outcome.outcomes[0]).toEqualTypeOf<Accepted<Order>>();
    expectTypeOf(outcome.outcomes[1].state).toEqualTypeOf<{ reserved: number }>();
    expectTypeOf(outcome.token).toEqualTypeOf<Token>();
    // @ts-expect-error two commands, two outcomes
    expectTypeOf(outcome.outcomes[2]).toBeUndefined();
  } else {
    expectTypeOf(outcome.index).toEqualTypeOf<number>();
    if (outcome.kind === "rejected") expectTypeOf(outcome.reason).toEqualTypeOf<string>();
  }
  // @ts-expect-error the quantity is a number
  stocks.plan("p-1").reserve({ quantity: "1" });
  // @ts-expect-error expected is a number or one of three words
  stocks.plan("p-1").reserve({ quantity: 1 }, { expected: "maybe" });
  // @ts-expect-error a command that is run at once is no plan
  await running.together([orders("o-1").amend({ lines: [] })]);
});

test("outcomes are told apart by kind", async () => {
  const running = await shop.start({ store: memory() });
  const outcome = await running.order("o-1").amend({ lines: [] });
  // @ts-expect-error only an accepted outcome has events
  void outcome.events;
  if (outcome.kind === "rejected") expectTypeOf(outcome.reason).toEqualTypeOf<string>();
  else expectTypeOf(outcome.state).toEqualTypeOf<Order>();
});

test("views answer with their document and are found by declared indexes only", async () => {
  type Document = { customer: string; status: "placed" | "cancelled"; total: number; note?: string | undefined };
  const running = await shop.start({ store: memory() });
  expectTypeOf(running.summary.get("o-1")).resolves.toEqualTypeOf<Reading<Document | undefined>>();
  expectTypeOf(running.summary.find({})).resolves.toEqualTypeOf<Page<Document>>();
  await running.summary.find({ status: "placed", total: { from: 1, to: 5 } }, { orderBy: "customer" });
  expectTypeOf((await running.summary.find({}, { count: true })).count).toEqualTypeOf<number>();
  expectTypeOf((await running.summary.find({}, { limit: 3 })).count).toEqualTypeOf<number | undefined>();
  expectTypeOf(running.summary.count({ status: "placed" }, { maxAge: "5s", after: "token" })).resolves.toEqualTypeOf<Counted>();
  // @ts-expect-error counted by declared indexes only
  await running.summary.count({ note: "x" });
  // @ts-expect-error note is a field and no index
  await running.summary.find({ note: "x" });
  // @ts-expect-error no such status
  await running.summary.find({ status: "lost" });
  // @ts-expect-error sorted by an index, or not at all
  await running.summary.find({}, { orderBy: "note" });
});

test("a version that replaces another turns the older one's documents into its own, or takes them as they are", () => {
  const shape = { version: 2, from: [order], key: (event: { entityId: string }) => event.entityId } as const;
  const wider = z.object({ customer: z.string(), status: z.string(), total: z.number(), note: z.string().optional() });
  const other = z.object({ customer: z.string(), city: z.string() });
  view("order-summary", { ...shape, document: wider, replaces: { view: summary } });
  view("order-summary", {
    ...shape,
    document: other,
    replaces: {
      view: summary,
      as: (old) => {
        expectTypeOf(old.status).toEqualTypeOf<"placed" | "cancelled">();
        return { customer: old.customer, city: "" };
      },
    },
  });
  // @ts-expect-error the older documents have no city
  view("order-summary", { ...shape, document: other, replaces: { view: summary } });
  // @ts-expect-error the newer ones need one
  view("order-summary", { ...shape, document: other, replaces: { view: summary, as: (old) => ({ customer: old.customer }) } });
});

test("a view with tables of its own knows its events, its tables and what its queries take and answer", async () => {
  const stats = view
    .sql("stats", { from: [order, stock], tables: { totals: "customer TEXT" }, indexes: { totals: ["customer"] } })
    .on({
      "order.placed": (event, sql) => {
        expectTypeOf(event.data.customer).toEqualTypeOf<string>();
        // @ts-expect-error no such table
        sql.table("lost");
        expectTypeOf(sql.run("DELETE FROM {totals} WHERE customer = ?", "ada", 1, true, null)).resolves.toEqualTypeOf<number>();
        expectTypeOf(sql.run({ sql: "DELETE FROM {totals}", parameters: [] })).resolves.toEqualTypeOf<number>();
        // @ts-expect-error a date cannot be bound
        return sql.run("DELETE FROM {totals} WHERE customer = ?", new Date());
      },
      "stock.reserved": async (event) => {
        expectTypeOf(event.data.quantity).toEqualTypeOf<number>();
      },
    })
    .queries({
      top: query(z.object({ least: z.string().transform(Number).optional() }), (sql, { least }) => {
        expectTypeOf(least).toEqualTypeOf<number | undefined>();
        return sql.all<{ customer: string }>("SELECT customer FROM {totals}");
      }),
      count: query(z.object({}), async (sql) => (await sql.get<{ n: number }>("SELECT count(*) AS n FROM {totals}"))?.n ?? 0),
    });
  const running = await service("s", { parts: { order, stock, stats } }).start({ store: memory() });
  expectTypeOf(running.stats.query.top).parameter(0).toEqualTypeOf<{ least?: string | undefined }>();
  expectTypeOf(running.stats.query.top({}, { maxAge: "5s" })).resolves.toEqualTypeOf<Reading<Array<{ customer: string }>>>();
  expectTypeOf(running.stats.query.count({})).resolves.toEqualTypeOf<Reading<number>>();
  expectTypeOf(running.stats).not.toHaveProperty("get");
  // @ts-expect-error no such query
  void running.stats.query.lost;
  // @ts-expect-error no entity of this view emits it
  view.sql("v", { from: [order], tables: { rows: "id TEXT" } }).on({ "order.cancelled": () => undefined });
  // @ts-expect-error an index is on one of its tables
  view.sql("v", { from: [order], tables: { rows: "id TEXT" }, indexes: { other: ["id"] } });
});

test("reactions work by themselves: the running service does not offer them", async () => {
  const running = await shop.start({ store: memory() });
  expectTypeOf<keyof typeof running>().toEqualTypeOf<
    "order" | "summary" | "stock" | "forget" | "stop" | "together" | "voidId" | "waitFor"
  >();
});

test("definitions that cannot be are refused where they are written", () => {
  expectTypeOf(begun).not.toHaveProperty("commands");
  // @ts-expect-error the fold of an event is missing
  begun.evolve({ placed: (state) => state });
  // @ts-expect-error an event has its own data
  folded.commands({ place: command(Place, (_, __, emit) => emit.placed({ customer: 7, lines: [] })) });
  folded.commands({
    place: command(Place, (_, __, emit) => {
      // @ts-expect-error the entity has no such event
      void emit.cancelled;
      return [];
    }),
  });
  const shape = {
    from: [order],
    document: z.object({ customer: z.string() }),
    key: (event: { entityId: string }) => event.entityId,
  } as const;
  // @ts-expect-error no entity of this view emits it
  view("v", shape).on({ "order.cancelled": () => undefined });
  // @ts-expect-error the document lacks its customer
  view("v", shape).on({ "order.placed": () => ({}) });
  // @ts-expect-error an index is a field of the document
  view("v", { ...shape, indexes: ["colour"] });
  // @ts-expect-error unique is a field of the document
  view("v", { ...shape, unique: ["colour"], consistency: "strong" });
  const listed = { ...shape, document: z.object({ lines: Lines, code: z.string().nullable().optional() }) };
  // @ts-expect-error a list cannot be unique
  view("v", { ...listed, unique: ["lines"], consistency: "strong" });
  const coded = view("v", { ...listed, unique: ["code"], consistency: "strong" }).on({});
  expectTypeOf(coded.indexes).toEqualTypeOf<ReadonlyArray<"code">>(); // found by it, too
  reaction("r", { from: [order], to: { stock } }).on({
    // @ts-expect-error the quantity is a number
    "order.placed": (_, { commands }) => commands.stock("p").reserve({ quantity: "1" }),
  });
  // @ts-expect-error a running service needs this name for itself
  service("s", { parts: { stop: order } });
  // @ts-expect-error a running service needs this name for itself
  service("s", { parts: { together: order } });
});
