// A view of 10,000 documents over 1,000,000 events: ours, and two of emmett's ways to have its consumer keep one. Both of its
// ways write a row and the checkpoint for every event, in one transaction a batch.
import assert from "node:assert";
import { setTimeout as pause } from "node:timers/promises";
import { entity, runtimeOf, service, view } from "convergent";
import { postgres } from "convergent/postgres";
import { z } from "zod";
import type { SubjectCode } from "../bench.ts";
import { Placed } from "../convergent/order.ts";
import { addTo, noTotals, type OrderPlaced, type Totals } from "../workload.ts";
import { closeEmmett } from "./closing.ts";
import { withDatabase } from "./database.ts";
import { seed } from "./seed.ts";

const size = { streams: 10_000, eventsPerStream: 100 };
const events = size.streams * size.eventsPerStream;
const lookMs = 20;
/** Large, because each read of a batch goes through its whole table; see catch-up.ts. */
const batchSize = 10_000;

const order = entity("order", { initial: () => noTotals, events: { placed: Placed } })
  .evolve({ placed: addTo })
  .commands({});

const totals = view("totals", {
  from: [order],
  document: z.object({ events: z.number(), cents: z.number(), customer: z.string() }),
  key: (event) => event.entityId,
}).on({ "order.placed": (document = noTotals, event) => addTo(document, event.data) });

/** Figure: `rate` in events/s, from the start of the service until all are in the view or the box ends. */
export const convergentProjection: SubjectCode = {
  prepare: (directory) => seed("convergent", directory, size),
  sample: ({ directory, boxMs }) =>
    withDatabase(directory, {}, async (url) => {
      const startedAt = performance.now();
      const running = await service("orders", { parts: { order, totals } }).start({ store: postgres(url, { directory }) });
      const { reader } = runtimeOf(running).view("totals");
      while (performance.now() - startedAt < boxMs && reader.position < events) await pause(lookMs);
      const applied = reader.position;
      const rate = (applied * 1_000) / (performance.now() - startedAt);
      assert.equal(reader.failure, undefined);
      return { rate };
    }),
};

export type Way = "raw SQL" | "pongo";

/** The same by emmett. */
export function emmettPostgresProjection({ way }: { readonly way: Way }): SubjectCode {
  return {
    prepare: (directory) => seed("emmett", directory, size),
    sample: ({ directory, boxMs }) =>
      withDatabase(directory, {}, async (url) => {
        const { getPostgreSQLEventStore } = await import("@event-driven-io/emmett-postgresql");
        const store = getPostgreSQLEventStore(url);
        const consumer = store.consumer({ pulling: { batchSize, pullingFrequencyInMs: 0 } });
        const { promise: done, resolve: finish } = Promise.withResolvers<void>();
        const count = { handled: 0 };
        const counted = (): void => {
          count.handled += 1;
          if (count.handled === events) finish();
        };
        consumer.projector({ projection: await (way === "pongo" ? documents(counted) : statements(counted)) });
        const timer = setTimeout(finish, boxMs);
        const startedAt = performance.now();
        void consumer.start();
        await done;
        const rate = count.handled / ((performance.now() - startedAt) / 1_000);
        clearTimeout(timer);
        await closeEmmett(store, consumer);
        return { rate };
      }),
  };
}

/** One upsert an event, which the server folds. */
async function statements(handled: () => void) {
  const { postgreSQLRawSQLProjection } = await import("@event-driven-io/emmett-postgresql");
  const { rawSql, sql } = await import("@event-driven-io/dumbo");
  return postgreSQLRawSQLProjection({
    name: "totals",
    canHandle: ["order.placed"],
    init: () => rawSql("CREATE TABLE IF NOT EXISTS totals (key text PRIMARY KEY, events integer, cents bigint, customer text)"),
    evolve: ({ data, metadata }) => {
      const one = addTo(noTotals, data as OrderPlaced);
      handled();
      return sql(
        `INSERT INTO totals (key, events, cents, customer) VALUES (%L, 1, %L, %L) ON CONFLICT (key) DO UPDATE SET
          events = totals.events + 1, cents = totals.cents + excluded.cents, customer = excluded.customer`,
        metadata.streamName,
        one.cents,
        one.customer,
      );
    },
  });
}

/** A document read and written an event, as its documentation shows it. */
async function documents(handled: () => void) {
  const { pongoMultiStreamProjection } = await import("@event-driven-io/emmett-postgresql");
  return pongoMultiStreamProjection<Totals>({
    collectionName: "totals",
    canHandle: ["order.placed"],
    getDocumentId: ({ metadata }) => metadata.streamName,
    initialState: () => noTotals,
    evolve: (document, { data }) => {
      handled();
      return addTo(document, data as OrderPlaced);
    },
  });
}
