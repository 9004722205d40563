// Our loads of a stream of 1,000 events: folded anew each time, and as the service answers them, which keeps states in memory.
import assert from "node:assert";
import type { StoreDriver } from "convergent";
import type { SubjectCode } from "../bench.ts";
import { closedLoop } from "../harness/loops.ts";
import { seedStreams } from "./log.ts";
import { writes } from "./order.ts";
import { sqliteStore } from "./store.ts";

const warmUpMs = 1_000;
/** What is loaded: as many events in each of as many streams. */
export const streams = 20;
export const eventsPerStream = 1_000;

/** Figure: `rate` in loads/s, one at a time, over twenty streams in turn. */
export function convergentLoad({ cached }: { readonly cached: boolean }): SubjectCode {
  return {
    prepare: (directory) => seedStreams(directory, { streams, eventsPerStream }),
    sample: async ({ directory, boxMs }) => ({ rate: await loads(sqliteStore(directory), cached, boxMs) }),
  };
}

/** Loads/s of orders that a store holds. */
export async function loads(store: StoreDriver, cached: boolean, boxMs: number): Promise<number> {
  const running = await writes.start({ store });
  // The state as of a version is always folded from the first event on; the present state may be one that is known.
  const when = cached ? {} : { version: eventsPerStream };
  const load = async (index: number): Promise<void> => {
    const { state } = await running.order.state(`order-${index % streams}`, when);
    assert.equal(state.events, eventsPerStream);
  };
  return closedLoop({ inFlight: 1, warmUpMs, boxMs, operation: load });
}
