// How long after a command our view shows its effect, when nothing else happens: in the process that wrote, and in another
// one that has the same file open. Times are of the monotonic clock, which all processes of a machine share.
import assert from "node:assert";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { accepted } from "convergent";
import type { SubjectCode } from "../bench.ts";
import { forkWorker } from "../harness/fork-worker.ts";
import { percentile } from "../harness/statistics.ts";
import { orderPlaced } from "../workload.ts";
import { orders } from "./order.ts";
import { sqliteStore } from "./store.ts";

/** Between two commands, so that readers are idle; spread, so that commands fall into all phases of a poll. */
const pauseMsMin = 50;
const pauseMsSpread = 50;
const spread = 0.618_033_988_75;
const warmUpCommands = 10;

/** What the other process is told; it answers with the time at which its view showed the order. */
export interface Written {
  readonly order: string;
  readonly token: string;
}

/** Shows orders through the view of one process. */
export type Show = (written: Written) => Promise<void>;

export function showIn(running: Awaited<ReturnType<typeof orders.start>>): Show {
  return async ({ order, token }) => {
    const reading = await running.orderSummary.get(order, { after: token, wait: "10s" });
    assert(reading.fresh && reading.value !== undefined, `${order} was not shown`);
  };
}

/** Figures: `p50`, `p99` in ms from the call of the command until a read of the view with its token has answered. */
export function convergentWakeUp({ processes }: { readonly processes: 1 | 2 }): SubjectCode {
  return {
    async sample({ directory, boxMs }) {
      const running = await orders.start({ store: sqliteStore(directory) });
      const other = processes === 2 ? forkWorker(join(import.meta.dirname, "other-reader.ts"), [directory]) : undefined;
      await other?.hear<"open">();
      const show = showIn(running);
      const shownAt = async (written: Written): Promise<number> => {
        other?.say(written);
        if (other !== undefined) return other.hear<number>();
        await show(written);
        return monotonicMs();
      };
      const latenciesMs: number[] = [];
      const end = performance.now() + boxMs;
      for (let index = 0; performance.now() < end; index += 1) {
        await pause(pauseMsMin + ((index * spread) % 1) * pauseMsSpread);
        const order = `order-${index}`;
        const startedAt = monotonicMs();
        const outcome = await running.order(order).place(orderPlaced(index), { id: `request-${index}`, expected: "none" });
        const ms = (await shownAt({ order, token: String(accepted(outcome).token) })) - startedAt;
        if (index >= warmUpCommands) latenciesMs.push(ms);
      }
      other?.stop();
      return { p50: percentile(latenciesMs, 0.5), p99: percentile(latenciesMs, 0.99) };
    },
  };
}

export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
