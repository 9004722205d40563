// One event to a new stream each, by ours and by emmett's: the same events, on the same server.
import assert from "node:assert";
import { Log } from "convergent";
import { postgres } from "convergent/postgres";
import { appendOne } from "../convergent/log.ts";
import { orderPlaced } from "../workload.ts";
import { closeEmmett } from "./closing.ts";

export type Who = "convergent" | "emmett";

export interface Appender {
  append(index: number): Promise<unknown>;
  close(): Promise<void>;
}

/** What appends the event with an index; `directory` is for files of its own. */
export async function appender(who: Who, url: string, directory: string): Promise<Appender> {
  if (who === "convergent") {
    const log = await Log.open(postgres(url, { directory }), "orders");
    return { append: (index) => appendOne(log, index), close: () => log.close() };
  }
  const { getPostgreSQLEventStore } = await import("@event-driven-io/emmett-postgresql");
  const store = getPostgreSQLEventStore(url);
  await store.schema.migrate();
  const append = async (index: number): Promise<void> => {
    const { createdNewStream } = await store.appendToStream(`order-${index}`, [{ type: "order.placed", data: orderPlaced(index) }], {
      expectedStreamVersion: "STREAM_DOES_NOT_EXIST",
    });
    assert.ok(createdNewStream);
  };
  return { append, close: () => closeEmmett(store) };
}
