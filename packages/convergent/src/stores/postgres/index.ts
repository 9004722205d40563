/** Entry point `convergent/postgres`. */
import { resolve } from "node:path";
import { ConvergentError } from "../../errors/error.ts";
import { nodeHost } from "../../host-node/host.ts";
import type { Host } from "../../host/host.ts";
import type { StoreDriver } from "../../log/store.ts";
import { transactionLimitMs } from "../gate.ts";
import { FileVault } from "../files/file-vault.ts";
import { type FoundStore, lookAt } from "./look.ts";
import { PostgresStore } from "./postgres-store.ts";
import { migrations } from "./schema.ts";

export { commitFailure } from "./staging.ts";
export type { FoundStore };

/** How a PostgreSQL store behaves. */
export interface PostgresOptions {
  /** The schema that holds its tables; made when it is missing. One a service. Default "convergent". */
  readonly schema?: string;
  /**
   * Where wake-ups of other processes are listened for. Default: the same URL. Behind a pooler in transaction mode, give the URL of
   * the server itself, or false: then others' commits are noticed twice a second.
   */
  readonly listen?: string | false;
  /** Directory of this process's own files: the witness that notices an older copy of the database. Default ".convergent". */
  readonly directory?: string;
  /** File of the keys of persons, outside the database and its copies. Without one nothing can be sealed. */
  readonly keys?: string;
  /** Clock, randomness and timers; the real ones unless given. */
  readonly host?: Host;
  /** Reads that may have a snapshot open at once. Default 8; writes take three connections, wake-ups one. */
  readonly readConnectionsMax?: number;
  /** How long a connection is waited for, in milliseconds. Default 10,000. */
  readonly connectLimitMs?: number;
  /** How long a write transaction may stay open, in milliseconds. Default 10,000. */
  readonly transactionLimitMs?: number;
  /** How long another process's lock is waited for, in milliseconds. Default 30,000. */
  readonly lockWaitLimitMs?: number;
  /** How long one statement may run, in milliseconds. Default 30,000. */
  readonly statementLimitMs?: number;
  /** A replica that lacks events older than this is not read from until it has caught up, in milliseconds. Default 10,000. */
  readonly replicaLagMaxMs?: number;
}

/** A primary with its read replicas, each by the URL of its own server. */
export interface PostgresServers {
  readonly primary: string;
  /** Standbys of the primary by streaming replication. Reads of views go there where they are fresh enough for what is asked. */
  readonly replicas: readonly string[];
}

/** Characters of a name in PostgreSQL. */
const nameMax = 63;

const connectLimitMs = 10_000;
const statementLimitMs = 30_000;

/**
 * A store in one schema of a PostgreSQL database, 14 or later. Any number of processes may open it; they wake each other's
 * readers by NOTIFY. With replicas, reads of views are answered by one that is fresh enough, by what it says itself; all
 * else, and what no replica can answer, goes to the primary.
 */
export function postgres(servers: string | PostgresServers, options: PostgresOptions = {}): StoreDriver {
  const { primary: url, replicas } = typeof servers === "string" ? { primary: servers, replicas: [] } : servers;
  const at = placeOf(url);
  const schema = schemaIn(options);
  const host = options.host ?? nodeHost();
  const { keys } = options;
  return {
    host,
    open: ({ name }) =>
      PostgresStore.open({
        host,
        name,
        url,
        listenUrl: options.listen === false ? undefined : (options.listen ?? url),
        schema,
        place: `${at}, schema ${schema}`,
        witness: resolve(options.directory ?? ".convergent", `${at.replace(/[^\w.-]+/g, "-")}-${schema}-witness`),
        vault: keys === undefined ? undefined : new FileVault(resolve(keys), host.random),
        readConnections: options.readConnectionsMax ?? 8,
        connectMs: options.connectLimitMs ?? connectLimitMs,
        transactionLimitMs: options.transactionLimitMs ?? transactionLimitMs,
        lockWaitMs: options.lockWaitLimitMs ?? 30_000,
        replicas: replicas.map((replica) => ({ url: replica, place: placeOf(replica) })),
        statementMs: options.statementLimitMs ?? statementLimitMs,
        replicaLagMaxMs: options.replicaLagMaxMs ?? 10_000,
      }),
  };
}

/**
 * The store in a schema of a database, without opening it and without making one: whose it is, and how many processes have it
 * open. Undefined when there is none. Throws `store_broken` when the schema holds something else, and `unavailable`.
 */
export function findStore(url: string, options: Pick<PostgresOptions, "schema" | "host"> = {}): Promise<FoundStore | undefined> {
  const schema = schemaIn(options);
  const limits = { connectMs: connectLimitMs, statementMs: statementLimitMs };
  return lookAt({ host: options.host ?? nodeHost(), url, schema, place: `${placeOf(url)}, schema ${schema}`, ...limits });
}

/** What the opening of a store would run, and has not run yet. */
export interface Migration {
  /** Version of the tables afterwards. */
  readonly to: number;
  /** The statements, with `search_path` at the schema. */
  readonly script: string;
}

/** The migrations that bring tables of a version up to this release, in order; from 0 they make them. None when there is nothing to do. */
export function migrationsFrom(version: number): readonly Migration[] {
  return migrations.filter(({ to }) => to > version);
}

function schemaIn({ schema = "convergent" }: Pick<PostgresOptions, "schema">): string {
  if (schema !== "" && schema.length <= nameMax && !/^pg_|[^\w-]/.test(schema)) return schema;
  throw new ConvergentError(
    "definition_invalid",
    `"${schema}" is no name for a schema: it has 1 to ${nameMax} letters, digits, "_" and "-", and does not begin with pg_`,
  );
}

/** A database as messages name it: without the password. */
function placeOf(url: string): string {
  let parsed: URL;
  try {
    parsed = new URL(url);
    if (!/^postgres(?:ql)?:$/.test(parsed.protocol)) throw new Error("another protocol");
  } catch (cause) {
    throw new ConvergentError("definition_invalid", `postgres("…") takes a URL such as postgres://user:password@host:5432/database`, {
      cause,
    });
  }
  const socket = parsed.searchParams.get("host");
  return `${socket ?? (parsed.host || "localhost")}${parsed.pathname === "/" || parsed.pathname === "" ? "" : parsed.pathname}`;
}
