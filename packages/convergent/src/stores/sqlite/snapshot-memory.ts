/**
 * Answers to questions that most reads ask (head, checkpoints, whether anything is parked), remembered beside the connection
 * that gave them. They hold for one state of the file: the first statement of each snapshot asks for `data_version`, which
 * SQLite changes with every commit of another connection, and these connections commit nothing.
 *
 * The sixteen rows of a checkpoint cost 13 µs, the question whether they can have changed 0.24 µs.
 */
import type { Database } from "./database.ts";

/** Answers by the name of their question. Their number does not grow with data: a few for each reader. */
export type SnapshotMemory = Map<string, unknown>;

export class SnapshotMemories {
  readonly #known = new WeakMap<Database, { readonly version: unknown; readonly memory: SnapshotMemory }>();

  /** The first statement of a snapshot: takes it, and forgets what was so before. Calls `look` when anything may be otherwise than in this connection's last one. */
  take(database: Database, look: () => void): void {
    const version = dataVersion(database);
    if (this.#known.get(database)?.version === version) return;
    look(); // first: when it meets a lock, the next attempt must look again
    this.#known.set(database, { version, memory: new Map() });
  }

  /** What is remembered of the snapshot that a connection has open. */
  of(database: Database): SnapshotMemory {
    return this.#known.get(database)?.memory ?? new Map<string, unknown>();
  }
}

/** Changes with each commit of another connection. */
export function dataVersion(database: Database): unknown {
  return database.get("PRAGMA data_version")?.[0];
}
