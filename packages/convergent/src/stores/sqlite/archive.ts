/**
 * The archive: a second file, `<path>-archive`, with events of streams that have ended, so that the store itself stays
 * small. Nothing leaves the log: every read finds archived events as before (L1, L3), a little slower.
 *
 * - An event is copied and synced there before it is deleted here. A crash in between leaves it in both files, which
 *   harms nobody: what the store itself holds counts.
 * - The last event of each stream stays in the store: there are its head and the head of the log.
 * - The store names its archive before anything is moved, and every snapshot asks for that name with its first statement; so no
 *   process meets a gap that it cannot explain.
 */
import { existsSync, renameSync, rmSync } from "node:fs";
import { ConvergentError } from "../../errors/error.ts";
import type { Host } from "../../host/host.ts";
import type { Database, Row } from "./database.ts";
import { whenUnlocked } from "./lock-wait.ts";
import { connect } from "./open.ts";
import * as sql from "./queries.ts";

const tables = `
CREATE TABLE convergent_archive (one INTEGER PRIMARY KEY CHECK (one = 1), id TEXT NOT NULL) STRICT;
CREATE TABLE convergent_events (
  position INTEGER PRIMARY KEY,
  id TEXT NOT NULL,
  stream TEXT NOT NULL,
  version INTEGER NOT NULL,
  type TEXT NOT NULL,
  at INTEGER NOT NULL,
  data TEXT NOT NULL,
  metadata TEXT NOT NULL,
  digest TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX convergent_events_by_stream ON convergent_events (stream, version);
`;

export function archivePath(path: string): string {
  return `${path}-archive`;
}

/** Makes an empty archive for the store in `path` and returns its id. A file that no store names is moved aside. */
export function createArchive(path: string, id: string): void {
  const file = archivePath(path);
  for (const end of ["-wal", "-shm"]) rmSync(`${file}.old${end}`, { force: true });
  if (existsSync(file)) for (const end of ["", "-wal", "-shm"]) if (existsSync(file + end)) renameSync(file + end, `${file}.old${end}`);
  const database = connect(file);
  try {
    database.run("BEGIN IMMEDIATE");
    database.script(tables);
    database.run("INSERT INTO convergent_archive (one, id) VALUES (1, ?)", id);
    database.commit();
  } finally {
    database.close();
  }
}

/** The archive of a store as one process reads it. What is in it never changes, so no snapshot is needed: only what a snapshot lacks is asked for. */
export class Archive {
  readonly id: string;
  readonly #database: Database;

  private constructor(id: string, database: Database) {
    this.id = id;
    this.#database = database;
  }

  /** Throws `store_broken` when the file is missing or is another one's. */
  static open(path: string, id: string): Archive {
    const file = archivePath(path);
    if (!existsSync(file)) throw lost(path, "it is missing");
    const database = connect(file);
    const found = database.get("SELECT id FROM convergent_archive")?.[0];
    if (found === id) return new Archive(id, database);
    database.close();
    throw lost(path, "it belongs to another store or to another time of this one");
  }

  events(after: number, upTo: number, limit: number, types?: readonly string[]): Row[] {
    return this.#database.all(types ? sql.readEventsOfTypes(types.length) : sql.readEvents, after, upTo, ...(types ?? []), limit);
  }

  streamEvents(stream: string, after: number, upTo: number, limit: number): Row[] {
    return this.#database.all(sql.readStreamEvents, stream, after, upTo, limit);
  }

  at(position: number): Row | undefined {
    return this.#database.get(sql.readEvents, position - 1, position, 1);
  }

  /** Copies events here; when this resolves they are on the disk. One that is there already gives way: the store's own counts. */
  async add(rows: readonly Row[], host: Host): Promise<void> {
    const database = this.#database;
    await whenUnlocked(host, () => database.run("BEGIN IMMEDIATE"), { path: database.path, ms: 30_000 });
    try {
      for (const row of rows) database.run(sql.archiveEvent, ...row);
      database.commit();
    } catch (error) {
      database.rollback();
      throw error;
    }
  }

  close(): void {
    this.#database.close();
  }
}

function lost(path: string, why: string): ConvergentError {
  return new ConvergentError(
    "store_broken",
    `${path} has moved events to its archive ${archivePath(path)}, and ${why}; put the file back, or restore a backup, which holds both`,
    { details: { path } },
  );
}
