// A new version of a view, built over a log of 1,000,000 events: applied, counted, verified by a second reading of the log,
// and put in the place of the old version. The events come round-robin over the orders, so that a batch touches many documents.
import assert from "node:assert";
import { setTimeout as pause } from "node:timers/promises";
import { type AnyView, entity, type Log, runtimeOf, service, streamOf, view } from "convergent";
import { z } from "zod";
import type { SubjectCode } from "../bench.ts";
import { type Memory, memoryHeld } from "../harness/memory.ts";
import { offered } from "../harness/offered.ts";
import { percentile } from "../harness/statistics.ts";
import { addTo, noTotals, orderPlaced } from "../workload.ts";
import { openLog } from "./log.ts";
import { Placed } from "./order.ts";
import { sqliteStore } from "./store.ts";

const streams = 1_000;
const eventsPerStream = 1_000;
const events = streams * eventsPerStream;
const eventsPerAppend = 4;
const appendsInFlight = 256;
const lookMs = 100;

const order = entity("order", { initial: () => noTotals, events: { placed: Placed } })
  .evolve({ placed: addTo })
  .commands({});

const totals = (version: number): AnyView =>
  view("totals", {
    version,
    from: [order],
    document: z.object({ events: z.number(), cents: z.number(), customer: z.string() }),
    key: (event) => event.entityId,
    indexes: ["customer"],
  }).on({ "order.placed": (document = noTotals, event) => addTo(document, event.data) });

export const release = (version: number) => service("orders", { parts: { order, totals: totals(version) } });

/** Fills a log round-robin, and leaves a first version of the view that has read none of it. */
export async function seedRounds(directory: string): Promise<void> {
  const first = await release(1).start({ store: sqliteStore(directory) });
  runtimeOf(first).view("totals").reader.pause();
  await first.stop();
  const log = await openLog(directory);
  for (let version = 0; version < eventsPerStream; version += eventsPerAppend) {
    for (let from = 0; from < streams; from += appendsInFlight) {
      const some = Array.from({ length: Math.min(appendsInFlight, streams - from) }, (_, index) => from + index);
      await Promise.all(
        some.map((index) =>
          log.append({
            stream: streamOf("order", `order-${index}`),
            expected: "any",
            events: Array.from({ length: eventsPerAppend }, (__, offset) => ({
              type: "order.placed",
              data: orderPlaced(index + version + offset),
            })),
          }),
        ),
      );
    }
  }
  assert.equal((await log.head()).position, events);
  await log.close();
}

/**
 * Figures: `rate` in events/s that were applied and verified until the version was in place or the box ended; what the
 * process held at a quarter of the events, and at the end, in MB.
 */
export const convergentRebuild: SubjectCode = {
  prepare: seedRounds,
  async sample({ directory, boxMs }) {
    const { promise: swapped, resolve: swap } = Promise.withResolvers<"swapped">();
    const startedAt = performance.now();
    const running = await release(2).start({
      store: sqliteStore(directory),
      onRebuild: ({ kind }) => {
        if (kind === "swapped") swap("swapped");
      },
    });
    const { reader } = runtimeOf(running).view("totals");
    let early: Memory | undefined;
    const looked = (): Promise<"looked"> => pause(lookMs, "looked" as const);
    while (performance.now() - startedAt < boxMs && (await Promise.race([swapped, looked()])) === "looked")
      if (reader.position >= events / 4) early ??= memoryHeld();
    const rate = (reader.position * 1_000) / (performance.now() - startedAt);
    assert.ok(early, "a quarter of the events was not reached before the box ended");
    const end = memoryHeld();
    return { rate, "heap at 1/4": early.heap, "heap at end": end.heap, "rss at 1/4": early.rss, "rss at end": end.rss };
  },
};

const perSecond = 500;

/** Figures in ms, of appends of which 500 a second are offered: `alone p99`, `alone p50`, and the same while this process builds a version. */
export const appendsBesideRebuild: SubjectCode = {
  prepare: seedRounds,
  async sample({ directory, boxMs }) {
    const before = await service("orders", { parts: { order } }).start({ store: sqliteStore(directory) });
    const alone = await appending(runtimeOf(before).log, "alone", boxMs / 2);
    await before.stop();
    const running = await release(2).start({ store: sqliteStore(directory) });
    const beside = await appending(runtimeOf(running).log, "beside", boxMs / 2);
    const { state } = runtimeOf(running).view("totals").rebuild;
    assert.equal(state, "building", "the build was over before the box ended");
    await running.stop();
    return {
      "alone p99": percentile(alone, 0.99),
      "alone p50": percentile(alone, 0.5),
      "beside p99": percentile(beside, 0.99),
      "beside p50": percentile(beside, 0.5),
    };
  },
};

function appending(log: Log, name: string, forMs: number): Promise<number[]> {
  return offered({
    perSecond,
    forMs,
    operation: (index) =>
      log.append({
        stream: streamOf("order", `${name}-${index}`),
        expected: "none",
        events: [{ type: "order.placed", data: orderPlaced(index) }],
      }),
  });
}
