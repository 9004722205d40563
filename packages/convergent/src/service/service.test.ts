import { expect, test } from "vitest";
import { z } from "zod";
import { command, entity, reject } from "../entities/entity.ts";
import { accepted } from "../protocol/outcome.ts";
import { reaction } from "../reactions/reaction.ts";
import { memory } from "../stores/memory/index.ts";
import { view } from "../views/view.ts";
import { inProcess, type Parked, service } from "./service.ts";

const Lines = z.array(z.object({ product: z.string(), quantity: z.number(), price: z.number() }));
const Place = z.object({ customer: z.string(), lines: Lines });
const order = entity("order", {
  initial: () => ({ status: "none" as "none" | "placed", total: 0 }),
  events: { placed: Place, amended: z.object({ lines: Lines }) },
})
  .evolve({
    placed: (_, data) => ({ status: "placed", total: data.lines.reduce((sum, line) => sum + line.quantity * line.price, 0) }),
    amended: (state, data) => ({ ...state, total: data.lines.reduce((sum, line) => sum + line.quantity * line.price, 0) }),
  })
  .commands({
    place: command(Place, (state, input, emit) => (state.status === "none" ? emit.placed(input) : reject("already placed"))),
    amend: command(z.object({ lines: Lines }), (_, input, emit) => emit.amended(input)),
  });
const summary = view("order-summary", {
  from: [order],
  document: z.object({ customer: z.string(), total: z.number() }),
  key: (event) => event.entityId,
  indexes: ["customer", "total"],
}).on({
  "order.placed": (_, event) => ({ customer: event.data.customer, total: event.data.lines.length }),
  "order.amended": (document, event) => document && { ...document, total: event.data.lines.length },
});
const stock = entity("stock", {
  initial: () => ({ reserved: 0 }),
  events: { reserved: z.object({ order: z.string(), quantity: z.number() }) },
})
  .evolve({ reserved: (state, data) => ({ reserved: state.reserved + data.quantity }) })
  .commands({ reserve: command(z.object({ order: z.string(), quantity: z.number() }), (_, input, emit) => emit.reserved(input)) });
const availability = view("availability", {
  from: [stock],
  document: z.object({ reserved: z.number() }),
  key: (event) => event.entityId,
}).on({
  "stock.reserved": (document, event) => ({ reserved: (document?.reserved ?? 0) + event.data.quantity }),
});
const reserve = reaction("reserve-stock", { from: [order], to: { stock } }).on({
  "order.placed": (event, { commands }) =>
    event.data.lines.map((line) => commands.stock(line.product).reserve({ order: event.entityId, quantity: line.quantity })),
});

test("a write's token is honoured by a view of the same service and by a view of another one", async () => {
  const orders = await service("orders", { parts: { order, summary } }).start({ store: memory() });
  const inventory = await service("inventory", { parts: { stock, availability, reserve } }).start({
    store: memory(),
    channels: [inProcess(orders)],
  });
  const outcome = await orders
    .order("o-1")
    .place({ customer: "ada", lines: [{ product: "tea", quantity: 2, price: 300 }] }, { id: "r-1", expected: "none" });
  const { state, version, token } = accepted(outcome);
  expect(state).toEqual({ status: "placed", total: 600 });
  expect(version).toBe(1);
  const reading = await orders.summary.get("o-1", { after: token, wait: "2s" });
  expect(reading).toMatchObject({ value: { customer: "ada", total: 1 }, asOf: 1, fresh: true, behind: { positions: 0, ms: 0 } });
  const foreign = await inventory.availability.get("tea", { after: String(token), wait: "2s" });
  expect(foreign).toMatchObject({ value: { reserved: 2 }, fresh: true });
  const again = accepted(
    await orders
      .order("o-1")
      .place({ customer: "ada", lines: [{ product: "tea", quantity: 2, price: 300 }] }, { id: "r-1", expected: "none" }),
  );
  expect(again).toMatchObject({ repeated: true, version: 1 });
  expect(String(again.token)).toBe(String(token));
  const page = await orders.summary.find({ customer: "ada", total: { from: 0 } }, { strong: true });
  expect(page.value).toEqual([{ key: "o-1", value: { customer: "ada", total: 1 } }]);
  await inventory.stop();
  await orders.stop();
});

test("a token travels along a chain of services: the last one knows what the one before it had seen of the first", async () => {
  const restock = reaction("restock", { from: [stock], to: { purchase: order } }).on({
    "stock.reserved": (event, { commands }) =>
      commands
        .purchase(`${event.entityId}-${event.version}`)
        .place({ customer: "supplier", lines: [{ product: event.entityId, quantity: event.data.quantity, price: 1 }] }),
  });
  const orders = await service("orders", { parts: { order, summary } }).start({ store: memory() });
  const inventory = await service("inventory", { parts: { stock, availability, reserve } }).start({
    store: memory(),
    channels: [inProcess(orders)],
  });
  const purchasing = await service("purchasing", { parts: { order, summary, restock } }).start({
    store: memory(),
    channels: [inProcess(inventory)],
  });
  const place = async (id: string): Promise<string> =>
    String(accepted(await orders.order(id).place({ customer: "ada", lines: [{ product: "tea", quantity: 2, price: 300 }] })).token);
  // From the moment the last service has looked at its source for the first time it knows the way.
  const first = await place("o-1");
  await expect.poll(async () => (await purchasing.summary.get("tea-1", { after: first, wait: "1s" })).unchecked).toBeUndefined();
  const reading = await purchasing.summary.get("tea-2", { after: await place("o-2"), wait: "5s" });
  expect(reading).toMatchObject({ value: { customer: "supplier" }, fresh: true });
  expect(await orders.summary.get("o-1", { after: String((await purchasing.summary.get("tea-2")).token) })).toMatchObject({
    fresh: false,
    unchecked: ["purchasing"],
  });
  for (const running of [purchasing, inventory, orders]) await running.stop();
});

test("an event that is parked is told, and a read that asks for what it would have caused says at once who is missing", async () => {
  const picky = entity("letter", { initial: () => 0, events: { sent: z.object({ to: z.string() }) } })
    .evolve({ sent: (count) => count + 1 })
    .commands({ send: command(z.object({ to: z.string().min(5) }), (_, input, emit) => emit.sent(input)) });
  const letters = view("letters", { from: [picky], document: z.object({ to: z.string() }), key: (event) => event.entityId }).on({
    "letter.sent": (_, event) => event.data,
  });
  const write = reaction("write-letter", { from: [order], to: { picky } }).on({
    "order.placed": (event, { commands }) => commands.picky(event.entityId).send({ to: event.data.customer }),
  });
  const parked: Parked[] = [];
  const orders = await service("orders", { parts: { order } }).start({ store: memory() });
  const post = await service("post", { parts: { picky, letters, write } }).start({
    store: memory(),
    channels: [inProcess(orders)],
    onParked: (one) => parked.push(one),
  });
  const { token } = accepted(await orders.order("o-1").place({ customer: "ada", lines: [] }));
  const reading = await post.letters.get("o-1", { after: String(token), wait: "50ms" });
  expect(reading).toMatchObject({ fresh: false, unmet: ["orders"] });
  await expect(post.letters.get("o-1", { after: String(token), wait: "50ms", stale: "error" })).rejects.toThrow("orders");
  expect(parked).toMatchObject([
    { service: "post", reader: "write-letter", key: "order/o-1", event: { position: 1, type: "order.placed" }, attempts: 1 },
  ]);
  const before = performance.now();
  expect(await post.letters.get("o-1", { after: String(token), wait: "20s" })).toMatchObject({ fresh: false, unmet: ["orders"] });
  expect(performance.now() - before).toBeLessThan(5000);
  await expect(service("nowhere", { parts: {} }).start({} as never)).rejects.toMatchObject({ code: "definition_invalid" });
  await post.stop();
  await orders.stop();
});
