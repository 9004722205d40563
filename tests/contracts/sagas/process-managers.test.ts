// Reactions that start, signal and cancel sagas, on every store: once an event, with timers that outlive their process.
import { accepted, command, entity, inProcess, reaction, type Refusal, saga, service, type StartOptions } from "convergent";
import { memory } from "convergent/memory";
import { describe, expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { newPlace, type StoreKind, storeKinds } from "../stores/store-kinds.ts";

const wait = "20s";
const Sum = z.object({ cents: z.number() });
const Nothing = z.object({});

const order = entity("order", { initial: () => ({ placed: 0, reminders: 0 }), events: { placed: Sum, paid: Nothing, reminded: Nothing } })
  .evolve({
    placed: (state, { cents }) => ({ ...state, placed: cents }),
    paid: (state) => state,
    reminded: (state) => ({ ...state, reminders: state.reminders + 1 }),
  })
  .commands({
    place: command(Sum, (_, sum, emit) => emit.placed(sum)),
    pay: command(Nothing, (_, __, emit) => emit.paid({})),
    remind: command(Nothing, (_, __, emit) => emit.reminded({})),
  });

/** The sum of an order that is given an hour. */
const patient = 7;

/** Reminds of an order that is not paid some time after it was placed; one that is paid by then is let go. */
async function shopOn(
  kind: StoreKind,
  afterMs: number,
  { place = newPlace(), ...options }: Partial<StartOptions> & { place?: string } = {},
) {
  const reminder = saga("reminder", { input: z.object({ order: z.string(), at: z.number() }) }, async (s, input) => {
    await s.until("due", input.at);
    await s.step("remind", async (id) => void accepted(await shop.order(input.order).remind({}, { id, scope: "reminder" })));
  });
  const talk = saga("talk", { input: z.object({}) }, async (s) => [await s.signal("said"), await s.signal("said")]);
  const watchPayment = reaction("watch-payment", { from: [order], to: { reminder, talk } }).on({
    "order.placed": ({ entityId, at, data }, { commands }) => [
      commands.reminder(entityId).start({ order: entityId, at: at + (data.cents === patient ? 3_600_000 : afterMs) }),
      commands.talk(entityId).start({}),
      commands.talk(entityId).signal("said", data.cents),
    ],
    "order.paid": ({ entityId }, { commands }) => [
      commands.reminder(entityId).cancel({ reason: "paid" }),
      commands.talk(entityId).signal("said"),
    ],
  });
  const definition = service("orders", { parts: { order, reminder, talk, watchPayment } });
  const shop: Awaited<ReturnType<typeof definition.start>> = await definition.start({ store: kind.driver(place), ...options });
  onTestFinished(() => shop.stop());
  return { shop, place };
}

describe.each(storeKinds)("$name", (kind) => {
  test("a reaction starts a saga, which acts when its time has come; another event of the order calls it off", async () => {
    const { shop } = await shopOn(kind, 300);
    await shop.order("late").place({ cents: 5 });
    await shop.order("paid").place({ cents: patient });
    await expect.poll(async () => (await shop.reminder.get("paid").catch(() => undefined))?.status, { timeout: 10_000 }).toBe("running");
    await shop.order("paid").pay({});
    expect((await shop.reminder.end("paid", { wait })).cancelled).toBe("paid");
    await expect.poll(async () => (await shop.order.state("late")).state.reminders, { timeout: 10_000 }).toBe(1);
    expect(await shop.reminder.end("late", { wait })).toMatchObject({
      status: "completed",
      steps: [{ kind: "timer" }, { name: "remind" }],
    });
    expect((await shop.order.state("paid")).state.reminders).toBe(0);
    const { metadata } = (await shop.order.events("late")).at(-1) ?? {};
    expect(metadata?.cause).toBe("reminder/late/remind");
  });

  test("signals of a reaction are heard once and in order, and what it tells keeps who said it", async () => {
    const { shop } = await shopOn(kind, 3_600_000);
    await shop.order("o-1").place({ cents: 5 });
    await shop.order("o-1").pay({});
    await expect.poll(async () => (await shop.talk.get("o-1").catch(() => undefined))?.status, { timeout: 10_000 }).toBe("completed");
    expect((await shop.talk.get("o-1")).result).toEqual([5, null]);
  });

  test("of several events that start a saga under one id the first does; another input is refused, and so is what nobody hears", async () => {
    const refusals: Refusal[] = [];
    const { shop } = await shopOn(kind, 3_600_000, { onRefusal: (refusal) => refusals.push(refusal) });
    await shop.order("o-2").pay({});
    await shop.order("o-1").place({ cents: 5 });
    await new Promise((resolve) => setTimeout(resolve, 5));
    await shop.order("o-1").place({ cents: 6 });
    await expect.poll(() => refusals.length, { timeout: 10_000 }).toBe(3);
    expect(refusals.map(({ entity: name, entityId, command: asked, reason }) => [name, entityId, asked, reason])).toEqual([
      ["reminder", "o-2", "cancel", "there is no saga o-2"],
      ["talk", "o-2", "signal", "there is no saga o-2"],
      ["reminder", "o-1", "start", "there is a saga o-1 with another input"],
    ]);
    await expect.poll(async () => (await shop.talk.get("o-1").catch(() => undefined))?.result, { timeout: 10_000 }).toEqual([5, 6]);
  });

  test("a timer goes off once after a restart, in time for what became due meanwhile", async () => {
    const first = await shopOn(kind, 400);
    await first.shop.order("o-1").place({ cents: 5 });
    await expect.poll(async () => (await first.shop.reminder.get("o-1").catch(() => undefined))?.steps.length, { timeout: 10_000 }).toBe(1);
    await first.shop.stop();
    await new Promise((resolve) => setTimeout(resolve, 500));
    const { shop } = await shopOn(kind, 400, { place: first.place });
    expect(await shop.reminder.end("o-1", { wait })).toMatchObject({ status: "completed" });
    expect((await shop.order.state("o-1")).state.reminders).toBe(1);
  }, 30_000);

  test("an event of another service starts a saga here", async () => {
    const pack = saga("pack", { input: Sum }, async (s, { cents }) => s.step("pack", () => `packed for ${cents}`));
    const packing = reaction("packing", { from: [order], to: { pack } }).on({
      "order.placed": ({ entityId, data }, { commands }) => commands.pack(entityId).start(data),
    });
    const orders = await service("shop", { parts: { order } }).start({ store: memory() });
    onTestFinished(() => orders.stop());
    const stock = await service("orders", { parts: { pack, packing } }).start({
      store: kind.driver(newPlace()),
      channels: [inProcess(orders)],
    });
    onTestFinished(() => stock.stop());
    await orders.order("o-1").place({ cents: 9 });
    await expect.poll(async () => (await stock.pack.get("o-1").catch(() => undefined))?.result, { timeout: 10_000 }).toBe("packed for 9");
  });
});

describe.each(storeKinds.filter(({ severalProcesses }) => severalProcesses))("$name, by several processes", (kind) => {
  test("of two processes one takes what a reaction has started, and each timer goes off once", async () => {
    const { shop, place } = await shopOn(kind, 300);
    const { shop: other } = await shopOn(kind, 300, { place });
    const ids = Array.from({ length: 40 }, (_, index) => `o-${index}`);
    await Promise.all(ids.map((id, index) => (index % 2 === 0 ? shop : other).order(id).place({ cents: 100 + index })));
    for (const id of ids)
      await expect.poll(async () => (await shop.reminder.get(id).catch(() => undefined))?.status, { timeout: 20_000 }).toBe("completed");
    expect(await Promise.all(ids.map(async (id) => (await shop.order.state(id)).state.reminders))).toEqual(ids.map(() => 1));
  }, 60_000);
});
