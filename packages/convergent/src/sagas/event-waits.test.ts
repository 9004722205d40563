import { expect, onTestFinished, test } from "vitest";
import type { StoredEvent } from "../log/event.ts";
import { Log } from "../log/log.ts";
import { origin, type Position } from "../position/position.ts";
import { memory } from "../stores/memory/index.ts";
import { Cancellation } from "./cancellation.ts";
import { type EventWait, EventWaits } from "./event-waits.ts";

const type = "order.placed";

async function waiting() {
  const log = await Log.open(memory(), "orders");
  const waits = new EventWaits(log);
  onTestFinished(async () => {
    await waits.stop();
    await log.close();
  });
  let reads = 0;
  const read = log.read.bind(log);
  Object.assign(log, { read: async (...args: Parameters<typeof read>) => (reads++, read(...args)) });
  const append = async (count: number, stream = "order/o-1", of = type): Promise<void> => {
    await log.append({ stream, expected: "any", events: Array.from({ length: count }, (_, data) => ({ type: of, data })) });
  };
  const next = (wait: Partial<EventWait> = {}, cancelled = new Cancellation()): Promise<StoredEvent | undefined> =>
    waits.next(
      {
        type,
        entityId: undefined,
        after: origin,
        until: undefined,
        due: wait.until,
        timeUp: async () => undefined,
        takes: () => true,
        ...wait,
      },
      cancelled,
    );
  return { log, waits, append, next, reads: () => reads };
}

const at =
  (position: number): ((event: StoredEvent) => boolean) =>
  (event) =>
    event.position === position;

test("one that begins behind is offered everything from its position on, in order and once, while others go on", async () => {
  const { append, next } = await waiting();
  await append(2_500);
  const current = next({ after: 2_500 as Position });
  const seen: number[] = [];
  const behind = next({ takes: ({ position }) => seen.push(position) > 2_499 });
  await append(1);
  expect([(await current)?.position, (await behind)?.position]).toEqual([2_501, 2_500]);
  expect(seen).toEqual(Array.from({ length: 2_500 }, (_, index) => index + 1));
});

test("a thousand that wait cost a read of the log for each advance, not one each; at rest and with nobody there is none", async () => {
  const { append, next, waits, reads } = await waiting();
  await append(1);
  const all = Array.from({ length: 1_000 }, (_, index) => next({ entityId: `o-${index}`, after: 1 as Position }));
  await expect.poll(reads).toBeGreaterThan(0);
  await new Promise((resolve) => setTimeout(resolve, 50));
  const before = reads();
  await append(1, "customer/c-1", "customer.seen");
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(reads()).toBe(before);
  await append(1, "order/o-7");
  expect((await all[7])?.stream).toBe("order/o-7");
  expect(reads() - before).toBeLessThan(5);
  expect(waits.waiting).toBe(999);
  for (let index = 0; index < 1_000; index++) await append(1, `order/o-${index}`);
  await Promise.all(all);
  expect([waits.waiting, reads()]).toEqual([0, expect.any(Number)]);
  await new Promise((resolve) => setTimeout(resolve, 20));
  const after = reads();
  await append(1);
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(reads()).toBe(after);
});

test("one whose time is up is given what was appended in time, although it was not read yet", async () => {
  const { log, append, next } = await waiting();
  await append(1_500);
  const until = log.host.clock.now() - 1;
  expect(await next({ until: until - 1_000_000, takes: at(1_500) })).toBeUndefined();
  expect((await next({ until: until + 60_000, takes: at(1_500) }))?.position).toBe(1_500);
  const inTime = (await log.timeAt(1 as Position)) ?? 0;
  await new Promise((resolve) => setTimeout(resolve, 5));
  expect((await next({ until: inTime, takes: at(1) }))?.position).toBe(1);
});

test("what is in the log when it has said that its time is up is offered to it, too", async () => {
  const { log, append, next } = await waiting();
  const now = log.host.clock.now();
  const timeUp = (): Promise<void> => append(1); // on its way until then
  expect((await next({ until: now + 60_000, due: now, timeUp }))?.position).toBe(1);
});

test("one that is cancelled ends with the reason, one whose question fails with that, and the others go on", async () => {
  const { append, next, waits } = await waiting();
  const cancellation = new Cancellation();
  const cancelled = next({}, cancellation);
  const failing = next({
    takes: () => {
      throw new Error("no such luck");
    },
  });
  const other = next();
  cancellation.cancel(new Error("enough"));
  await expect(cancelled).rejects.toThrow("enough");
  await append(1);
  await expect(failing).rejects.toThrow("no such luck");
  expect((await other)?.position).toBe(1);
  expect(waits.waiting).toBe(0);
});

test("a store that does not answer is asked again", async () => {
  const { log, append, next } = await waiting();
  const read = log.read.bind(log);
  let failed = 0;
  Object.assign(log, {
    read: async (...args: Parameters<typeof read>) => {
      if (failed++ < 2) throw new Error("away for a while");
      return read(...args);
    },
  });
  const waited = next();
  await append(1);
  expect((await waited)?.position).toBe(1);
  expect(failed).toBeGreaterThan(2);
}, 10_000);
