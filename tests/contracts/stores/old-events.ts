// Events that an earlier release wrote, read by the present one: in states, views, answers and the audit trail.
import {
  accepted,
  command,
  entity,
  event,
  eventDigest,
  Log,
  reject,
  runtimeOf,
  service,
  type StoreDriver,
  type Stuck,
  type UnknownEvents,
  view,
  type WriteTransaction,
} from "convergent";
import { expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { allEvents, codeOf } from "./log-questions.ts";
import { newPlace, openLog, type StoreKind } from "./store-kinds.ts";

const Line = z.object({ product: z.string() });
const PlacedOnce = z.object({ who: z.string(), product: z.string() });
const Placed = z.object({ customer: z.string(), lines: z.array(Line) });
const Shelved = z.object({ until: z.number() });

/** The entity as its first release had it. */
const orderOnce = entity("order", { initial: () => ({ customer: "" }), events: { placed: PlacedOnce, shelved: Shelved } })
  .evolve({ placed: (_, data) => ({ customer: data.who }), shelved: (state) => state })
  .commands({
    place: command(PlacedOnce, (_, input, emit) => emit.placed(input)),
    shelve: command(Shelved, (_, input, emit) => emit.shelved(input)),
  });

interface Order {
  readonly customer: string;
  readonly products: readonly string[];
}

const order = entity("order", {
  initial: (): Order => ({ customer: "", products: [] }),
  events: {
    placed: event(Placed, {
      upcast: [
        ({ who, product }: z.infer<typeof PlacedOnce>) => {
          if (who === "nobody") throw new Error("an order has a customer");
          return who === "tester" ? undefined : { customer: who, lines: [{ product }] };
        },
      ],
    }),
  },
  retired: ["shelved"],
})
  .evolve({ placed: (state, { customer, lines }) => ({ customer, products: [...state.products, ...lines.map((line) => line.product)] }) })
  .commands({ place: command(Placed, (state, input, emit) => (input.lines.length > 0 ? emit.placed(input) : reject(state.customer))) });

const products = view("products", { from: [order], document: z.object({ count: z.number() }), key: (placed) => placed.data.customer }).on({
  "order.placed": (document, placed) => ({ count: (document?.count ?? 0) + placed.data.lines.length }),
});

const before = service("orders", { parts: { order: orderOnce } });
const now = service("orders", { parts: { order, products } });

/** A store in which the first release has worked. */
async function writtenBefore(driver: StoreDriver, customers: readonly string[]): Promise<void> {
  const running = await before.start({ store: driver });
  for (const who of customers) accepted(await running.order(who).place({ who, product: "tea" }));
  accepted(await running.order("ada").shelve({ until: 7 }));
  await running.stop();
}

async function started(driver: StoreDriver): Promise<{ running: Awaited<ReturnType<typeof now.start>>; log: Log }> {
  const running = await now.start({ store: driver });
  onTestFinished(() => running.stop());
  return { running, log: runtimeOf(running).log };
}

export function oldEventContract(kind: StoreKind): void {
  test("events of an earlier release are folded, shown in views and counted on as if they were written today", async () => {
    const place = newPlace();
    await writtenBefore(kind.driver(place), ["ada", "tester"]);
    const { running, log } = await started(kind.driver(place));
    expect(await running.order.state("ada")).toMatchObject({ state: { customer: "ada", products: ["tea"] }, version: 2 });
    const { state, version } = accepted(await running.order("ada").place({ customer: "ada", lines: [{ product: "cup" }] }));
    expect({ state, version }).toEqual({ state: { customer: "ada", products: ["tea", "cup"] }, version: 3 });
    expect((await running.products.get("ada", { strong: true, wait: "10s" })).value).toEqual({ count: 2 });
    // What an upcaster drops and what is retired has no effect, and the trail shows it.
    expect((await running.order.state("tester")).state).toEqual({ customer: "", products: [] });
    expect((await running.products.get("tester")).value).toBeUndefined();
    expect((await running.order.events("tester")).map(({ data }) => data)).toEqual([{ who: "tester", product: "tea" }]);
    expect((await running.order.events("ada")).map(({ data }) => data)).toEqual([
      { customer: "ada", lines: [{ product: "tea" }] },
      { until: 7 },
      { customer: "ada", lines: [{ product: "cup" }] },
    ]);
    for (const stored of await allEvents(log)) expect(stored.digest).toBe(eventDigest(stored));
  });

  test("an upcaster that throws fails the commands and reads of its stream, by name, and no other", async () => {
    const place = newPlace();
    await writtenBefore(kind.driver(place), ["ada", "nobody"]);
    const { running } = await started(kind.driver(place));
    await expect(running.order("nobody").place({ customer: "x", lines: [{ product: "cup" }] })).rejects.toMatchObject({
      code: "upcast_failed",
      retry: "never",
      message: expect.stringMatching(/order\.placed from version 1 .* order\/nobody version 1 .*an order has a customer/),
    });
    expect(await codeOf(running.order.state("nobody"))).toBe("upcast_failed");
    expect((await running.order.events("nobody")).map(({ data }) => data)).toEqual([{ who: "nobody", product: "tea" }]);
    accepted(await running.order("ada").place({ customer: "ada", lines: [{ product: "cup" }] }));
  });

  test("an event that cannot be read is set aside by its document, named, and everything else goes on", async () => {
    const place = newPlace();
    await writtenBefore(kind.driver(place), ["ada", "nobody"]);
    const log = await Log.open(kind.driver(place), "orders");
    await log.append({ stream: "order/bob", expected: "any", events: [{ type: "order.teleported", data: {} }] });
    await log.close();
    const perOrder = view("per-order", { from: [order], document: z.object({ count: z.number() }), key: ({ entityId }) => entityId }).on({
      "order.placed": (document, placed) => ({ count: (document?.count ?? 0) + placed.data.lines.length }),
    });
    const running = await service("orders", { parts: { order, perOrder } }).start({ store: kind.driver(place) });
    onTestFinished(() => running.stop());
    const { token } = accepted(await running.order("ada").place({ customer: "ada", lines: [{ product: "cup" }] }));
    expect(await running.perOrder.get("ada", { after: token, wait: "20s" })).toMatchObject({ value: { count: 2 }, fresh: true });
    const parked = await runtimeOf(running).log.snapshot((tx) => tx.parking.keys());
    expect(parked.map(({ key, state }) => [key, state])).toEqual([
      ["nobody", "parked"],
      ["bob", "parked"],
    ]);
    expect(parked[0]?.error).toMatch(/order\.placed from version 1 .* order\/nobody/);
    expect(parked[1]?.error).toMatch(/order\.teleported at order\/bob/);
  });

  test("the version of an event's data is part of its digest", async () => {
    const { running, log } = await started(kind.driver(newPlace()));
    accepted(await running.order("o").place({ customer: "ada", lines: [{ product: "tea" }] }, { actor: "ada" }));
    const [stored] = await allEvents(log);
    expect(JSON.parse(stored?.metadata ?? "")).toEqual({ actor: "ada", $schema: 2 });
    expect(stored && eventDigest({ ...stored, metadata: '{"actor":"ada"}' })).not.toBe(stored?.digest);
    expect((await running.order.events("o"))[0]?.metadata).toEqual({ actor: "ada" });
    const marked = running.order("o").place({ customer: "ada", lines: [{ product: "tea" }] }, { metadata: { $schema: 1 } });
    expect(await codeOf(marked)).toBe("invalid_input");
  });

  test("an event that the definition does not know fails commands of its stream, is never passed over by readers, and is told at the start", async () => {
    const place = newPlace();
    await writtenBefore(kind.driver(place), ["ada"]);
    const log = await Log.open(kind.driver(place), "orders");
    for (const [stream, type] of [
      ["order/bob", "order.teleported"],
      ["basket/1", "basket.filled"],
    ] as const)
      await log.append({ stream, expected: "any", events: [{ type, data: {} }] });
    await log.close();
    const told: UnknownEvents[] = [];
    const stuck: Stuck[] = [];
    const running = await now.start({
      store: kind.driver(place),
      onUnknown: (unknown) => told.push(unknown),
      onStuck: (one) => stuck.push(one),
    });
    onTestFinished(() => running.stop());
    expect(told).toEqual([
      { service: "orders", entity: "order", types: ["order.teleported"], isPart: true },
      { service: "orders", entity: "basket", types: ["basket.filled"], isPart: false },
    ]);
    await expect(running.order("bob").place({ customer: "bob", lines: [{ product: "tea" }] })).rejects.toMatchObject({
      code: "event_unknown",
      retry: "never",
      message: expect.stringMatching(/order\.teleported at order\/bob version 1 \(position 3\)/),
    });
    const { token } = accepted(await running.order("ada").place({ customer: "ada", lines: [{ product: "cup" }] }));
    expect(await running.products.get("bob", { after: token, wait: "300ms" })).toMatchObject({ fresh: false });
    await expect.poll(() => stuck.at(0)?.message, { timeout: 10_000 }).toMatch(/order\.teleported at order\/bob/);
  });

  test("types are registered once, in the order of their first event, also of a transaction that was rolled back in between", async () => {
    const place = newPlace();
    const log = await openLog(kind, place);
    const types = (): Promise<readonly string[]> => log.snapshot((tx) => tx.eventTypes(0));
    const append = (type: string, tx?: WriteTransaction): Promise<unknown> =>
      log.append({ stream: "s/1", expected: "any", events: [{ type, data: null }] }, tx ? { tx } : {});
    await append("s.first");
    await expect(
      log.transact(async (tx) => {
        await append("s.second", tx);
        throw new Error("no");
      }),
    ).rejects.toThrow("no");
    expect(await types()).toEqual(["s.first"]);
    await append("s.second");
    await append("s.first");
    expect(await types()).toEqual(["s.first", "s.second"]);
    expect(await log.snapshot((tx) => tx.eventTypes(1))).toEqual(["s.second"]);
    expect(await log.eventTypes()).toEqual(["s.first", "s.second"]);
  });
}
