import { accepted, type Refusal, runtimeOf } from "convergent";
import { memory } from "convergent/memory";
import { afterEach, beforeEach, expect, test } from "vitest";
import { servicesOf, type Shop, startShop } from "./shop.ts";

const lines = [
  { product: "tea", quantity: 2, price: 450 },
  { product: "teapot", quantity: 1, price: 3900 },
];
let shop: Shop;
let refusals: Refusal[];
beforeEach(async () => {
  refusals = [];
  shop = await startShop({ storeOf: () => memory(), onRefusal: (refusal) => refusals.push(refusal) });
});
afterEach(() => shop.stop());

/** Every service has what the token of an order names, and what that caused. */
async function arrived(token: Parameters<Shop["orders"]["waitFor"]>[0]): Promise<void> {
  for (const service of [shop.inventory, shop.payments, shop.shipping]) expect(await service.waitFor(token, "5s")).toBe(true);
}

async function available(product: string): Promise<unknown> {
  return (await shop.inventory.availability.get(product, { strong: true })).value;
}

test("a placed order reserves stock, authorizes the payment and prepares the shipment", async () => {
  await shop.inventory.stock("tea").receive({ quantity: 10 });
  const { token } = accepted(await shop.orders.order("o-1").place({ customer: "ada", lines }));
  const reading = await shop.inventory.availability.get("tea", { after: token, wait: "5s" });
  expect(reading).toMatchObject({ value: { onHand: 10, reserved: 2, available: 8 }, fresh: true });
  await arrived(token);
  expect(await available("teapot")).toMatchObject({ onHand: 0, available: 0, backordered: 1 });
  expect((await shop.payments.payment.state("o-1")).state).toMatchObject({ status: "authorized", authorized: 4800 });
  expect((await shop.shipping.shipment.state("o-1")).state).toMatchObject({
    status: "preparing",
    items: [{ product: "tea", quantity: 2 }, {}],
  });
});

test("an amended order gives back what it no longer needs and holds the new amount", async () => {
  await shop.inventory.stock("tea").receive({ quantity: 3 });
  await shop.orders.order("o-1").place({ customer: "ada", lines });
  const { token } = accepted(await shop.orders.order("o-1").amend({ lines: [{ product: "tea", quantity: 3, price: 450 }] }));
  await arrived(token);
  expect(await available("tea")).toMatchObject({ reserved: 3, available: 0, backordered: 0 });
  expect(await available("teapot")).toMatchObject({ reserved: 0, backordered: 0 });
  expect((await shop.payments.payment.state("o-1")).state).toMatchObject({ status: "authorized", authorized: 1350, owed: 0 });
  expect((await shop.shipping.shipment.state("o-1")).state).toMatchObject({ items: [{ product: "tea", quantity: 3 }] });
});

test("a cancelled order releases stock and payment and stops the shipment", async () => {
  await shop.inventory.stock("tea").receive({ quantity: 3 });
  await shop.orders.order("o-1").place({ customer: "ada", lines });
  const { token } = accepted(await shop.orders.order("o-1").cancel({ reason: "changed my mind" }));
  await arrived(token);
  expect(await available("tea")).toMatchObject({ onHand: 3, reserved: 0, available: 3 });
  expect((await shop.payments.payment.state("o-1")).state).toMatchObject({ status: "released", owed: 0 });
  expect((await shop.shipping.shipment.state("o-1")).state).toMatchObject({ status: "stopped" });
  expect(refusals).toEqual([]);
});

test("money that was captured before the order was cancelled is owed back", async () => {
  const placed = accepted(await shop.orders.order("o-1").place({ customer: "ada", lines }));
  await arrived(placed.token);
  await shop.payments.payment("o-1").capture({ amount: 4800 });
  await arrived(accepted(await shop.orders.order("o-1").cancel({ reason: "broken" })).token);
  expect((await shop.payments.payment.state("o-1")).state).toMatchObject({ status: "released", owed: 4800 });
});

test("what was done by hand before is told, and holds up nothing", async () => {
  const placed = accepted(await shop.orders.order("o-1").place({ customer: "ada", lines }));
  await arrived(placed.token);
  await shop.payments.payment("o-1").release({});
  await arrived(accepted(await shop.orders.order("o-1").cancel({ reason: "broken" })).token);
  expect(refusals).toEqual([
    expect.objectContaining({ entity: "payment", command: "release", reason: expect.stringMatching(/nothing is authorized/) }),
  ]);
});

test("an order as odd as its schema allows is one that every service can take in", async () => {
  const product = "茶 \u200d🫖".padEnd(200, "…");
  const odd = [
    { product, quantity: 100_000, price: 100_000_000 },
    { product, quantity: 1, price: 0 },
    { product: "__proto__", quantity: 1, price: 0 },
  ];
  const id = `__proto__/?#%\n${"x".repeat(498)}`;
  expect(id).toHaveLength(512);
  await shop.orders.order(id).place({ customer: "constructor", lines: odd });
  await shop.orders.order(id).amend({ lines: odd.slice(2) });
  const { token } = accepted(await shop.orders.order(id).cancel({ reason: "!" }));
  await arrived(token);
  expect(await shop.desk.waitFor(token, "5s")).toBe(true);
  expect(await available(product)).toMatchObject({ reserved: 0 });
  expect(await available("__proto__")).toMatchObject({ reserved: 0 });
  for (const service of servicesOf(shop))
    for (const reader of runtimeOf(service).readers()) expect((await reader.status()).failure).toBeUndefined();
});
