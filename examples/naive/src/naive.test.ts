// Each mistake is found in so many seeds, and gone from the right version in as many.
import { expect, test } from "vitest";
import { naiveCharges, rightCharges } from "./charges.ts";
import { naivePrices, rightPrices } from "./prices.ts";
import { naiveTickets, rightTickets } from "./tickets.ts";

const seeds = 30;

test.for([
  { name: "a sale that is computed from a view", naive: naiveTickets, breaks: /no sale is lost: .*seats are sold, and \d+ are left/ },
  { name: "a charge without an id", naive: naiveCharges, breaks: /each order is paid once: .*order-\d+ was charged \d+ times/ },
  { name: "a cache that takes an old price", naive: naivePrices, breaks: /the cache has the present prices: .*and \d+ in the cache/ },
])("$name is found, and told with its seed and a trace", { timeout: 120_000 }, async ({ naive, breaks }) => {
  const failure = await naive(seeds).then(
    () => "nothing was found",
    (error: unknown) => (error as Error).message,
  );
  expect(failure).toMatch(/^seed \d+ of .* breaks what must hold:/);
  expect(failure).toMatch(breaks);
  expect(failure).toMatch(/ms {2}client-\d is answered/);
});

test.for([
  { name: "a sale that the command decides on", right: rightTickets },
  { name: "a charge that the provider can recognise", right: rightCharges },
  { name: "a cache that refuses what was read before its price was taken out", right: rightPrices },
])("$name holds", { timeout: 120_000 }, async ({ right }) => {
  expect(await right(seeds)).toMatchObject({ seeds });
});
