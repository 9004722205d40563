/**
 * Opens a store's file: makes its directory, refuses what is not ours or cannot be kept safe, creates the tables and
 * the identity at the first opening, and brings older tables up to date. Two processes may do this at once: one
 * transaction decides, the other finds it done.
 */
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { ConvergentError } from "../../errors/error.ts";
import type { Host } from "../../host/host.ts";
import { newEpochId } from "../../log/epochs.ts";
import type { Identity } from "../../log/store.ts";
import { ownerSentence } from "../../log/unfinished-copy.ts";
import { advance, origin } from "../../position/position.ts";
import { Database } from "./database.ts";
import { unwritable } from "../files/unwritable.ts";
import { whenUnlocked } from "./lock-wait.ts";
import { epochsOf } from "./standing.ts";
import { createTables, migrations, schemaVersion } from "./schema.ts";

export interface OpenOptions {
  readonly host: Host;
  readonly path: string;
  readonly name: string;
  readonly lockWaitMs: number;
}

/** Opens or creates the file. Throws `sqlite_unsupported` and the `store_…` codes, each with the way out. */
export async function openFile(options: OpenOptions): Promise<{ database: Database; identity: Identity }> {
  makeDirectory(dirname(options.path));
  const database = Database.open(options.path);
  try {
    await retried(options, () => refuseUnsafe(database));
    await retried(options, () => refuseForeign(database));
    await retried(options, () => configure(database));
    await retried(options, () => database.run("BEGIN IMMEDIATE"));
    syncRecovered(database.path);
    const identity = readOrCreate(database, options);
    database.commit();
    return { database, identity };
  } catch (error) {
    database.close();
    throw error;
  }
}

/** Opens a further connection to a file that `openFile` has opened. */
export function connect(path: string): Database {
  const database = Database.open(path);
  try {
    configure(database);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

async function retried(options: OpenOptions, attempt: () => void): Promise<void> {
  await whenUnlocked(options.host, attempt, { path: options.path, ms: options.lockWaitMs });
}

/** Whether a release of SQLite has WAL and does not lose it: 3.7.0 to 3.51.2 can corrupt a file when the WAL is reset. */
export function isSafe(version: string): boolean {
  const [major = 0, minor = 0, patch = 0] = version.split(".").map(Number);
  return major > 3 || (major === 3 && (minor > 51 || (minor === 51 && patch >= 3)));
}

// Even this question reads the schema, and meets the lock of a process that is just creating the store.
function refuseUnsafe(database: Database): void {
  const version = String(database.get("SELECT sqlite_version()")?.[0]);
  if (isSafe(version)) return;
  throw new ConvergentError(
    "sqlite_unsupported",
    `this Node carries SQLite ${version}; releases before 3.51.3 can corrupt a database in WAL mode. Run a newer Node, 24.15 or later`,
    { details: { version } },
  );
}

// A new directory's entry is synced too, or a crash could lose the store whole. SQLite does this for the files in it.
function makeDirectory(path: string): void {
  try {
    const first = mkdirSync(path, { recursive: true });
    if (first === undefined) return;
    for (let made = path; made.length >= first.length; made = dirname(made)) syncDirectory(dirname(made));
  } catch (cause) {
    throw unwritable(path, cause);
  }
}

function syncDirectory(path: string): void {
  const directory = openSync(path, "r");
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}

// Recovery takes a commit that lies whole in the WAL for committed, also when its process was killed before it synced it: what
// is about to be shown to readers and answered to retries must not be lost to a power cut after that. No lock of SQLite lies on this
// file, so that closing it here gives none away.
function syncRecovered(path: string): void {
  const wal = `${path}-wal`;
  if (!existsSync(wal)) return;
  try {
    const file = openSync(wal, "r+");
    try {
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
  } catch (cause) {
    throw unwritable(path, cause);
  }
}

// Before anything is changed: an SQLite file of somebody else stays as it was.
function refuseForeign(database: Database): void {
  const [tables, ours] = database.get("SELECT count(*), total(name = 'convergent_store') FROM sqlite_schema") ?? [];
  if (tables === 0 || ours === 1) return;
  throw new ConvergentError(
    "store_broken",
    `${database.path} is an SQLite database of something else: it has tables, and none of a store. Give the store a file of its own`,
    { details: { path: database.path } },
  );
}

// L2: with FULL, SQLite syncs the WAL before COMMIT returns. The setting is read back, because an unknown one is ignored in silence.
function configure(database: Database): void {
  const mode = database.get("PRAGMA journal_mode = WAL")?.[0];
  if (mode !== "wal") throw unwritable(database.path, new Error(`the file system keeps no WAL, the journal mode stays "${String(mode)}"`));
  // What is deleted or replaced is overwritten with zeros, so that a forgotten person's documents do not stay in free pages.
  database.script("PRAGMA secure_delete = ON");
  database.script("PRAGMA synchronous = FULL; PRAGMA cache_size = -16384; PRAGMA journal_size_limit = 67108864");
  const synchronous = database.get("PRAGMA synchronous")?.[0];
  if (synchronous !== 2) throw unwritable(database.path, new Error(`synchronous = FULL was not accepted, it is ${String(synchronous)}`));
}

function readOrCreate(database: Database, { host, path, name }: OpenOptions): Identity {
  const [exists] = database.get("SELECT count(*) FROM sqlite_schema WHERE name = 'convergent_store'") ?? [];
  if (exists === 0) {
    database.script(createTables);
    const key = host.random.id() + host.random.id();
    database.run("INSERT INTO convergent_store (one, schema_version, name, signing_key) VALUES (1, ?, ?, ?)", schemaVersion, name, key);
    database.run("INSERT INTO convergent_epochs (number, id, first) VALUES (1, ?, ?)", newEpochId(host.random), advance(origin, 1));
  }
  const row = database.get("SELECT schema_version, name, signing_key FROM convergent_store");
  if (!row) throw broken(path, "its table convergent_store is empty");
  bringUpToDate(database, row[0] as number);
  if (row[1] !== name) {
    throw new ConvergentError("store_mismatch", `${ownerSentence(path, String(row[1]), name)}; each service has a file of its own`, {
      details: { path, owner: row[1], name },
    });
  }
  const epochs = epochsOf(database);
  if (epochs.length === 0) throw broken(path, "its table convergent_epochs is empty");
  return { store: name, key: row[2] as string, epochs };
}

function bringUpToDate(database: Database, found: number): void {
  if (found > schemaVersion) {
    throw new ConvergentError(
      "store_newer",
      `${database.path} has tables of version ${found}, this release knows versions up to ${schemaVersion}; run the newer release, or restore a copy from before the upgrade`,
      { details: { path: database.path, found, known: schemaVersion } },
    );
  }
  if (found === schemaVersion) return;
  for (const { to, script } of migrations) if (to > found) database.script(script);
  database.run("UPDATE convergent_store SET schema_version = ?", schemaVersion);
}

function broken(path: string, why: string): ConvergentError {
  return new ConvergentError("store_broken", `${path} is damaged: ${why}; put back a copy of it, or move it away to begin an empty store`, {
    details: { path },
  });
}
