// Readers that are late on purpose take time and chance from the host like everything else, and keep what readers promise when
// everything else goes wrong as well.
import { createGateway } from "@convergent/server";
import { explore, simulate } from "convergent/testing";
import { expect, test } from "vitest";
import { bank, bankConserves, bankWork } from "./bank.ts";

function lateBank(circumstances: Parameters<typeof bank>[0]): ReturnType<typeof bank> {
  const made = bank(circumstances);
  const lag = { statement: "10ms..400ms", till: "200ms", settle: "0ms..1s" } as const;
  return { ...made, start: (options) => made.start({ ...options, lag }) };
}

const options = { gateway: createGateway, workload: bankWork, invariants: { "money is conserved": bankConserves } };

test("a bank whose readers are late keeps every promise, whatever fails", { timeout: 120_000 }, async () => {
  const { marks } = await explore(lateBank, {
    ...options,
    seeds: 25,
    steps: 1500,
    sometimes: ["a statement was behind", "a sending was refused"],
  });
  expect(marks["reader.committed"]).toBeGreaterThan(100);
  expect(marks["reader.checkpointed"]).toBeGreaterThan((marks["reader.committed"] ?? 0) * 1.1); // what was rolled back and run again
});

test("its seeds are runs like any other's: the same steps each time, and others than those of a bank in a hurry", async () => {
  const run = (made: typeof bank): Promise<string> => simulate(made, { ...options, seed: 5, steps: 1000 }).then(({ hash }) => hash);
  const hash = await run(lateBank);
  expect(await run(lateBank)).toBe(hash);
  expect(await run(bank)).not.toBe(hash);
});
