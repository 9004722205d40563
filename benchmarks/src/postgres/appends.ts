// One event to a new stream each, by ours and by emmett's: the same events, on the same server.
import assert from "node:assert";
import { Log } from "convergent";
import { postgres } from "convergent/postgres";
import { appendOne } from "../convergent/log.ts";
import { orderPlaced } from "../workload.ts";

export type Who = "convergent" | "emmett";

/** What appends the event with an index; `directory` is for files of its own. */
export async function appender(who: Who, url: string, directory: string): Promise<(index: number) => Promise<unknown>> {
  if (who === "convergent") {
    const log = await Log.open(postgres(url, { directory }), "orders");
    return (index) => appendOne(log, index);
  }
  const { getPostgreSQLEventStore } = await import("@event-driven-io/emmett-postgresql");
  const store = getPostgreSQLEventStore(url);
  await store.schema.migrate();
  return async (index) => {
    const { createdNewStream } = await store.appendToStream(
      `order-${index}`,
      [{ type: "order.placed", data: orderPlaced(index) }],
      { expectedStreamVersion: "STREAM_DOES_NOT_EXIST" },
    );
    assert.ok(createdNewStream);
  };
}
