import { accepted } from "convergent";
import { memory } from "convergent/memory";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Shop, startShop } from "../shop.ts";

let shop: Shop;
beforeEach(async () => {
  shop = await startShop({ storeOf: () => memory() });
});
afterEach(() => shop.stop());

test("goods are received, reserved and released, and availability counts them", async () => {
  const tea = shop.inventory.stock("tea");
  await tea.receive({ quantity: 10 });
  await tea.reserve({ order: "o-1", quantity: 2 });
  await tea.reserve({ order: "o-2", quantity: 3 });
  await tea.reserve({ order: "o-1", quantity: 1 });
  const released = accepted(await tea.release({ order: "o-1" }));
  expect(released.events[0]).toMatchObject({ type: "stock.released", data: { order: "o-1", quantity: 3 } });
  expect(released.state).toMatchObject({ onHand: 10, reserved: 3 });
  expect(Object.values(released.state.reservations)).toEqual([[{ order: "o-2", quantity: 3 }]]);
  expect((await shop.inventory.availability.get("tea", { after: released.token })).value).toEqual({
    product: "tea",
    onHand: 10,
    reserved: 3,
    available: 7,
    backordered: 0,
  });
});

test("more than there is is refused, and the refusal says how much there is", async () => {
  await shop.inventory.stock("tea").receive({ quantity: 3 });
  await shop.inventory.stock("tea").reserve({ order: "o-1", quantity: 2 });
  expect(await shop.inventory.stock("tea").reserve({ order: "o-2", quantity: 2 })).toEqual({
    kind: "rejected",
    reason: "2 were asked for and 1 are available",
  });
});

test("of many who want the last one at once, one gets it", async () => {
  await shop.inventory.stock("teapot").receive({ quantity: 1 });
  const outcomes = await Promise.all(
    Array.from({ length: 20 }, (_, index) => shop.inventory.stock("teapot").reserve({ order: `o-${index}`, quantity: 1 })),
  );
  expect(outcomes.filter(({ kind }) => kind === "accepted")).toHaveLength(1);
});

test("a backorder is promised, seen in availability, and kept by the goods that come", async () => {
  await shop.inventory.stock("tea").receive({ quantity: 1 });
  const promised = accepted(await shop.inventory.stock("tea").reserve({ order: "o-1", quantity: 4, backorder: true }));
  expect((await shop.inventory.availability.get("tea", { after: promised.token })).value).toMatchObject({ available: 0, backordered: 3 });
  expect(await shop.inventory.stock("tea").reserve({ order: "o-2", quantity: 1 })).toMatchObject({
    reason: expect.stringMatching(/0 are available/),
  });
  const received = accepted(await shop.inventory.stock("tea").receive({ quantity: 5 }));
  expect((await shop.inventory.availability.get("tea", { after: received.token })).value).toMatchObject({ available: 2, backordered: 0 });
});

test("who reserved nothing has nothing to release", async () => {
  expect(await shop.inventory.stock("tea").release({ order: "o-1" })).toEqual({
    kind: "rejected",
    reason: 'nothing is reserved for order "o-1"',
  });
});
