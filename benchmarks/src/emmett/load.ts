// emmett folds a stream of 1,000 events into its state; it has no cache, so each load reads the whole stream.
import assert from "node:assert";
import type { SubjectCode } from "../bench.ts";
import { closedLoop } from "../harness/loops.ts";
import { addTo, noTotals, type OrderPlaced } from "../workload.ts";
import { fileIn, openEmmett } from "./open.ts";
import { seedEmmett } from "./seed.ts";

const warmUpMs = 1_000;
const streams = 20;
const eventsPerStream = 1_000;
const stream = (index: number): string => `order-${index}`;

/** Figure: `rate` in loads/s, one at a time, over twenty streams in turn. */
export const emmettLoad: SubjectCode = {
  prepare: (directory) => seedEmmett(fileIn(directory), { streams, eventsPerStream, stream }),
  async sample({ directory, boxMs }) {
    const { store } = await openEmmett(fileIn(directory));
    const load = async (index: number): Promise<void> => {
      const { state } = await store.aggregateStream(stream(index % streams), {
        initialState: () => noTotals,
        evolve: (totals, event) => addTo(totals, event.data as OrderPlaced),
      });
      assert.equal(state.events, eventsPerStream);
    };
    return { rate: await closedLoop({ inFlight: 1, warmUpMs, boxMs, operation: load }) };
  },
};
