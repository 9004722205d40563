// An older copy of a service's store, put in place by hand: its own views fit it, and the service that had followed it further
// stops and says so, on every store.
import { rmSync } from "node:fs";
import {
  accepted,
  command,
  entity,
  type Fork,
  inProcess,
  reaction,
  type Running,
  type RunningService,
  service,
  type Stuck,
  view,
} from "convergent";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { newPlace, type StoreKind, storeKinds } from "./store-kinds.ts";

const Placed = z.object({ customer: z.string() });
const order = entity("order", { initial: () => ({ placed: 0 }), events: { placed: Placed } })
  .evolve({ placed: (state) => ({ placed: state.placed + 1 }) })
  .commands({ place: command(Placed, (_, input, emit) => emit.placed(input)) });
const summary = view("order-summary", { from: [order], document: Placed, key: (event) => event.entityId }).on({
  "order.placed": (_, event) => event.data,
});
const stock = entity("stock", { initial: () => 0, events: { reserved: z.object({ order: z.string() }) } })
  .evolve({ reserved: (count) => count + 1 })
  .commands({ reserve: command(z.object({ order: z.string() }), (_, input, emit) => emit.reserved(input)) });
const reserve = reaction("reserve-stock", { from: [order], to: { stock } }).on({
  "order.placed": (event, { commands }) => [commands.stock("tea").reserve({ order: event.entityId })],
});
const ordersService = service("orders", { parts: { order, summary } });
const inventoryService = service("inventory", { parts: { stock, reserve } });

type Orders = RunningService<typeof ordersService.parts>;

async function startOrders(kind: StoreKind, place: string, forks: Fork[] = []): Promise<Orders> {
  return ordersService.start({ store: kind.driver(place), onFork: (fork) => forks.push(fork) });
}

async function startInventory(kind: StoreKind, place: string, orders: Running, stuck: Stuck[] = []): Promise<Running> {
  return inventoryService.start({ store: kind.driver(place), channels: [inProcess(orders)], onStuck: (one) => stuck.push(one) });
}

/** Orders with `o-1` and `o-2`, all applied; and a copy from when there was only `o-1`. */
async function withOlderCopy(kind: StoreKind, at: { orders: string; inventory: string }): Promise<{ lost: string }> {
  let token = "";
  for (const id of ["o-1", "o-2"]) {
    const orders = await startOrders(kind, at.orders);
    const inventory = await startInventory(kind, at.inventory, orders);
    token = String(accepted(await orders.order(id).place({ customer: "ada" })).token);
    expect(await orders.waitFor(token, "20s")).toBe(true);
    expect(await inventory.waitFor(token, "20s")).toBe(true);
    await inventory.stop();
    await orders.stop();
    if (id === "o-1") await kind.copy(at.orders);
  }
  return { lost: token };
}

describe.each(storeKinds)("$name", (kind) => {
  test.each(["its witness", "no witness"])(
    "an older copy of orders with %s beside it: views fit, tokens and followers past the fork are told",
    async (witness) => {
      const at = { orders: newPlace(), inventory: newPlace() };
      const { lost } = await withOlderCopy(kind, at);
      await kind.putBack(at.orders);
      if (witness === "no witness") rmSync(kind.witness(at.orders));
      const forks: Fork[] = [];
      const stuck: Stuck[] = [];
      const orders = await startOrders(kind, at.orders, forks);
      const inventory = await startInventory(kind, at.inventory, orders, stuck);
      try {
        expect(await orders.summary.get("o-1", { strong: true })).toMatchObject({ value: { customer: "ada" } });
        expect(await orders.summary.get("o-2", { strong: true })).toMatchObject({ value: undefined });
        await expect.poll(() => stuck.length, { timeout: 20_000 }).toBeGreaterThan(0);
        expect(stuck[0]).toMatchObject({ reader: "reserve-stock", message: expect.stringContaining("was restored") as string });
        await expect(orders.summary.get("o-2", { after: lost })).rejects.toMatchObject({ code: "token_epoch", details: { fork: 1 } });
        expect(forks).toMatchObject([{ store: "orders", fork: 1, lost: 2, epoch: { first: 2 } }]);
        const { token } = accepted(await orders.order("o-3").place({ customer: "grace" }));
        expect(await orders.summary.get("o-3", { after: String(token), wait: "20s" })).toMatchObject({ fresh: true, asOf: 2 });
        await expect(orders.summary.get("o-2", { after: lost })).rejects.toMatchObject({ code: "token_epoch" });
      } finally {
        await inventory.stop();
        await orders.stop();
      }
      const again = await startOrders(kind, at.orders, forks);
      expect(await again.summary.get("o-3", { strong: true })).toMatchObject({ value: { customer: "grace" }, fresh: true });
      await again.stop();
      expect(forks).toHaveLength(1);
    },
    60_000,
  );
});
