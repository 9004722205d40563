// Views that each follow one of 1,000 types of events, and one view that follows them all: what the number of readers costs
// an append. Every event is of interest to one reader, either way.
import assert from "node:assert";
import { type AnyPart, command, entity, runtimeOf, service, streamOf, view } from "convergent";
import { z } from "zod";
import type { SubjectCode } from "../bench.ts";
import { offered } from "../harness/offered.ts";
import { percentile } from "../harness/statistics.ts";
import { orderPlaced } from "../workload.ts";
import { Placed } from "./order.ts";
import { sqliteStore } from "./store.ts";

const kinds = 1_000;
const perSecond = 1_000;
const keys = 100;
const inFlight = 100;
const arriveMs = 10_000;

const names = Array.from({ length: kinds }, (_, index) => `kind${index}`);
const Seen = z.object({ events: z.number() });

const order = entity("order", { initial: () => 0, events: Object.fromEntries(names.map((name) => [name, Placed])) })
  .evolve(Object.fromEntries(names.map((name) => [name, (count: number) => count + 1])))
  .commands({ nothing: command(z.null(), () => []) });

function following(name: string, types: readonly string[]): AnyPart {
  const count = (document: { events: number } = { events: 0 }): { events: number } => ({ events: document.events + 1 });
  return view(name, { from: [order], document: Seen, key: (event) => event.entityId }).on(
    Object.fromEntries(types.map((type) => [`order.${type}`, count])),
  );
}

function counting(parts: Readonly<Record<string, AnyPart>>): SubjectCode {
  return {
    async sample({ directory, boxMs }) {
      const running = await service("orders", { parts: { order, ...parts } }).start({ store: sqliteStore(directory) });
      const { log, ...runtime } = { log: runtimeOf(running).log, views: runtimeOf(running).views };
      const append = (index: number): Promise<unknown> =>
        log.append({
          stream: streamOf("order", `order-${index % keys}`),
          expected: "any",
          events: [{ type: `order.${names[(index * 7) % kinds]}`, data: orderPlaced(index) }],
        });
      const allAtHead = async (): Promise<void> => {
        const head = (await log.head()).position;
        for (const { reader } of runtime.views.values()) assert.ok(await reader.waitFor(head, arriveMs), `${reader.name} is not at head`);
      };
      // Warm-up: every reader has had its first events.
      for (let round = 0; round < 2 * kinds; round += inFlight) {
        await Promise.all(Array.from({ length: inFlight }, (_, index) => append(round + index)));
        await allAtHead();
      }
      const before = process.cpuUsage();
      const latencies = await offered({ perSecond, forMs: boxMs / 2, operation: append });
      const { user, system } = process.cpuUsage(before);
      const cpu = (user + system) / ((perSecond * boxMs) / 2 / 1_000);
      const endedAt = performance.now();
      await allAtHead();
      const behind = performance.now() - endedAt;
      await running.stop();
      return { p50: percentile(latencies, 0.5), p99: percentile(latencies, 0.99), behind, cpu };
    },
  };
}

/**
 * Figures in ms: latency of appends of which 1,000 a second are offered, and how long after the last one all readers are at head.
 * `cpu` in µs: what the process took for an append and for applying it, which other processes on the machine do not change.
 */
export const thousandReaders: SubjectCode = counting(
  Object.fromEntries(names.map((name, index) => [name, following(`view-${index}`, [name])])),
);
export const oneReader: SubjectCode = counting({ all: following("view-of-all", names) });
