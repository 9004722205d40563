// The judge of transfers sees what is wrong: histories by hand, a sound one and one for each thing that it must object to.
import { type Log, Log as LogClass, streamOf } from "convergent";
import { memory } from "convergent/memory";
import { expect, test } from "vitest";
import { violations } from "./judge.ts";
import { accounts, opening } from "./transfers.ts";

type Line = readonly [stream: string, type: string, data: object, cause?: string];

const opened: readonly Line[] = accounts.map((id) => [streamOf("account", id), "account.opened", { amount: opening }]);
const of = (name: string, data: object = {}): Line => ["transfer/t-1", `transfer.${name}`, data];
/** The deposit is a saga of its own, which the transfer has as a step. */
const moved = (type: string, step: string, amount = 5): Line => {
  const cause = step.startsWith("deposit") ? `posting/transfer/t-1/deposit/${step}` : `transfer/t-1/${step}`;
  return ["account/a-0", `account.${type}`, { amount }, cause];
};
const step = (name: string): object => ({ step: name });

const done: readonly Line[] = [
  of("started"),
  of("begun", step("withdraw")),
  moved("withdrawn", "withdraw"),
  of("done", step("withdraw")),
  of("begun", step("deposit")),
  moved("deposited", "deposit"),
  of("done", step("deposit")),
  of("completed"),
];
const undone: readonly Line[] = [
  ...done.slice(0, -1),
  of("undoing"),
  moved("withdrawn", "deposit/undo"),
  of("undone", step("deposit")),
  moved("deposited", "withdraw/undo"),
  of("undone", step("withdraw")),
  of("compensated"),
];
const without = (lines: readonly Line[], ...indexes: readonly number[]): Line[] => lines.filter((_, index) => !indexes.includes(index));

async function judged(lines: readonly Line[], started = ["t-1"]): Promise<string[]> {
  const log: Log = await LogClass.open(memory(), "orders");
  for (const [stream, type, data, cause] of [...opened, ...lines])
    await log.append({ stream, expected: "any", events: [{ type, data }], metadata: cause === undefined ? {} : { cause } });
  const { events } = await log.read({ after: 0 as never, limit: 1000 });
  await log.close();
  return violations(events, started);
}

test.each([
  ["one that completed", done],
  ["one that was undone", undone],
])("%s is sound", async (_, lines) => {
  expect(await judged(lines)).toEqual([]);
});

test.each<readonly [string, readonly Line[], RegExp]>([
  ["an acknowledged one is lost", [], /t-1: acknowledged, and not there/],
  ["it has no end", done.slice(0, -1), /0 ends/],
  ["it has two ends", [...done, of("compensated")], /2 ends/],
  ["something follows the end", [...done, of("taken")], /1 ends, the last of its events is transfer\.taken/],
  ["it is parked", [...done.slice(0, -1), of("parked")], /parked/],
  ["a step is done twice", [...done.slice(0, 4), of("done", step("withdraw")), ...done.slice(4)], /a step was done twice/],
  ["a step takes effect twice", [...done.slice(0, 3), moved("withdrawn", "withdraw"), ...done.slice(3)], /"withdraw" took effect 2 times/],
  ["money is gone", without(done, 5), /money: /],
  ["it completed without a step's effect", without(done, 2, 5), /completed, with "withdraw" 0 times/],
  ["an undo has no effect", without(undone, 8, 10), /compensated, with "withdraw" 1 times and its undo 0 times/],
  [
    "it is undone in the order in which it was done",
    [...undone.slice(0, 8), undone[11] as Line, undone[9] as Line, undone[8] as Line, undone[10] as Line, of("compensated")],
    /another order than reverse/,
  ],
])("it is seen that %s", async (_, lines, what) => {
  expect(await judged(lines)).toEqual(expect.arrayContaining([expect.stringMatching(what)]));
});
