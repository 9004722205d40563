// emmett's consumer as a projection: one document an order, folded and written by each event, on the consumer's own
// connection, from the beginning of a log of 1,000,000 events.
import type { SubjectCode } from "../bench.ts";
import { addTo, noTotals, type OrderPlaced, type Totals } from "../workload.ts";
import { fileIn, openEmmett } from "./open.ts";
import { seedEmmett } from "./seed.ts";

const streams = 1_000;
const eventsPerStream = 1_000;

/** Figure: `rate` in events/s, from the start of the consumer until all are projected or the box ends. */
export const emmettProjection: SubjectCode = {
  prepare: (directory) => seedEmmett(fileIn(directory), { streams, eventsPerStream, stream: (index) => `order-${index}` }),
  async sample({ directory, boxMs }) {
    const { store, connection } = await openEmmett(fileIn(directory));
    await connection.command("CREATE TABLE IF NOT EXISTS totals (key TEXT PRIMARY KEY, document TEXT NOT NULL) WITHOUT ROWID");
    const consumer = store.consumer({ pulling: { batchSize: 1_000, pullingFrequencyInMs: 0 } });
    const { promise: done, resolve: finish } = Promise.withResolvers<void>();
    const timer = setTimeout(finish, boxMs);
    let handled = 0;
    consumer.processor({
      processorId: "totals",
      startFrom: "BEGINNING",
      async eachMessage({ data, metadata }, { connection: own }) {
        const key = metadata.streamName;
        const row = await own.querySingle<{ document: string }>("SELECT document FROM totals WHERE key = ?", [key]);
        const before = row ? (JSON.parse(row.document) as Totals) : noTotals;
        await own.command("INSERT INTO totals (key, document) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET document = excluded.document", [
          key,
          JSON.stringify(addTo(before, data as OrderPlaced)),
        ]);
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
