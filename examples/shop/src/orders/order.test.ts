import { accepted, runtimeOf } from "convergent";
import { memory } from "convergent/memory";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Shop, startShop } from "../shop.ts";

const lines = [
  { product: "teapot", quantity: 1, price: 3900 },
  { product: "tea", quantity: 2, price: 450 },
];
let shop: Shop;
beforeEach(async () => {
  shop = await startShop({ storeOf: () => memory() });
});
afterEach(() => shop.stop());

test("a placed order answers with its state, its total in cents, and what is still to come", async () => {
  const placed = accepted(await shop.orders.order("o-1").place({ customer: "ada", lines }));
  expect(placed).toMatchObject({ version: 1, pending: ["returnCode"] });
  expect(placed.state).toEqual({ status: "placed", customer: "ada", lines, total: 4800 });
});

test("an order is placed once", async () => {
  await shop.orders.order("o-1").place({ customer: "ada", lines });
  expect(await shop.orders.order("o-1").place({ customer: "bob", lines })).toEqual({
    kind: "rejected",
    reason: "this order was placed before",
  });
});

test("an order that was never placed can be neither amended nor cancelled", async () => {
  expect(await shop.orders.order("o-1").amend({ lines })).toMatchObject({
    kind: "rejected",
    reason: expect.stringMatching(/never placed/),
  });
  expect(await shop.orders.order("o-1").cancel({ reason: "too late" })).toMatchObject({
    kind: "rejected",
    reason: expect.stringMatching(/never placed/),
  });
});

test("a cancelled order stays as it is, and the refusal says why", async () => {
  await shop.orders.order("o-1").place({ customer: "ada", lines });
  const cancelled = accepted(await shop.orders.order("o-1").cancel({ reason: "found it cheaper" }));
  expect(cancelled).toMatchObject({ state: { status: "cancelled", reason: "found it cheaper" }, pending: [] });
  expect(await shop.orders.order("o-1").amend({ lines })).toMatchObject({
    kind: "rejected",
    reason: expect.stringMatching(/found it cheaper/),
  });
  expect(await shop.orders.order("o-1").cancel({ reason: "again" })).toMatchObject({
    kind: "rejected",
    reason: expect.stringMatching(/cancelled before/),
  });
});

test("an amendment made from an old copy is a conflict that shows the present state", async () => {
  await shop.orders.order("o-1").place({ customer: "ada", lines });
  accepted(await shop.orders.order("o-1").amend({ lines: lines.slice(0, 1) }, { expected: 1 }));
  expect(await shop.orders.order("o-1").amend({ lines }, { expected: 1, onConflict: "reject" })).toMatchObject({
    kind: "conflict",
    version: 2,
    state: { total: 3900 },
    fields: [{ field: "lines", base: lines, theirs: lines.slice(0, 1) }],
  });
});

test("amendments of different products and details are merged, and what is left out stays as the others made it", async () => {
  const withQuantities = (...quantities: number[]) => lines.map((line, index) => ({ ...line, quantity: quantities[index] ?? 0 }));
  await shop.orders.order("o-1").place({ customer: "ada", lines });
  await shop.orders.order("o-1").amend({ lines: withQuantities(5, 2), address: "1 Hill Road" }, { expected: 1 });
  const merged = accepted(await shop.orders.order("o-1").amend({ lines: withQuantities(1, 7) }, { expected: 1 }));
  expect(merged.state).toMatchObject({ lines: withQuantities(5, 7), address: "1 Hill Road" });
  const noted = accepted(await shop.orders.order("o-1").amend({ note: "ring twice" }, { expected: 1 }));
  expect(noted.state).toMatchObject({ lines: withQuantities(5, 7), address: "1 Hill Road", note: "ring twice" });
});

test("two who change one quantity, or one address, have to choose", async () => {
  await shop.orders.order("o-1").place({ customer: "ada", lines, address: "1 Hill Road" });
  const twice = [lines[0], { product: "tea", quantity: 4, price: 450 }].flatMap((line) => line ?? []);
  const thrice = [lines[0], { product: "tea", quantity: 6, price: 450 }].flatMap((line) => line ?? []);
  await shop.orders.order("o-1").amend({ lines: twice, address: "2 Hill Road" }, { expected: 1 });
  expect(await shop.orders.order("o-1").amend({ lines: thrice, address: "3 Hill Road" }, { expected: 1 })).toMatchObject({
    kind: "conflict",
    mergeable: true,
    fields: [
      { field: "lines", theirs: twice, ours: thrice, conflicting: true },
      { field: "address", base: "1 Hill Road", theirs: "2 Hill Road", ours: "3 Hill Road", conflicting: true },
    ],
  });
});

test("an amendment changes what it names, and an address moves neither stock nor money", async () => {
  await shop.orders.order("o-1").place({ customer: "ada", lines, note: "ring twice" });
  const addressed = accepted(await shop.orders.order("o-1").amend({ lines, address: "1 Hill Road", note: "ring twice" }));
  expect(addressed.events.map(({ type }) => type)).toEqual(["order.detailed"]);
  expect(addressed.state).toMatchObject({ lines, address: "1 Hill Road", note: "ring twice" });
  const both = accepted(await shop.orders.order("o-1").amend({ lines: lines.slice(1), note: "" }));
  expect(both.events.map(({ type, data }) => [type, data])).toEqual([
    ["order.amended", { customer: "ada", lines: lines.slice(1), before: lines }],
    ["order.detailed", { customer: "ada", note: "" }],
  ]);
  expect(both.state).toMatchObject({ total: 900, address: "1 Hill Road", note: "" });
  expect(accepted(await shop.orders.order("o-1").amend({ note: "" })).events).toEqual([]);
  const { token } = both;
  expect(await shop.shipping.waitFor(token, "5s")).toBe(true);
  expect((await shop.shipping.shipment.state("o-1")).state).toMatchObject({ address: "1 Hill Road" });
});

test("a return is asked for once, and its code is pending until the system has issued it", async () => {
  const [issuing] = runtimeOf(shop.orders)
    .readers()
    .filter(({ name }) => name === "issue-return-code");
  issuing?.pause();
  await shop.orders.order("o-1").place({ customer: "ada", lines });
  const asked = accepted(await shop.orders.orderReturn("o-1").request({ reason: "too heavy" }));
  expect(asked).toMatchObject({ state: { code: "", reason: "too heavy" }, pending: ["returnCode"] });
  expect(await shop.orders.orderReturn("o-1").request({ reason: "too light" })).toMatchObject({ kind: "rejected" });
  issuing?.resume();
  await expect
    .poll(async () => (await shop.orders.orderSummary.get("o-1")).value)
    .toMatchObject({ returning: true, returnCode: expect.stringMatching(/^R-/) });
  expect(await shop.orders.orderReturn.state("o-1")).toMatchObject({ pending: [] });
});

test.each([
  ["no lines", { customer: "ada", lines: [] }],
  ["a fraction of a cent", { customer: "ada", lines: [{ product: "tea", quantity: 1, price: 4.5 }] }],
  ["a price below nothing", { customer: "ada", lines: [{ product: "tea", quantity: 1, price: -1 }] }],
  ["no piece at all", { customer: "ada", lines: [{ product: "tea", quantity: 0, price: 450 }] }],
  ["a product without a name", { customer: "ada", lines: [{ product: "", quantity: 1, price: 450 }] }],
  ["a control character", { customer: "a\u0000da", lines }],
  ["half of a surrogate pair", { customer: "\ud800", lines }],
])("an order with %s is no order", async (_, input) => {
  await expect(shop.orders.order("o-1").place(input)).rejects.toMatchObject({ code: "invalid_input" });
});

test("the return code comes a little later and leaves the order's version alone", async () => {
  const { token } = accepted(await shop.orders.order("o-1").place({ customer: "ada", lines }));
  await shop.orders.waitFor(token);
  await expect
    .poll(async () => (await shop.orders.orderSummary.get("o-1")).value)
    .toEqual({
      order: "o-1",
      customer: "ada",
      status: "placed",
      total: 4800,
      placedAt: expect.any(Number),
      lines,
      returnCode: expect.stringMatching(/^R-\w{4}-\w{4}$/),
    });
  expect((await shop.orders.order.state("o-1")).version).toBe(1);
});

test("the orders of a customer are gathered in one document, as they were placed, amended and cancelled", async () => {
  await shop.orders.order("o-1").place({ customer: "ada", lines });
  await shop.orders.order("o-2").place({ customer: "ada", lines });
  await shop.orders.order("o-3").place({ customer: "bob", lines });
  await shop.orders.order("o-1").amend({ lines: lines.slice(1) });
  const { token } = accepted(await shop.orders.order("o-2").cancel({ reason: "changed my mind" }));
  expect((await shop.orders.customerOrders.get("ada", { after: token })).value).toEqual({
    customer: "ada",
    orders: [
      { order: "o-1", status: "placed", total: 900 },
      { order: "o-2", status: "cancelled", total: 4800 },
    ],
  });
});

test("summaries are found by customer and by status", async () => {
  await shop.orders.order("o-1").place({ customer: "ada", lines });
  await shop.orders.order("o-2").place({ customer: "bob", lines });
  const { token } = accepted(await shop.orders.order("o-2").cancel({ reason: "changed my mind" }));
  const keys = async (where: { customer?: string; status?: "placed" | "cancelled" }): Promise<string[]> =>
    (await shop.orders.orderSummary.find(where, { after: token })).value.map(({ key }) => key);
  expect(await keys({ customer: "ada" })).toEqual(["o-1"]);
  expect(await keys({ status: "cancelled" })).toEqual(["o-2"]);
});
