// emmett's consumer with an empty handler, from the beginning of a log of 1,000,000 events.
//
// The batch size hardly matters: 100 (its default), 1,000 and 10,000 all settle at the same rate, because it writes its
// checkpoint after every event. Only its first batch is twice as fast: from the second on, the checkpoint it compares with
// is never the one it stored, so that each write misses and is followed by a read. A batch so large that the box ends
// within it (100,000) would therefore show a rate that it does not keep over the log (6,200/s after 40 s, and falling).
import type { SubjectCode } from "../bench.ts";
import { fileIn, openEmmett } from "./open.ts";
import { seedEmmett } from "./seed.ts";

const streams = 1_000;
const eventsPerStream = 1_000;

/** Figure: `rate` in events/s, from the start of the consumer until all are handled or the box ends. */
export function emmettCatchUp({ batchSize }: { readonly batchSize: number }): SubjectCode {
  return {
    prepare: (directory) => seedEmmett(fileIn(directory), { streams, eventsPerStream, stream: (index) => `order-${index}` }),
    async sample({ directory, boxMs }) {
      const { store } = await openEmmett(fileIn(directory));
      const consumer = store.consumer({ pulling: { batchSize, pullingFrequencyInMs: 0 } });
      const { promise: done, resolve: finish } = Promise.withResolvers<void>();
      const timer = setTimeout(finish, boxMs);
      let handled = 0;
      consumer.processor({
        processorId: "empty",
        startFrom: "BEGINNING",
        eachMessage() {
          handled += 1;
          if (handled === streams * eventsPerStream) finish();
        },
      });
      const startedAt = performance.now();
      void consumer.start();
      await done;
      const rate = handled / ((performance.now() - startedAt) / 1_000);
      clearTimeout(timer);
      return { rate };
    },
  };
}
