// A reader with an empty handler from the beginning of a log of 1,000,000 events, by ours and by emmett's consumer.
//
// emmett has no index by position: each batch of its consumer sorts what the whole table has after the last one, so that small
// batches (100 is its default) are far slower. Within a batch it writes its checkpoint after every event, in one transaction a batch.
import { Log } from "convergent";
import { postgres } from "convergent/postgres";
import type { SubjectCode } from "../bench.ts";
import { catchUp } from "../convergent/catch-up.ts";
import { closeEmmett } from "./closing.ts";
import { withDatabase } from "./database.ts";
import { seed } from "./seed.ts";

const size = { streams: 1_000, eventsPerStream: 1_000 };
const events = size.streams * size.eventsPerStream;

/** Figure: `rate` in events/s, from the start of the reader until all are handled or the box ends. */
export const convergentPostgresCatchUp: SubjectCode = {
  prepare: (directory) => seed("convergent", directory, size),
  sample: ({ directory, boxMs }) =>
    withDatabase(directory, {}, async (url) => {
      const log = await Log.open(postgres(url, { directory }), "orders");
      return { rate: await catchUp(log, events, boxMs) };
    }),
};

/** The same of its consumer. */
export function emmettPostgresCatchUp({ batchSize }: { readonly batchSize: number }): SubjectCode {
  return {
    prepare: (directory) => seed("emmett", directory, size),
    sample: ({ directory, boxMs }) =>
      withDatabase(directory, {}, async (url) => {
        const { getPostgreSQLEventStore } = await import("@event-driven-io/emmett-postgresql");
        const store = getPostgreSQLEventStore(url);
        const consumer = store.consumer({ pulling: { batchSize, pullingFrequencyInMs: 0 } });
        const { promise: done, resolve: finish } = Promise.withResolvers<void>();
        let handled = 0;
        consumer.reactor({
          processorId: "empty",
          startFrom: "BEGINNING",
          eachMessage() {
            handled += 1;
            if (handled === events) finish();
          },
        });
        const timer = setTimeout(finish, boxMs);
        const startedAt = performance.now();
        void consumer.start();
        await done;
        const rate = handled / ((performance.now() - startedAt) / 1_000);
        clearTimeout(timer);
        await closeEmmett(store, consumer);
        return { rate };
      }),
  };
}
