import { expect, test } from "vitest";
import { heldBy, type Reservations, withoutOrder, withReservation } from "./reservations.ts";

const ids = [...Array.from({ length: 2000 }, (_, index) => `o-${index}`), "__proto__", "", "0", "茶"];

test("each order holds what it reserved, and giving it back touches nobody else's", () => {
  let all: Reservations = {};
  for (const [index, order] of [...ids, ...ids].entries()) all = withReservation(all, { order, quantity: index + 1 });
  for (const [index, order] of ids.entries()) expect(heldBy(all, order)).toBe(2 * (index + 1) + ids.length);
  for (const order of ids.slice(1)) all = withoutOrder(all, order);
  expect(heldBy(all, "o-1")).toBe(0);
  expect(Object.values(all)).toEqual([
    [
      { order: "o-0", quantity: 1 },
      { order: "o-0", quantity: 1 + ids.length },
    ],
  ]);
  expect(withoutOrder(all, "o-0")).toEqual({});
  expect(withoutOrder(all, "never seen")).toEqual(all);
});
