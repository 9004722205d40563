// Loads of a stream of 1,000 events, by ours and by emmett's `aggregateStream`, one at a time over twenty streams in turn.
import assert from "node:assert";
import { postgres } from "convergent/postgres";
import type { SubjectCode } from "../bench.ts";
import { eventsPerStream, loads, streams } from "../convergent/load.ts";
import { closedLoop } from "../harness/loops.ts";
import { addTo, noTotals, type OrderPlaced } from "../workload.ts";
import { closeEmmett } from "./closing.ts";
import { withDatabase } from "./database.ts";
import { seed } from "./seed.ts";

const warmUpMs = 1_000;
const size = { streams, eventsPerStream };

/** Figure: `rate` in loads/s, each folded from the first event on. */
export const convergentPostgresLoad: SubjectCode = {
  prepare: (directory) => seed("convergent", directory, size),
  sample: ({ directory, boxMs }) =>
    withDatabase(directory, {}, async (url) => ({ rate: await loads(postgres(url, { directory }), false, boxMs) })),
};

/** The same; it has no cache. */
export const emmettPostgresLoad: SubjectCode = {
  prepare: (directory) => seed("emmett", directory, size),
  sample: ({ directory, boxMs }) =>
    withDatabase(directory, {}, async (url) => {
      const { getPostgreSQLEventStore } = await import("@event-driven-io/emmett-postgresql");
      const store = getPostgreSQLEventStore(url);
      const load = async (index: number): Promise<void> => {
        const { state } = await store.aggregateStream(`order-${index % streams}`, {
          initialState: () => noTotals,
          evolve: (totals, event) => addTo(totals, event.data as OrderPlaced),
        });
        assert.equal(state.events, eventsPerStream);
      };
      const rate = await closedLoop({ inFlight: 1, warmUpMs, boxMs, operation: load });
      await closeEmmett(store);
      return { rate };
    }),
};
