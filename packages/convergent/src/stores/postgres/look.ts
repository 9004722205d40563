/** What may be asked of a schema without opening a store in it: whether there is one, whose it is, and who has it open. */
import type { Host } from "../../host/host.ts";
import { ConvergentError } from "../../errors/error.ts";
import { Connections } from "./connection.ts";
import { quoted } from "./transactions.ts";
import { channelOf } from "./wake-ups.ts";

/** A store that was found in a schema. */
export interface FoundStore {
  /** The service it belongs to. */
  readonly owner: string;
  /** Processes that have it open and listen there, as far as the server tells this user. */
  readonly openBy: number;
  /** Version of its tables. */
  readonly tables: number;
}

export interface LookOptions {
  readonly host: Host;
  readonly url: string;
  readonly schema: string;
  /** How messages name the database and the schema. */
  readonly place: string;
  readonly connectMs: number;
  readonly statementMs: number;
}

/** The store in a schema; undefined when the schema is missing or empty. Throws `store_broken` when it is of something else. */
export async function lookAt(options: LookOptions): Promise<FoundStore | undefined> {
  const { host, url, schema, place, connectMs, statementMs } = options;
  const connections = new Connections({ timers: host.timers, url, place, connections: 1, connectMs, answerMs: statementMs });
  try {
    return await connections.use(async (connection) => {
      const tables = await connection.ask("SELECT tablename FROM pg_catalog.pg_tables WHERE schemaname = $1", [schema]);
      if (tables.count === 0) return undefined;
      if (!tables.rows.some(([name]) => name === "store"))
        throw new ConvergentError("store_broken", `${place} is a schema of something else: it has tables, and none of a store`);
      const named = await connection.ask(`SELECT name, schema_version FROM ${quoted(schema)}.store`);
      const open = await connection.ask(
        `SELECT count(DISTINCT pid)::integer FROM pg_catalog.pg_stat_activity
          WHERE datname = current_database() AND pid <> pg_backend_pid() AND strpos(query, $1) > 0`,
        [quoted(channelOf(schema))],
      );
      const [owner, version] = named.rows[0] ?? [];
      return { owner: String(owner), openBy: Number(open.rows[0]?.[0] ?? 0), tables: Number(version) };
    }, "open");
  } finally {
    await connections.close(connectMs);
  }
}
