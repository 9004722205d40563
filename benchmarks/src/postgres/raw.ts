// The ceiling of our appends: the rows that they write, inserted a thousand at a time over one connection, with nothing around it.
import { Log } from "convergent";
import { postgres } from "convergent/postgres";
import pg from "pg";
import type { SubjectCode } from "../bench.ts";
import { orderPlaced } from "../workload.ts";
import { withDatabase } from "./database.ts";

const rowsPerStatement = 1_000;
const warmUpStatements = 20;

const insertEvents = `INSERT INTO convergent.events (position, id, stream, version, type, at, data, metadata, digest)
  SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::integer[], $5::text[], $6::bigint[], $7::text[], $8::text[], $9::text[])`;
const insertIds = `INSERT INTO convergent.ids (scope, id, voided, digest, stream, first_version, last_version, position, at)
  SELECT 'bench', id, false, digest, stream, 1, 1, position, 1700000000000
  FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) AS given (id, digest, stream, position)`;

/** Figure: `rate` in events/s, each with all its rows. */
export const rawPostgres: SubjectCode = {
  sample: ({ directory, boxMs }) =>
    withDatabase(directory, {}, async (url) => {
      await (await Log.open(postgres(url, { directory }), "orders")).close(); // it makes the tables
      const client = new pg.Client({ connectionString: url });
      await client.connect();
      let startedAt = performance.now();
      let counted = 0;
      for (let statement = 0; performance.now() - startedAt < boxMs; statement++) {
        if (statement === warmUpStatements) [startedAt, counted] = [performance.now(), 0];
        const rows = Array.from({ length: rowsPerStatement }, (_, index) => statement * rowsPerStatement + index + 1);
        const ids = rows.map((position) => `${position}`.padStart(26, "q"));
        const digests = rows.map((position) => `${position}`.padStart(43, "d"));
        const streams = rows.map((position) => `order/order-${position}`);
        await client.query("BEGIN");
        await client.query(insertEvents, [
          rows,
          ids,
          streams,
          rows.map(() => 1),
          rows.map(() => "order.placed"),
          rows.map(() => 1_700_000_000_000),
          rows.map((position) => JSON.stringify(orderPlaced(position))),
          rows.map(() => "{}"),
          digests,
        ]);
        await client.query(insertIds, [rows.map((position) => `request-${position}`), digests, streams, rows]);
        await client.query("COMMIT");
        counted += rowsPerStatement;
      }
      await client.end();
      return { rate: counted / ((performance.now() - startedAt) / 1_000) };
    }),
};
