import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { memory } from "../stores/memory/index.ts";
import { sqlite } from "../stores/sqlite/index.ts";
import { position } from "../position/position.ts";
import { Log } from "./log.ts";

async function openLog(): Promise<Log> {
  return Log.open(memory(), "orders");
}

async function append(log: Log, ...types: readonly string[]): Promise<void> {
  await log.append({ stream: "order/o-1", expected: "any", events: types.map((type) => ({ type: `order.${type}`, data: {} })) });
}

test("a route is woken for what it wants and for nothing else, and is quiet up to the event before that", async () => {
  const log = await openLog();
  let woken = 0;
  const route = log.follow({ types: ["order.paid"] }, () => woken++);
  await append(log, "placed", "placed");
  expect(woken).toBe(0);
  expect(route.quiet(position(0))).toBe(2);
  await append(log, "placed", "paid", "placed");
  expect(woken).toBe(1);
  expect(route.quiet(position(2))).toBe(3);
  expect(route.quiet(position(4))).toBe(5);
  route.stop();
  await append(log, "placed", "paid");
  expect(woken).toBe(1);
  expect(route.quiet(position(5))).toBe(5);
  await log.close();
});

test("what came before a route began is not called quiet", async () => {
  const log = await openLog();
  await append(log, "paid", "paid");
  const route = log.follow({ types: ["order.paid"] }, () => undefined);
  expect(route.quiet(position(0))).toBe(0);
  expect(route.quiet(position(1))).toBe(1);
  await append(log, "placed");
  expect(route.quiet(position(2))).toBe(3);
  await log.close();
});

test("more wanted events than are remembered leave no gap that looks quiet", async () => {
  const log = await openLog();
  const route = log.follow({ types: ["order.paid"] }, () => undefined);
  for (let round = 0; round < 10; round++)
    await append(log, ...Array.from({ length: 100 }, (_, index) => (index % 2 === 0 ? "paid" : "placed")));
  for (let after = 0; after < 1000; after++) {
    const next = after % 2 === 0 ? after + 1 : after + 2; // the wanted event behind it
    expect(route.quiet(position(after))).toBeLessThan(Math.max(next, after + 1));
  }
  expect(route.quiet(position(999))).toBe(1000);
  await append(log, "placed", "paid");
  expect(route.quiet(position(1000))).toBe(1001);
  await log.close();
});

test("a reader that goes back behind what it has passed is told nothing of the way", async () => {
  const log = await openLog();
  const route = log.follow({ types: ["order.paid"] }, () => undefined);
  await append(log, "placed", "paid", "placed", "placed");
  expect(route.quiet(position(2))).toBe(4);
  await append(log, "placed", "paid");
  expect(route.quiet(position(4))).toBe(5);
  expect(route.quiet(position(1))).toBe(1);
  expect(route.quiet(position(6))).toBe(6);
  await append(log, "placed", "paid");
  expect(route.quiet(position(5))).toBe(5);
  await log.close();
});

test("a commit without events is heard by listeners, who may learn by it what this log has seen of others, and wakes no route", async () => {
  const log = await openLog();
  let heard = 0;
  let woken = 0;
  log.onAdvance(() => heard++);
  log.follow({}, () => woken++);
  await log.transact((tx) => tx.saveDocuments([{ view: "v", version: 1, key: "k", document: "{}", indexes: [] }]), { derived: true });
  expect([heard, woken]).toEqual([1, 0]);
  await log.close();
});

test("what others append is looked at once their commit is told: a route wakes for what it wants and is quiet past the rest", async () => {
  const directory = mkdtempSync(join(tmpdir(), "convergent-followers-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const file = join(directory, "orders.db");
  const [here, elsewhere] = [await Log.open(sqlite(file), "orders"), await Log.open(sqlite(file), "orders")];
  let woken = 0;
  let told = 0;
  const route = here.follow({ types: ["order.paid"] }, () => woken++);
  route.tell(() => ++told > 0);
  await append(elsewhere, "placed", "placed");
  await expect.poll(() => route.quiet(position(0))).toBe(2);
  expect(woken).toBe(0);
  expect(told).toBeGreaterThan(0);
  await append(elsewhere, "placed", "paid");
  await expect.poll(() => woken).toBe(1);
  expect(route.quiet(position(2))).toBe(3);
  await append(here, "placed");
  await expect.poll(() => route.quiet(position(4))).toBe(5);
  await here.close();
  await elsewhere.close();
});

test("more events of others than are looked at wake every route, and nothing of them is called quiet", async () => {
  const directory = mkdtempSync(join(tmpdir(), "convergent-followers-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const file = join(directory, "orders.db");
  const [here, elsewhere] = [await Log.open(sqlite(file), "orders"), await Log.open(sqlite(file), "orders")];
  let woken = 0;
  const route = here.follow({ types: ["order.paid"] }, () => woken++);
  await append(elsewhere, ...Array.from({ length: 5000 }, () => "placed"));
  await expect.poll(() => woken).toBe(1);
  expect(route.quiet(position(0))).toBe(0);
  expect(route.quiet(position(4999))).toBe(4999);
  await append(here, "placed");
  expect(route.quiet(position(5000))).toBe(5001);
  await here.close();
  await elsewhere.close();
});

test("a filter that throws fails no append and holds up no other route", async () => {
  const log = await openLog();
  let woken = 0;
  const others = (): boolean => {
    throw new Error("no");
  };
  const failing = log.follow({ types: [], others }, () => woken++);
  const route = log.follow({ types: ["order.paid"] }, () => woken++);
  await append(log, "placed", "paid");
  expect(woken).toBe(2);
  expect([failing, route].map((each) => each.quiet(position(0)))).toEqual([0, 1]);
  await log.close();
});
