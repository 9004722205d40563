// docs/simulation.md names every kind of fault there is, and none that is not.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { faultKinds } from "convergent/testing";
import { expect, test } from "vitest";

const page = readFileSync(join(import.meta.dirname, "../../docs/simulation.md"), "utf8");

test("the page has a line for every kind of fault, in their order", () => {
  const [, table = ""] = /^\| Kind \| What happens \|\n\| --- \| --- \|\n((?:\|.*\n)+)/m.exec(page) ?? [];
  expect([...table.matchAll(/^\| `([^`]+)` \| \S/gm)].map(([, kind]) => kind)).toEqual(Object.keys(faultKinds));
});
