// The ceilings of our appends: the rows that they write, inserted with nothing decided around it.
import { Log } from "convergent";
import { postgres } from "convergent/postgres";
import pg from "pg";
import type { SubjectCode } from "../bench.ts";
import { orderPlaced } from "../workload.ts";
import { withDatabase } from "./database.ts";

const warmUpMs = 500;

// One statement, and so one round trip and one flush.
const insertBoth = `WITH events AS (
    INSERT INTO convergent.events (position, id, stream, version, type, at, data, metadata, digest)
    SELECT position, id, stream, 1, 'order.placed', 1700000000000, data, '{}', digest
    FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[]) AS given (position, id, stream, data, digest))
  INSERT INTO convergent.ids (scope, id, voided, digest, stream, first_version, last_version, position, at)
  SELECT 'bench', id, false, digest, stream, 1, 1, position, 1700000000000
  FROM unnest($1::bigint[], $6::text[], $3::text[], $5::text[]) AS given (position, id, stream, digest)`;

export interface RawOptions {
  readonly rowsPerStatement: number;
  /** Each sends its next statement when the one before is committed. */
  readonly connections: number;
}

/** Figure: `rate` in events/s, each with all its rows. */
export function rawPostgres({ rowsPerStatement, connections }: RawOptions): SubjectCode {
  return {
    sample: ({ directory, boxMs }) =>
      withDatabase(directory, {}, async (url) => {
        await (await Log.open(postgres(url, { directory }), "orders")).close(); // it makes the tables
        const startedAt = performance.now();
        let given = 0;
        let counted = 0;
        const insert = async (): Promise<void> => {
          const client = new pg.Client({ connectionString: url });
          await client.connect();
          while (performance.now() - startedAt < boxMs) {
            const rows = Array.from({ length: rowsPerStatement }, () => ++given);
            await client.query({ name: "insert", text: insertBoth, values: valuesOf(rows) });
            if (performance.now() - startedAt > warmUpMs) counted += rowsPerStatement;
          }
          await client.end();
        };
        await Promise.all(Array.from({ length: connections }, insert));
        return { rate: counted / ((performance.now() - startedAt - warmUpMs) / 1_000) };
      }),
  };
}

function valuesOf(rows: readonly number[]): unknown[] {
  return [
    rows,
    rows.map((position) => `${position}`.padStart(26, "q")),
    rows.map((position) => `order/order-${position}`),
    rows.map((position) => JSON.stringify(orderPlaced(position))),
    rows.map((position) => `${position}`.padStart(43, "d")),
    rows.map((position) => `request-${position}`),
  ];
}
