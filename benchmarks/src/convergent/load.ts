// Our loads of a stream of 1,000 events: folded anew each time, and as the service answers them, which keeps states in memory.
import assert from "node:assert";
import type { SubjectCode } from "../bench.ts";
import { closedLoop } from "../harness/loops.ts";
import { seedStreams } from "./log.ts";
import { writes } from "./order.ts";
import { sqliteStore } from "./store.ts";

const warmUpMs = 1_000;
const streams = 20;
const eventsPerStream = 1_000;

/** Figure: `rate` in loads/s, one at a time, over twenty streams in turn. */
export function convergentLoad({ cached }: { readonly cached: boolean }): SubjectCode {
  return {
    prepare: (directory) => seedStreams(directory, { streams, eventsPerStream }),
    async sample({ directory, boxMs }) {
      const running = await writes.start({ store: sqliteStore(directory) });
      // The state as of a version is always folded from the first event on; the present state may be one that is known.
      const when = cached ? {} : { version: eventsPerStream };
      const load = async (index: number): Promise<void> => {
        const { state } = await running.order.state(`order-${index % streams}`, when);
        assert.equal(state.events, eventsPerStream);
      };
      return { rate: await closedLoop({ inFlight: 1, warmUpMs, boxMs, operation: load }) };
    },
  };
}
