import { expect, test } from "vitest";
import { z } from "zod";
import { event } from "../log/event-definition.ts";
import { entity } from "./entity.ts";
import { fixtureProblems } from "./fixtures.ts";

const cart = entity("cart", {
  initial: () => 0,
  events: {
    filled: event(z.object({ items: z.array(z.string()) }), {
      upcast: [
        ({ item }: { item?: string }) => {
          if (item === "boom") throw new Error("not this one");
          return { items: item as unknown as string[] };
        },
      ],
    }),
    emptied: z.object({}),
  },
})
  .evolve({ filled: (state) => state, emptied: (state) => state })
  .commands({});

const complete = { filled: { 2: [{ items: [] }] }, emptied: { 1: [{}] } };

test("a version without a fixture, and a fixture without a version, are both problems", async () => {
  expect(await fixtureProblems(cart, { ...complete, filled: { 2: [{ items: [] }], 3: [{}] }, lost: { 1: [{}] } })).toEqual([
    "cart.filled has no fixture of version 1",
    "cart.filled has a fixture of version 3, and its versions are 1 to 2",
    'cart has no event "lost", and a fixture of it',
    expect.stringMatching(/fixture 1 of cart\.filled in version 3: .*event_unknown|knows versions up to 2/),
  ]);
});

test("an upcaster that throws, or whose result does not meet the present schema, is a problem of that fixture", async () => {
  expect(await fixtureProblems(cart, { ...complete, filled: { ...complete.filled, 1: [{ item: "boom" }, { item: "tea" }] } })).toEqual([
    expect.stringMatching(/^fixture 1 of cart\.filled in version 1: .*not this one/),
    expect.stringMatching(/^fixture 2 of cart\.filled in version 1 does not meet its schema: items/),
  ]);
});
