// Our log without a service around it: what is compared with a peer's event store.
import assert from "node:assert";
import { Log, streamOf } from "convergent";
import { orderPlaced } from "../workload.ts";
import { sqliteStore } from "./store.ts";

const service = "orders";
const type = "order.placed";
/** Under way at once while a file is filled. */
const fillInFlight = 256;
const seedInFlight = 8;

export function openLog(directory: string): Promise<Log> {
  return Log.open(sqliteStore(directory), service);
}

/** One event to an order of its own, all promises on: the order must not exist, and the append has an id. */
export async function appendOne(log: Log, index: number): Promise<void> {
  const outcome = await log.append({
    stream: streamOf("order", `order-${index}`),
    expected: "none",
    events: [{ type, data: orderPlaced(index) }],
    id: { scope: "bench", id: `request-${index}` },
  });
  assert.equal(outcome.kind, "appended");
}

/** Fills a file by the very appends that are measured; for the raw inserts, which copy its rows. */
export async function fillByAppends(directory: string, events: number): Promise<void> {
  const log = await openLog(directory);
  await inParallel(fillInFlight, events, (index) => appendOne(log, index));
  await log.close();
}

/** Fills a file with orders of many events each; every order is one append. */
export async function seedStreams(directory: string, size: { readonly streams: number; readonly eventsPerStream: number }): Promise<void> {
  const log = await openLog(directory);
  await inParallel(seedInFlight, size.streams, async (index) => {
    const events = Array.from({ length: size.eventsPerStream }, (_, version) => ({ type, data: orderPlaced(index + version) }));
    await log.append({ stream: streamOf("order", `order-${index}`), expected: "none", events });
  });
  await log.close();
}

async function inParallel(inFlight: number, count: number, run: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) await run(next++);
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
}
