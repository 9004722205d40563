// How long after an append emmett's consumer handles the event, when nothing else happens. Its consumer polls, and doubles its
// pause up to a second while there is nothing to do; no option bounds that pause.
import { setTimeout as pause } from "node:timers/promises";
import type { SubjectCode } from "../bench.ts";
import { percentile } from "../harness/statistics.ts";
import { orderPlaced } from "../workload.ts";
import { fileIn, openEmmett } from "./open.ts";

/** Its pauses have grown to their full length after this long (100 + 200 + 400 + 800 ms, then a second each). */
const idleAfterMs = 1_500;
/** The golden ratio's fraction: appends spread evenly over the phase of the poll, the same way in each run. */
const spread = 0.618_033_988_75;
const pollMs = 1_000;

/** Figures: `p50`, `p99` in ms from the call of the append to the call of the handler (its commit, which follows, left out). */
export const emmettWakeUp: SubjectCode = {
  async sample({ directory, boxMs }) {
    const { store } = await openEmmett(fileIn(directory));
    const consumer = store.consumer({ pulling: { pullingFrequencyInMs: 1 } });
    let handled: () => void = () => undefined;
    consumer.processor({ processorId: "wake-up", startFrom: "BEGINNING", eachMessage: () => handled() });
    void consumer.start();
    await pause(idleAfterMs);

    const latenciesMs: number[] = [];
    const end = performance.now() + boxMs;
    for (let index = 0; performance.now() < end; index += 1) {
      await pause(((index * spread) % 1) * pollMs);
      const { promise: applied, resolve } = Promise.withResolvers<void>();
      handled = resolve;
      const startedAt = performance.now();
      await store.appendToStream(`order-${index}`, [{ type: "order.placed", data: orderPlaced(index) }]);
      await applied;
      latenciesMs.push(performance.now() - startedAt);
    }
    return { p50: percentile(latenciesMs, 0.5), p99: percentile(latenciesMs, 0.99) };
  },
};
