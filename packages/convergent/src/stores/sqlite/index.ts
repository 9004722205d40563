/** Entry point `convergent/sqlite`. */
import { resolve } from "node:path";
import { ConvergentError } from "../../errors/error.ts";
import { nodeHost } from "../../host-node/host.ts";
import type { Host } from "../../host/host.ts";
import type { StoreDriver } from "../../log/store.ts";
import { transactionLimitMs } from "../gate.ts";
import { lockWaitLimitMs } from "./lock-wait.ts";
import { readConnectionsMax } from "./read-pool.ts";
import { SqliteStore } from "./sqlite-store.ts";

/** How a SQLite store behaves. */
export interface SqliteOptions {
  /** Clock, randomness and timers; the real ones unless given. */
  readonly host?: Host;
  /** How long a write transaction may stay open, in milliseconds. Default 10,000. */
  readonly transactionLimitMs?: number;
  /** How long another process's lock is waited for, in milliseconds. Default 30,000. */
  readonly lockWaitLimitMs?: number;
  /** Reads that may have a snapshot open at once. Default 8. */
  readonly readConnectionsMax?: number;
}

/**
 * A store in one SQLite file, in WAL mode, synced at every commit. Several processes of one machine may open the
 * file; they wake each other's readers through `<path>-bell`. Not for network file systems: WAL needs shared memory.
 */
export function sqlite(path: string, options: SqliteOptions = {}): StoreDriver {
  if (path === "" || path === ":memory:")
    throw new ConvergentError("definition_invalid", `sqlite("${path}") names no file; for a store without one use memory()`);
  const host = options.host ?? nodeHost();
  return {
    host,
    open: ({ name }) =>
      SqliteStore.open({
        host,
        name,
        path: resolve(path),
        transactionLimitMs: options.transactionLimitMs ?? transactionLimitMs,
        lockWaitMs: options.lockWaitLimitMs ?? lockWaitLimitMs,
        readConnections: options.readConnectionsMax ?? readConnectionsMax,
      }),
  };
}
