import { expect, test } from "vitest";
import { StateCache } from "./state-cache.ts";

test("of a long stream the newest states are kept at regular versions, of a short one the present state only", () => {
  const cache = new StateCache();
  for (let version = 1; version <= 3000; version++) cache.keep("long", { version, state: version });
  for (let version = 1; version <= 200; version++) cache.keep("short", { version, state: version });
  expect(cache.before("long", 3000)).toEqual({ version: 3000, state: 3000 });
  expect(cache.before("long", 2999)?.version).toBe(2944);
  expect(cache.before("long", 2944)?.version).toBe(2944);
  expect(cache.before("long", 1984)?.version).toBe(1984);
  expect(cache.before("long", 1983)).toBeUndefined(); // sixteen of them, 64 versions apart
  expect(cache.before("short", 199)).toBeUndefined();
  expect(cache.before("short", 200)?.version).toBe(200);
});

test("states passed in any order are found by version, and the same version once", () => {
  const cache = new StateCache();
  for (const version of [640, 320, 512, 320]) cache.pass("s", { version, state: version });
  expect([700, 639, 400, 319].map((version) => cache.before("s", version)?.version)).toEqual([640, 512, 320, undefined]);
});

test("the least recently used state goes first", () => {
  const cache = new StateCache(2);
  cache.keep("a", { version: 1, state: "a" });
  cache.keep("b", { version: 1, state: "b" });
  cache.get("a");
  cache.keep("c", { version: 1, state: "c" });
  expect([cache.get("a"), cache.get("b"), cache.get("c")].map((known) => known?.state)).toEqual(["a", undefined, "c"]);
});
