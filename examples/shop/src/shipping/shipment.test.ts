import { accepted } from "convergent";
import { memory } from "convergent/memory";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Shop, startShop } from "../shop.ts";

const items = [{ product: "tea", quantity: 2 }];
let shop: Shop;
beforeEach(async () => {
  shop = await startShop({ storeOf: () => memory() });
});
afterEach(() => shop.stop());

test("a shipment waits for its address and takes every later one", async () => {
  const shipment = shop.shipping.shipment("o-1");
  expect(accepted(await shipment.prepare({ order: "o-1", items }))).toMatchObject({ state: { status: "preparing" }, pending: ["address"] });
  expect(accepted(await shipment.update({ order: "o-1", address: "1 Hill Road" }))).toMatchObject({ pending: [] });
  expect(accepted(await shipment.update({ order: "o-1", address: "2 Hill Road" })).state).toEqual({
    status: "preparing",
    order: "o-1",
    items,
    address: "2 Hill Road",
  });
});

test("the address may come before the order does", async () => {
  const shipment = shop.shipping.shipment("o-1");
  await shipment.update({ order: "o-1", address: "1 Hill Road" });
  expect(accepted(await shipment.prepare({ order: "o-1", items })).state).toMatchObject({ items, address: "1 Hill Road" });
});

test("a stopped shipment takes nothing any more", async () => {
  const shipment = shop.shipping.shipment("o-1");
  await shipment.prepare({ order: "o-1", items });
  expect(accepted(await shipment.stop({ order: "o-1", reason: "cancelled" }))).toMatchObject({ state: { status: "stopped" }, pending: [] });
  expect(await shipment.update({ order: "o-1", address: "1 Hill Road" })).toMatchObject({
    kind: "rejected",
    reason: expect.stringMatching(/was cancelled/),
  });
});

test("an amendment that is undone hands what was before it to the one above it; what the order says counts for good", async () => {
  const shipment = shop.shipping.shipment("o-1");
  const of = (quantity: number) => [{ product: "tea", quantity }];
  await shipment.prepare({ order: "o-1", items });
  await shipment.amend({ order: "o-1", amendment: "o-1:a", items: of(3) });
  await shipment.amend({ order: "o-1", amendment: "o-1:b", items: of(4) });
  expect(accepted(await shipment.putBack({ order: "o-1", amendment: "o-1:a" })).state.items).toEqual(of(4));
  expect(accepted(await shipment.putBack({ order: "o-1", amendment: "o-1:a" })).events).toEqual([]);
  expect(accepted(await shipment.putBack({ order: "o-1", amendment: "o-1:b" })).state).toEqual({
    status: "preparing",
    order: "o-1",
    items,
  });
  await shipment.amend({ order: "o-1", amendment: "o-1:c", items: of(5) });
  await shipment.prepare({ order: "o-1", items: of(6) });
  expect(accepted(await shipment.putBack({ order: "o-1", amendment: "o-1:c" })).state.items).toEqual(of(6));
});
