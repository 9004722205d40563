// Fills the tables of both stores by SQL, because a million appends take minutes. The rows are not guessed: each store appends the
// first event itself, and that row is the pattern for the others. Events come round-robin over the streams, as from many writers.
import assert from "node:assert";
import { Log, streamOf } from "convergent";
import { postgres } from "convergent/postgres";
import pg from "pg";
import { distinctOrders, orderPlaced } from "../workload.ts";
import type { Who } from "./appends.ts";
import { closeEmmett } from "./closing.ts";
import { withDatabase } from "./database.ts";

export interface Size {
  readonly streams: number;
  readonly eventsPerStream: number;
}

const type = "order.placed";

/** Makes the data of a server in `directory`, whose log one of the two stores can read. */
export async function seed(who: Who, directory: string, size: Size): Promise<void> {
  await withDatabase(directory, { seeding: true }, async (url) => {
    await (who === "convergent" ? appendFirst(url, directory) : appendFirstOfEmmett(url));
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    await (who === "convergent" ? fillOurs(client, size) : fillEmmett(client, size));
    await client.query("VACUUM (ANALYZE)");
    await client.end();
  });
}

/** Numbers of the events after the first one, each with its data. */
const numbered = `generate_series(1, $2::bigint * $3 - 1) AS number
  JOIN unnest($1::text[]) WITH ORDINALITY AS payload (text, place) ON payload.place = 1 + number % cardinality($1)`;

function parametersOf({ streams, eventsPerStream }: Size): unknown[] {
  return [Array.from({ length: distinctOrders }, (_, index) => JSON.stringify(orderPlaced(index))), streams, eventsPerStream];
}

async function appendFirst(url: string, directory: string): Promise<void> {
  const log = await Log.open(postgres(url, { directory }), "orders");
  await log.append({ stream: streamOf("order", "order-0"), expected: "none", events: [{ type, data: orderPlaced(0) }] });
  await log.close();
}

/** What `eventDigest` makes of a row, for texts of ASCII. */
const digest = `translate(rtrim(encode(sha256(convert_to(
    length(id) || '.' || length(stream) || '.' || length(type) || '.' || length(data) || '.' || id || stream || type || data || metadata,
    'UTF8')), 'base64'), '='), '+/', '-_')`;

async function fillOurs(client: pg.Client, size: Size): Promise<void> {
  const { rows } = await client.query<{ same: boolean }>(`SELECT digest = ${digest} AS same FROM convergent.events`);
  assert.deepEqual(rows, [{ same: true }], "the digest of the store's own event is another one");
  await client.query(
    `INSERT INTO convergent.events (position, id, stream, version, type, at, data, metadata, digest)
    SELECT *, ${digest} FROM (
      SELECT number + 1, left(first.id, -12) || lpad(number::text, 12, '0') AS id, 'order/order-' || number % $2 AS stream,
        number / $2 + 1, first.type, first.at, payload.text AS data, first.metadata
      FROM ${numbered} CROSS JOIN (SELECT * FROM convergent.events WHERE position = 1) AS first) AS made`,
    parametersOf(size),
  );
}

async function appendFirstOfEmmett(url: string): Promise<void> {
  const { getPostgreSQLEventStore } = await import("@event-driven-io/emmett-postgresql");
  const store = getPostgreSQLEventStore(url);
  await store.schema.migrate();
  await store.appendToStream("order-0", [{ type, data: orderPlaced(0) }]);
  await closeEmmett(store);
}

async function fillEmmett(client: pg.Client, size: Size): Promise<void> {
  await client.query(
    `INSERT INTO emt_messages (stream_id, stream_position, global_position, partition, message_data, message_metadata,
      message_schema_version, message_type, message_kind, message_id, transaction_id)
    SELECT 'order-' || number % $2, number / $2 + 1, first.global_position + number, first.partition, payload.text::jsonb, first.message_metadata,
      first.message_schema_version, first.message_type, first.message_kind, gen_random_uuid()::text, pg_current_xact_id()
    FROM ${numbered} CROSS JOIN (SELECT * FROM emt_messages) AS first`,
    parametersOf(size),
  );
  await client.query(
    `INSERT INTO emt_streams (stream_id, stream_position, partition, stream_type, stream_metadata, is_archived)
    SELECT 'order-' || number, $2, partition, stream_type, stream_metadata, is_archived
    FROM emt_streams CROSS JOIN generate_series(1, $1::bigint - 1) AS number`,
    [size.streams, size.eventsPerStream],
  );
  await client.query("UPDATE emt_streams SET stream_position = $1 WHERE stream_id = 'order-0'", [size.eventsPerStream]);
  await client.query("SELECT setval('emt_global_message_position', (SELECT max(global_position) FROM emt_messages))");
}
