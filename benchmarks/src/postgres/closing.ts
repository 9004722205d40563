// The end of emmett in a sample. Its pool says that it is closed before its connections are, and one that the server ends meanwhile
// ends the process.
import { setTimeout as pause } from "node:timers/promises";
import type { PostgresConsumer, PostgresEventStore } from "@event-driven-io/emmett-postgresql";

const goodbyesMs = 200;

export async function closeEmmett(store: PostgresEventStore, consumer?: PostgresConsumer): Promise<void> {
  await consumer?.stop();
  await store.close();
  await pause(goodbyesMs);
}
