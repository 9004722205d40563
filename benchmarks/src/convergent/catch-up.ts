// Our reader with an empty handler, from the beginning of a log of 1,000,000 events. It hands on what views and reactions
// get, the parsed envelope, and saves its checkpoint with each batch.
import { type Envelope, type Log, Reader, toEnvelope } from "convergent";
import type { SubjectCode } from "../bench.ts";
import { openLog, seedStreams } from "./log.ts";

const streams = 1_000;
const eventsPerStream = 1_000;

/** Figure: `rate` in events/s, from the start of the reader until all are handled or the box ends. */
export const convergentCatchUp: SubjectCode = {
  prepare: (directory) => seedStreams(directory, { streams, eventsPerStream }),
  sample: async ({ directory, boxMs }) => ({ rate: await catchUp(await openLog(directory), streams * eventsPerStream, boxMs) }),
};

/** Events/s of a reader over a log of so many events. */
export async function catchUp(log: Log, events: number, boxMs: number): Promise<number> {
  const { promise: done, resolve: finish } = Promise.withResolvers<void>();
  let handled = 0;
  const reader = new Reader<Envelope>({
    name: "empty",
    version: 1,
    source: log,
    effects: log,
    prepare: toEnvelope,
    orderKey: (event) => event.entityId,
    apply: async (_tx, some) => {
      handled += some.length;
      if (handled >= events) finish();
    },
  });
  const timer = setTimeout(finish, boxMs);
  const startedAt = performance.now();
  reader.start();
  await done;
  const rate = handled / ((performance.now() - startedAt) / 1_000);
  clearTimeout(timer);
  return rate;
}
