/**
 * `convergent backup`: a copy of a store as it was at one moment, while its server goes on writing, verified before it has
 * its name. A database is copied page by page under one snapshot: writers wait for nothing, and the WAL keeps what they
 * write meanwhile. Personal keys lie in a file of their own and are never part of a backup.
 */
import { copyFileSync, existsSync, statSync } from "node:fs";
import { backup, DatabaseSync } from "node:sqlite";
import { ConvergentError, type Verification } from "convergent";
import { beginStore, finishFile, refuseExisting, removeStore, removeWal } from "./place.ts";
import { countOfEvents, megabytes, ProgressLine } from "./progress.ts";
import { kindOf, ownerIfKnown, ownerOfFile, requireFileUnused } from "./store-file.ts";
import { requireFilePlace } from "./store-place.ts";
import { verifyFile } from "./verify.ts";

/** Pages copied in one go, 2 MB; in between the disk belongs to the server. */
const pagesPerStep = 512;

const backupOfDatabase =
  "back its database up by the means of PostgreSQL, pg_dump or a base backup with its WAL, or make a file of it by convergent copy --to FILE";

export interface BackupOptions {
  readonly store: string;
  readonly to: string;
  readonly force?: true;
  readonly json?: true;
}

export async function backUp(options: BackupOptions): Promise<void> {
  const { store, to } = options;
  requireFilePlace(store, backupOfDatabase);
  requireFilePlace(to, "a backup is a file; convergent copy makes a store of a store");
  const name = ownerOfFile(store);
  if (!options.force) refuseExisting(to);
  // Whoever mistakes one option for the other must not put an old copy under a running server.
  else if (ownerIfKnown(to) !== undefined && kindOf(to) === "sqlite") requireFileUnused(to);
  const part = beginStore(to);
  try {
    await copyStore(store, part);
    const found = await verifyFile(part);
    requireSound(found, `the copy of ${store}`);
    const bytes = statSync(part).size;
    removeWal(to);
    finishFile(part, to);
    removeStore(part);
    if (options.json) console.log(JSON.stringify({ store: name, to, events: found.events, digest: found.digest, bytes }));
    else console.log(`${to} holds ${name} up to position ${found.last}: ${megabytes(bytes)}, digest ${found.digest}, verified`);
  } catch (error) {
    removeStore(part);
    throw error;
  }
}

/** Copies a store file as it is at one moment, whoever writes to it. */
export async function copyStore(path: string, to: string): Promise<void> {
  const progress = new ProgressLine({ what: `copying ${path}`, amount: megabytes });
  try {
    if (kindOf(path) === "journal") copyFileSync(path, to);
    else await copyDatabase(path, to, progress);
    progress.end(megabytes(statSync(to).size));
  } catch (error) {
    progress.clear();
    throw error;
  }
}

async function copyDatabase(path: string, to: string, progress: ProgressLine): Promise<void> {
  const source = new DatabaseSync(path, { timeout: 5000 });
  try {
    // The open snapshot keeps the copy from beginning anew whenever somebody commits.
    source.exec("BEGIN");
    const size = Number(source.prepare("PRAGMA page_size").get()?.["page_size"]);
    source.prepare("SELECT count(*) FROM sqlite_schema").get();
    await backup(source, to, {
      rate: pagesPerStep,
      progress: ({ totalPages, remainingPages }) => progress.show({ done: (totalPages - remainingPages) * size, of: totalPages * size }),
    });
  } finally {
    source.close();
  }
  takeInArchive(path, to, progress);
}

/** Positions that are taken in at a time. */
const positionsPerStep = 20_000;

// A copy is one file: what the store has moved to its archive is taken back in. The archive is read after the store was
// copied, so it holds all that the copy lacks; what both hold is the same, or the archive's is of a lost history.
function takeInArchive(path: string, to: string, progress: ProgressLine): void {
  const copy = new DatabaseSync(to);
  try {
    const columns = copy.prepare("SELECT count(*) AS n FROM pragma_table_info('convergent_store') WHERE name = 'archive'").get();
    if (columns?.["n"] === 0 || copy.prepare("SELECT archive FROM convergent_store").get()?.["archive"] === null) return;
    if (!existsSync(`${path}-archive`))
      throw new ConvergentError("store_broken", `the archive ${path}-archive is missing: the store alone lacks events; put the file back`);
    // A store that was moved refuses inserts by its triggers; the copy does so again when it is whole.
    const triggers = copy.prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").all();
    for (const { name } of triggers) copy.exec(`DROP TRIGGER ${String(name)}`);
    copy.prepare("ATTACH ? AS archived").run(`${path}-archive`);
    const last = Number(copy.prepare("SELECT max(position) AS last FROM main.convergent_events").get()?.["last"]);
    const take = copy.prepare(
      "INSERT OR IGNORE INTO main.convergent_events SELECT * FROM archived.convergent_events WHERE position > ? AND position <= ?",
    );
    for (let after = 0; after < last; after += positionsPerStep) {
      take.run(after, Math.min(last, after + positionsPerStep));
      progress.show({ done: after, of: last });
    }
    for (const { sql } of triggers) copy.exec(String(sql));
    copy.exec("UPDATE convergent_store SET archive = NULL, generation = generation + 1; DETACH archived; PRAGMA wal_checkpoint(TRUNCATE)");
  } finally {
    copy.close();
  }
}

/** Throws `store_broken` when a copy is not what a store has to be. */
export function requireSound(found: Verification, what: string): void {
  if (found.problemCount === 0) return;
  const [first] = found.problems;
  throw new ConvergentError(
    "store_broken",
    `${what} has ${found.problemCount} problems, the first at position ${first?.at ?? 0}: ${first?.message ?? ""}; it was thrown away. See: convergent verify`,
    { details: { problems: found.problems } },
  );
}

/** Throws `not_found` when there is no such file. */
export function requireFile(path: string): void {
  if (!existsSync(path)) throw new ConvergentError("not_found", `there is no file ${path}`);
}

/** Up to where a copy goes, in words. */
export function extentOf(found: Verification): string {
  return `${countOfEvents(found.events)} up to position ${found.last}`;
}
