import { accepted } from "convergent";
import { memory } from "convergent/memory";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Shop, startShop } from "../shop.ts";

let shop: Shop;
beforeEach(async () => {
  shop = await startShop({ storeOf: () => memory() });
});
afterEach(() => shop.stop());

test("an authorized amount is captured in parts, and never more than it", async () => {
  const payment = shop.payments.payment("p-1");
  await payment.authorize({ order: "o-1", amount: 1000 });
  expect(accepted(await payment.capture({ amount: 600 })).state).toMatchObject({ status: "authorized", captured: 600 });
  expect(await payment.capture({ amount: 500 })).toEqual({
    kind: "rejected",
    reason: "5.00 cannot be captured: 4.00 of 10.00 are left",
  });
  expect(accepted(await payment.capture({ amount: 400 })).state).toMatchObject({ status: "captured", captured: 1000 });
  expect(await payment.capture({ amount: 1 })).toMatchObject({ kind: "rejected" });
});

test("an amount is authorized anew only after the one before was released", async () => {
  const payment = shop.payments.payment("p-1");
  await payment.authorize({ order: "o-1", amount: 1000 });
  expect(await payment.authorize({ order: "o-1", amount: 1200 })).toMatchObject({
    kind: "rejected",
    reason: expect.stringMatching(/10\.00 are authorized/),
  });
  await payment.release({});
  expect(accepted(await payment.authorize({ order: "o-1", amount: 1200 })).state).toMatchObject({ status: "authorized", authorized: 1200 });
});

test("releasing lets go of what was held and notes what is owed back", async () => {
  const payment = shop.payments.payment("p-1");
  await payment.authorize({ order: "o-1", amount: 1000 });
  await payment.capture({ amount: 300 });
  const released = accepted(await payment.release({}));
  expect(released.events[0]?.data).toEqual({ letGo: 700, owed: 300 });
  expect(released.state).toMatchObject({ status: "released", authorized: 0, captured: 0, owed: 300 });
});

test("without an authorization there is nothing to capture and nothing to release", async () => {
  const payment = shop.payments.payment("p-1");
  expect(await payment.capture({ amount: 1 })).toMatchObject({ kind: "rejected", reason: expect.stringMatching(/nothing is authorized/) });
  expect(await payment.release({})).toMatchObject({ kind: "rejected", reason: expect.stringMatching(/nothing is authorized/) });
  await payment.authorize({ order: "o-1", amount: 1000 });
  await payment.release({});
  expect(await payment.capture({ amount: 1 })).toMatchObject({ kind: "rejected" });
  expect(await payment.release({})).toMatchObject({ kind: "rejected" });
});

test("an amendment gives back what it captured itself, once, and nothing after the payment was released", async () => {
  const payment = shop.payments.payment("o-1");
  await payment.authorize({ order: "o-1", amount: 1000 });
  await payment.captureDifference({ amendment: "o-1:a", amount: 200 });
  await payment.captureDifference({ amendment: "o-1:b", amount: 300 });
  expect(accepted(await payment.refundDifference({ amendment: "o-1:a" })).state).toMatchObject({ authorized: 1300, captured: 300 });
  expect(accepted(await payment.refundDifference({ amendment: "o-1:a" })).events).toEqual([]);
  expect(accepted(await payment.release({})).state).toEqual({ status: "released", order: "o-1", authorized: 0, captured: 0, owed: 300 });
  expect(accepted(await payment.refundDifference({ amendment: "o-1:b" })).events).toEqual([]);
  expect(await payment.captureDifference({ amendment: "o-1:c", amount: 1 })).toMatchObject({ kind: "rejected" });
});
