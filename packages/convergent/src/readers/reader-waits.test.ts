import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import type { StoredEvent } from "../log/event.ts";
import { Log } from "../log/log.ts";
import { ConvergentError } from "../errors/error.ts";
import { position } from "../position/position.ts";
import { memory } from "../stores/memory/index.ts";
import { sqlite } from "../stores/sqlite/index.ts";
import { Reader } from "./reader.ts";
import type { ReaderOptions } from "./reader-options.ts";

/** Well below the pause of a reader that nothing wakes. */
const soonMs = 1_500;

function newFile(): string {
  const directory = mkdtempSync(join(tmpdir(), "convergent-reader-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return join(directory, "orders.db");
}

function readerOf(log: Log, options: Partial<ReaderOptions<StoredEvent>> = {}): Reader {
  return new Reader({
    name: "copy",
    version: 1,
    source: log,
    effects: log,
    types: ["order.paid"],
    slots: 1,
    derived: true,
    prepare: (event) => event,
    orderKey: (event) => event.stream,
    apply: async () => undefined,
    ...options,
  });
}

async function append(log: Log, type: string, count = 1): Promise<void> {
  await log.append({
    stream: "order/o-1",
    expected: "any",
    events: Array.from({ length: count }, () => ({ type: `order.${type}`, data: {} })),
  });
}

test("who waited before a reader was started is told when it passes what it does not want", async () => {
  const log = await Log.open(memory(), "orders");
  const reader = readerOf(log);
  const startedAt = performance.now();
  const waiting = reader.waitFor(position(3), 10_000);
  reader.start();
  await expect.poll(() => reader.state).toBe("idle");
  await append(log, "placed", 3);
  expect(await waiting).toBe(true);
  expect(performance.now() - startedAt).toBeLessThan(soonMs);
  await reader.stop();
  await log.close();
});

test("a reader on standby knows soon again how far the owner is that was far behind", async () => {
  const file = newFile();
  const logs = [await Log.open(sqlite(file), "orders"), await Log.open(sqlite(file), "orders")] as const;
  let isHeld = false;
  const apply = async (): Promise<void> => {
    if (isHeld) throw new ConvergentError("unavailable", "held");
  };
  const readers = [readerOf(logs[0], { apply }), readerOf(logs[1], { apply })];
  for (const reader of readers) reader.start();
  await logs[0].host.timers.sleep(1_200); // the slot has gone where it belongs
  expect(readers.map(({ state }) => state).sort()).toEqual(["idle", "standby"]);
  const [owner, standby] = readers.sort((a, b) => (a.state < b.state ? -1 : 1)) as [Reader, Reader];
  isHeld = true;
  await append(logs[0], "paid", 5_000);
  await logs[0].host.timers.sleep(1_000);
  expect([owner.position, standby.position]).toEqual([0, 0]);
  const waiting = standby.waitFor(position(5_003), 20_000);
  isHeld = false;
  expect(await owner.waitFor(position(5_000), 10_000)).toBe(true);
  await append(logs[0], "placed", 3);
  expect(await owner.waitFor(position(5_003), 10_000)).toBe(true);
  const startedAt = performance.now();
  expect(await waiting).toBe(true);
  expect(performance.now() - startedAt).toBeLessThan(soonMs);
  await Promise.all(readers.map((reader) => reader.stop()));
  await Promise.all(logs.map((log) => log.close()));
});

test("a reader that gathers applies what came meanwhile in one batch, but at once when somebody waits, and a backlog without a pause", async () => {
  const log = await Log.open(memory(), "orders");
  const batches: number[] = [];
  const apply = async (_tx: unknown, items: readonly StoredEvent[]): Promise<void> => void batches.push(items.length);
  await append(log, "paid", 300);
  const startedAt = performance.now();
  const reader = readerOf(log, { apply, gatherMs: 800, batchEvents: 100 });
  reader.start();
  await expect.poll(() => reader.position, { interval: 5 }).toBe(300);
  expect(performance.now() - startedAt).toBeLessThan(800);
  batches.length = 0;
  for (let count = 0; count < 20; count++) {
    await append(log, "paid");
    await log.host.timers.sleep(5);
  }
  await expect.poll(() => batches.reduce((sum, size) => sum + size, 0), { timeout: 3_000, interval: 10 }).toBe(20);
  expect(batches.length).toBeLessThanOrEqual(2);
  await append(log, "paid");
  const waitedFrom = performance.now();
  expect(await reader.waitFor(position(321), 5_000)).toBe(true);
  expect(performance.now() - waitedFrom).toBeLessThan(400);
  await reader.stop();
  await log.close();
});
