// How long after the call of an append its event is applied, at 50 appends a second: ours when the transaction of the view's reader
// is committed, in the process that appended or in another one; emmett's when its handler is called, whose commit follows and is left
// out. And the same while a stranger's transaction stands open, in another table of the same cluster.
import assert from "node:assert";
import { join } from "node:path";
import { type Position, runtimeOf, type StoredEvent, streamOf } from "convergent";
import { postgres } from "convergent/postgres";
import pg from "pg";
import type { Sample, SubjectCode } from "../bench.ts";
import { orders, writes } from "../convergent/order.ts";
import { forkWorker } from "../harness/fork-worker.ts";
import { offered } from "../harness/offered.ts";
import { percentile } from "../harness/statistics.ts";
import { orderPlaced } from "../workload.ts";
import { closeEmmett } from "./closing.ts";
import { withDatabase } from "./database.ts";

const perSecond = 50;
/** Longer than `offered` takes to settle. */
const strangerAfterMs = 1_000;
const strangerMs = 3_000;
/** Far longer than anything takes here. */
const appliedMs = 30_000;

/** Appends an event; resolves when it is applied. Never called twice with one index. */
type Apply = (index: number) => Promise<unknown>;

export interface Wakened {
  readonly apply: Apply;
  close(): Promise<void>;
}

export type Subject =
  | { readonly who: "convergent"; readonly processes: 1 | 2 }
  | { readonly who: "emmett"; readonly pulling: { readonly batchSize?: number; readonly pullingFrequencyInMs?: number } };

/** Figures: `p50`, `p99` in ms. */
export function postgresWakeUp(subject: Subject): SubjectCode {
  return {
    sample: ({ directory, boxMs }) =>
      withDatabase(directory, {}, async (url) => {
        const { apply, close } = await begin(subject, url, directory);
        const times = await offered({ perSecond, forMs: boxMs, operation: apply });
        await close();
        return { p50: percentile(times, 0.5), p99: percentile(times, 0.99) };
      }),
  };
}

/** Figures in ms: `p50` and `p99` without the stranger, `beside p50` and `beside p99` with it, and the `difference` of the p99. */
export function postgresBesideStranger(subject: Subject): SubjectCode {
  return {
    sample: ({ directory, boxMs }) =>
      withDatabase(directory, {}, async (url) => {
        const { apply, close } = await begin(subject, url, directory);
        const alone = await offered({ perSecond, forMs: boxMs - strangerMs - strangerAfterMs, operation: apply });
        const stranger = leftOpen(url);
        const beside = await offered({ perSecond, forMs: strangerAfterMs + strangerMs, operation: (index) => apply(1e6 + index) });
        await stranger;
        await close();
        return strangerFigures(alone, beside);
      }),
  };
}

function strangerFigures(alone: readonly number[], beside: readonly number[]): Sample {
  const [p99, besideP99] = [percentile(alone, 0.99), percentile(beside, 0.99)];
  return {
    p50: percentile(alone, 0.5),
    p99,
    "beside p50": percentile(beside, 0.5),
    "beside p99": besideP99,
    difference: besideP99 - p99,
  };
}

async function leftOpen(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query("CREATE TABLE stranger (note text)");
  await new Promise((resolve) => setTimeout(resolve, strangerAfterMs));
  await client.query("BEGIN");
  await client.query("INSERT INTO stranger VALUES ('left open')");
  await new Promise((resolve) => setTimeout(resolve, strangerMs));
  await client.query("COMMIT");
  await client.end();
}

function begin(subject: Subject, url: string, directory: string): Promise<Wakened> {
  return subject.who === "emmett" ? beginEmmett(url, subject.pulling) : beginOurs(url, directory, subject.processes);
}

async function beginOurs(url: string, directory: string, processes: 1 | 2): Promise<Wakened> {
  const service = processes === 1 ? orders : writes;
  const running = await service.start({ store: postgres(url, { directory }) });
  const { log } = runtimeOf(running);
  const other = processes === 2 ? await otherReader(url, directory) : undefined;
  const applied = other?.applied ?? appliedIn(running);
  return {
    apply: async (index) => {
      const outcome = await log.append({
        stream: streamOf("order", `order-${index}`),
        expected: "none",
        events: [{ type: "order.placed", data: orderPlaced(index) }],
      });
      assert(outcome.kind === "appended");
      await applied((outcome.events[0] as StoredEvent).position);
    },
    close: async () => {
      other?.stop();
      await running.stop();
    },
  };
}

/** Resolves when a position is applied. */
export type Applied = (position: number) => Promise<void>;

/** By the view's reader of a service that runs in this process. */
export function appliedIn(running: Parameters<typeof runtimeOf>[0]): Applied {
  const { reader } = runtimeOf(running).view("order-summary");
  return async (position) => assert.ok(await reader.waitFor(position as Position, appliedMs), `position ${position} was not applied`);
}

/** A reader in another process, which says of each position when it is applied. */
async function otherReader(url: string, directory: string): Promise<{ applied: Applied; stop(): void }> {
  const worker = forkWorker(join(import.meta.dirname, "other-reader.ts"), [url, join(directory, "other")]);
  await worker.hear<"open">();
  const waiting = new Map<number, () => void>();
  const listen = async (): Promise<void> => {
    for (;;) {
      const position = await worker.hear<number>();
      waiting.get(position)?.();
      waiting.delete(position);
    }
  };
  listen().catch(() => undefined); // it ends with the worker
  return {
    applied: async (position) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      waiting.set(position, resolve);
      worker.say(position);
      await promise;
    },
    stop: () => worker.stop(),
  };
}

async function beginEmmett(url: string, pulling: { batchSize?: number; pullingFrequencyInMs?: number }): Promise<Wakened> {
  const { getPostgreSQLEventStore } = await import("@event-driven-io/emmett-postgresql");
  const store = getPostgreSQLEventStore(url);
  await store.schema.migrate();
  const consumer = store.consumer({ pulling });
  const waiting = new Map<string, () => void>();
  consumer.reactor({
    processorId: "wake-up",
    startFrom: "BEGINNING",
    eachMessage: ({ metadata }) => {
      waiting.get(metadata.streamName)?.();
      waiting.delete(metadata.streamName);
    },
  });
  void consumer.start();
  return {
    apply: async (index) => {
      const stream = `order-${index}`;
      const { promise: applied, resolve } = Promise.withResolvers<void>();
      waiting.set(stream, resolve);
      const { createdNewStream } = await store.appendToStream(stream, [{ type: "order.placed", data: orderPlaced(index) }], {
        expectedStreamVersion: "STREAM_DOES_NOT_EXIST",
      });
      assert.ok(createdNewStream);
      await applied;
    },
    close: async () => {
      await closeEmmett(store, consumer);
    },
  };
}
