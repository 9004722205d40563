import { expect, test } from "vitest";
import { Versions } from "./versions.ts";

const order = { service: "orders", name: "order", id: "o-1" };

test("the four forms of expected become conditions", () => {
  const versions = new Versions();
  versions.learn(order, '"e1.4"');
  expect(versions.condition(order, "any")).toEqual({});
  expect(versions.condition(order, "some")).toEqual({ "if-match": "*" });
  expect(versions.condition(order, "none")).toEqual({ "if-none-match": "*" });
  expect(versions.condition(order, 0)).toEqual({ "if-none-match": "*" });
  expect(versions.condition(order, 4)).toEqual({ "if-match": '"e1.4"' });
});

test("a version carries the epoch it was seen in, also after the store was restored", () => {
  const versions = new Versions();
  versions.learn(order, '"e1.4"');
  versions.learn(order, '"e2.3"');
  expect(versions.condition(order, 4)).toEqual({ "if-match": '"e1.4"' });
  expect(versions.condition(order, 3)).toEqual({ "if-match": '"e2.3"' });
  versions.learn(order, '"e2.4"');
  expect(versions.condition(order, 4)).toEqual({ "if-match": '"e2.4"' });
});

test("a version that was never seen carries the newest epoch of its service; without one the entity must be asked", () => {
  const versions = new Versions();
  expect(versions.condition(order, 4)).toBeUndefined();
  versions.learn({ ...order, id: "o-2" }, 'W/"e1.9"');
  expect(versions.condition(order, 4)).toEqual({ "if-match": '"e1.4"' });
  expect(versions.condition({ ...order, service: "inventory" }, 4)).toBeUndefined();
});

test("a version that can be none is refused before anything is sent", () => {
  const versions = new Versions();
  for (const expected of [-1, 1.5, Number.NaN]) expect(() => versions.condition(order, expected)).toThrow("a version from 0 on");
});

test("what is remembered is bounded", () => {
  const versions = new Versions();
  versions.learn(order, '"old.1"');
  for (let index = 0; index < 1000; index++) versions.learn({ ...order, id: `x-${index}` }, '"new.1"');
  expect(versions.condition(order, 1)).toEqual({ "if-match": '"new.1"' });
});

test("something that is no tag of an entity teaches nothing", () => {
  const versions = new Versions();
  for (const etag of [undefined, "", "4", '"4"', '"e1.x"']) versions.learn(order, etag);
  expect(versions.condition(order, 4)).toBeUndefined();
});
