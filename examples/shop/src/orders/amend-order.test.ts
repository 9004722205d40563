import { accepted, type SagaView } from "convergent";
import { memory } from "convergent/memory";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Shop, startShop } from "../shop.ts";
import { StepSwitches, switchedSteps } from "../step-switches.ts";
import { itemsOf, type Line, quantitiesOf, totalOf } from "../values.ts";

const tea = (quantity: number): Line => ({ product: "tea", quantity, price: 450 });
const teapot = (quantity: number): Line => ({ product: "teapot", quantity, price: 3900 });

let shop: Shop;
let switches: StepSwitches;
let refusals: unknown[];
let parked: unknown[];
beforeEach(async () => {
  switches = new StepSwitches();
  [refusals, parked] = [[], []];
  shop = await startShop({
    storeOf: () => memory(),
    switches,
    onRefusal: (refusal) => refusals.push(refusal),
    onParkedSaga: (saga) => parked.push(saga),
  });
  await shop.inventory.stock("tea").receive({ quantity: 20 });
  await shop.inventory.stock("teapot").receive({ quantity: 4 });
});
afterEach(() => shop.stop());

let count = 0;

async function place(order: string, lines: Line[]): Promise<void> {
  const { token } = accepted(await shop.orders.order(order).place({ customer: "ada", lines, address: "1 Hill Road" }));
  await followed(token);
}

async function followed(token: Parameters<Shop["orders"]["waitFor"]>[0]): Promise<void> {
  for (const service of [shop.inventory, shop.payments, shop.shipping]) expect(await service.waitFor(token, "5s")).toBe(true);
}

/** Starts an amendment and answers its id. */
async function begin(order: string, input: { lines: Line[]; version?: number; note?: string }): Promise<string> {
  const id = `${order}:${++count}`;
  await shop.orders.amendOrder.start(id, { order, agent: "Ada", ...input });
  return id;
}

/** Runs an amendment to its end, and what follows from that. */
async function amend(order: string, input: { lines: Line[]; version?: number; note?: string }) {
  const ended = await shop.orders.amendOrder.end(await begin(order, input));
  await followed(ended.token);
  return ended;
}

const stagesOf = ({ steps }: Pick<SagaView<unknown, unknown>, "steps">) =>
  Object.fromEntries(steps.map(({ name, state }) => [name, state]));

/** What an order has in all services. */
async function everywhere(order: string) {
  const [{ state }, payment, shipment] = await Promise.all([
    shop.orders.order.state(order),
    shop.payments.payment.state(order),
    shop.shipping.shipment.state(order),
  ]);
  const reserved = async (product: string) => (await shop.inventory.stock.state(product)).state.reserved;
  return {
    lines: state.lines,
    payment: payment.state,
    items: shipment.state.items,
    tea: await reserved("tea"),
    teapot: await reserved("teapot"),
  };
}

test("an amendment captures the difference, reserves what is more, changes the parcel, and then the order", async () => {
  await place("o-1", [tea(2)]);
  const ended = await amend("o-1", { lines: [tea(3), teapot(1)], version: 1, note: "Ring twice" });
  expect(ended).toMatchObject({ status: "completed", result: { version: 3 } });
  expect(stagesOf(ended)).toEqual({
    "check order": "done",
    "capture amount": "done",
    "reserve stock": "done",
    "update shipping": "done",
    "amend order": "done",
  });
  expect(await everywhere("o-1")).toEqual({
    lines: [tea(3), teapot(1)],
    payment: { status: "authorized", order: "o-1", authorized: 5250, captured: 4350, owed: 0 },
    items: itemsOf([tea(3), teapot(1)]),
    tea: 3,
    teapot: 1,
  });
  expect((await shop.orders.order.state("o-1")).state).toMatchObject({ total: 5250, note: "Ring twice" });
  const [event] = await eventsOf("o-1", "order.amended");
  expect(event).toMatchObject({ actor: "Ada", correlation: ended.id, data: { amendment: ended.id } });
  expect(refusals).toEqual([]);
});

test("what an amendment makes cheaper is let go, and owed back as far as it was captured", async () => {
  await place("o-1", [tea(4), teapot(1)]);
  expect((await amend("o-1", { lines: [tea(1), teapot(1)] })).status).toBe("completed");
  expect(await everywhere("o-1")).toMatchObject({ payment: { authorized: 4350, captured: 0, owed: 0 }, tea: 1, teapot: 1 });
  await shop.payments.payment("o-1").capture({ amount: 4350 });
  expect((await amend("o-1", { lines: [tea(1)] })).status).toBe("completed");
  expect(await everywhere("o-1")).toMatchObject({
    payment: { status: "captured", authorized: 450, captured: 450, owed: 3900 },
    items: [{ product: "tea", quantity: 1 }],
    teapot: 0,
  });
  expect(refusals).toEqual([]);
});

test.each(switchedSteps.flatMap((step) => (["refuses", "hangs", "loses its reply"] as const).map((does) => [step, does] as const)))(
  "when “%s” %s, everything is as before",
  { timeout: 30_000 },
  async (step, does) => {
    await place("o-1", [tea(2)]);
    const before = await everywhere("o-1");
    switches.turn(step, { does });
    const ended = await amend("o-1", { lines: [tea(5), teapot(2)] });
    expect(ended.status).toBe("compensated");
    const stages = stagesOf(ended);
    expect(stages[step]).toBe({ refuses: "failed", hangs: "void", "loses its reply": "undone" }[does]);
    for (const earlier of switchedSteps.slice(0, switchedSteps.indexOf(step))) expect(stages[earlier]).toBe("undone");
    expect(await everywhere("o-1")).toEqual(before);
    expect((await shop.orders.order.state("o-1")).version).toBe(1);
  },
);

test("goods that are not there are no amendment: of several products none is reserved, and the money goes back", async () => {
  await place("o-1", [tea(2)]);
  const before = await everywhere("o-1");
  const ended = await amend("o-1", { lines: [tea(4), teapot(5)] });
  expect(ended).toMatchObject({ status: "compensated", error: expect.stringContaining("5 were asked for and 4 are available") });
  expect(await everywhere("o-1")).toEqual(before);
});

test("a step that lost one reply is done once, and the amendment goes on", async () => {
  await place("o-1", [tea(2)]);
  switches.turn("capture amount", { does: "loses its reply" });
  const id = await begin("o-1", { lines: [tea(3)] });
  for await (const { steps } of shop.orders.amendOrder.watch(id)) if (steps.some(({ retries }) => retries > 0)) break;
  switches.turn("capture amount", { does: "works" });
  expect((await shop.orders.amendOrder.end(id)).status).toBe("completed");
  expect(await everywhere("o-1")).toMatchObject({ payment: { authorized: 1350, captured: 450 } });
});

test("an undo that fails parks the amendment, until somebody has it tried again or takes it for done", async () => {
  await place("o-1", [tea(2)]);
  const before = await everywhere("o-1");
  switches.turn("update shipping", { does: "refuses" });
  switches.turn("reserve stock", { undoFails: true });
  const ended = await amend("o-1", { lines: [tea(3)] });
  expect(ended.status).toBe("parked");
  expect(stagesOf(ended)).toMatchObject({ "capture amount": "done", "reserve stock": "stuck", "update shipping": "failed" });
  expect(parked).toMatchObject([{ id: ended.id, step: "reserve stock" }]);
  switches.reset();
  await shop.orders.amendOrder.retry(ended.id, { reason: "the warehouse is back", by: "Ben" });
  expect((await shop.orders.amendOrder.end(ended.id)).status).toBe("compensated");
  expect(await everywhere("o-1")).toEqual(before);

  switches.turn("reserve stock", { does: "refuses" });
  switches.turn("capture amount", { undoFails: true });
  const other = await amend("o-1", { lines: [tea(3)] });
  expect(other.status).toBe("parked");
  await shop.orders.amendOrder.resolve(other.id, { reason: "refunded by hand", by: "Ben" });
  const resolved = await shop.orders.amendOrder.end(other.id);
  expect(resolved.status).toBe("compensated");
  expect(stagesOf(resolved)).toMatchObject({ "capture amount": "resolved" });
});

test("an amendment of an order that somebody else has changed or cancelled meanwhile is undone", async () => {
  await place("o-1", [tea(2)]);
  await place("o-2", [tea(1)]);
  await shop.orders.order("o-1").amend({ note: "Ring twice" });
  const late = await amend("o-1", { lines: [tea(9)], version: 1 });
  expect(late).toMatchObject({ status: "compensated", error: expect.stringContaining("at version 2 and not at 1 any more") });
  // Overtaken while it runs.
  switches.paceMs = 60;
  const [first, second] = [await begin("o-1", { lines: [tea(3)] }), await begin("o-2", { lines: [teapot(3)] })];
  accepted(await shop.orders.order("o-1").amend({ lines: [tea(4)] }));
  accepted(await shop.orders.order("o-2").cancel({ reason: "ordered twice" }));
  for (const id of [first, second]) {
    const ended = await shop.orders.amendOrder.end(id);
    expect(ended.status).toBe("compensated");
    await followed(ended.token);
  }
  expect(await everywhere("o-1")).toMatchObject({ lines: [tea(4)], items: itemsOf([tea(4)]), tea: 4, teapot: 0 });
  expect((await everywhere("o-2")).payment).toMatchObject({ status: "released", authorized: 0, captured: 0 });
});

test("an amendment's id begins with its order's", async () => {
  await place("o-1", [tea(2)]);
  await shop.orders.amendOrder.start("mine", { order: "o-1", lines: [tea(3)] });
  expect(await shop.orders.amendOrder.end("mine")).toMatchObject({
    status: "compensated",
    error: expect.stringContaining('an id that begins with "o-1:"'),
  });
});

test("the life of an order has what every service did for it, and why", async () => {
  await place("o-1", [tea(2)]);
  switches.turn("update shipping", { does: "refuses" });
  const failed = await amend("o-1", { lines: [tea(3)] });
  switches.reset();
  const done = await amend("o-1", { lines: [tea(4)] });
  await expect.poll(async () => (await eventsOf("o-1", "payment.amendment-settled")).length).toBe(1);
  await expect.poll(async () => (await eventsOf("o-1", "shipment.prepared")).length).toBe(2);
  const { entries } = await lifeOf("o-1", done.token);
  expect(entries.map(({ at }) => at)).toEqual(entries.map(({ at }) => at).sort((one, other) => one - other));
  const of = (amendment: string) => entries.filter(({ correlation }) => correlation === amendment).map(({ type }) => type);
  expect(of(failed.id).filter((type) => !type.startsWith("amend-order."))).toEqual([
    "payment.difference-captured",
    "stock.reserved",
    "stock.released",
    "payment.difference-refunded",
  ]);
  expect(of(failed.id)).toContain("amend-order.compensated");
  expect(of(done.id)).toEqual(
    expect.arrayContaining(["shipment.amended", "order.amended", "amend-order.completed", "payment.amendment-settled"]),
  );
  expect(new Set(entries.map(({ service }) => service))).toEqual(new Set(["orders", "payments", "inventory", "shipping"]));
});

/** All that a token names, and what is known beyond that. */
async function lifeOf(order: string, token: Parameters<Shop["desk"]["waitFor"]>[0]) {
  expect(await shop.desk.waitFor(token, "5s")).toBe(true);
  return (await shop.desk.orderLife.state(order)).state;
}

async function eventsOf(order: string, type: string) {
  const { entries } = await lifeOf(order, (await shop.orders.order.state(order)).token);
  return entries.filter((entry) => entry.type === type);
}

test("over many amendments of which many fail, money and goods are conserved", { timeout: 120_000 }, async () => {
  const orders = ["o-1", "o-2", "o-3", "o-4"];
  for (const order of orders) await place(order, [tea(1)]);
  // A fixed sequence that looks like chance (a linear congruential generator).
  let seed = 20_261;
  const dice = (sides: number): number => (seed = (seed * 48_271) % 2_147_483_647) % sides;
  const statuses: string[] = [];
  for (let round = 0; round < 40; round++) {
    switches.reset();
    const step = switchedSteps[dice(3)];
    if (step && dice(2) === 0) switches.turn(step, { does: dice(2) === 0 ? "refuses" : "loses its reply" });
    // Two amendments of one order at once, now and then, and a change that overtakes them.
    const chosen = [orders[dice(4)], orders[dice(4)]].flatMap((order) => order ?? []);
    const ids: string[] = [];
    for (const order of chosen)
      ids.push(await begin(order, { lines: [tea(1 + dice(8)), ...(dice(2) === 0 ? [teapot(1 + dice(2))] : [])] }));
    if (dice(6) === 0) await shop.orders.order(chosen[0] ?? "").amend({ lines: [tea(1 + dice(3))] });
    for (const id of ids) {
      const ended = await shop.orders.amendOrder.end(id);
      statuses.push(ended.status);
      await followed(ended.token);
    }
  }
  expect(new Set(statuses)).toEqual(new Set(["completed", "compensated"]));
  expect(statuses.filter((status) => status === "completed").length).toBeGreaterThan(10);
  expect(statuses.filter((status) => status === "compensated").length).toBeGreaterThan(10);

  const wanted = new Map<string, number>();
  for (const order of orders) {
    const { lines, payment, items } = await everywhere(order);
    for (const [product, quantity] of quantitiesOf(lines)) wanted.set(product, (wanted.get(product) ?? 0) + quantity);
    expect(items).toEqual(itemsOf(lines));
    expect(payment).toMatchObject({ authorized: totalOf(lines) });
    expect(payment.amendments).toBeUndefined();
    expect((await shop.shipping.shipment.state(order)).state.amendments).toBeUndefined();
    // What was taken from the customer is what is held as captured, or owed or paid back.
    const { entries } = await lifeOf(order, (await shop.payments.payment.state(order)).token);
    const sum = (type: string) =>
      entries.reduce((total, entry) => (entry.type === type ? total + (entry.data as { amount: number }).amount : total), 0);
    expect(entries.length).toBeLessThan(500);
    expect(sum("payment.difference-captured")).toBeGreaterThan(0);
    expect(sum("payment.difference-captured") - sum("payment.difference-refunded")).toBe(payment.captured + payment.owed);
  }
  for (const [product, onHand] of [
    ["tea", 20],
    ["teapot", 4],
  ] as const)
    expect((await shop.inventory.stock.state(product)).state).toMatchObject({ onHand, reserved: wanted.get(product) ?? 0 });
  expect(parked).toEqual([]);
});
