/**
 * Puts files in place: they are made under another name beside it, synced and renamed, so that a command that is killed
 * at any moment leaves what was there before, and what it leaves over is swept away by the next one.
 *
 * A database that exists is not renamed over: a process that opens it at that moment would go on writing to the old
 * file, under the names of the new one's WAL. It is written over in one transaction instead, which a crash undoes.
 */
import { closeSync, existsSync, fsyncSync, linkSync, mkdirSync, openSync, renameSync, rmSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { backup, DatabaseSync } from "node:sqlite";
import { ConvergentError } from "convergent";
import { memory } from "convergent/memory";
import { kindOf, ownerOfFile, requireFileUnused } from "./store-file.ts";

/** Files that a store keeps beside its own. */
const beside = ["-wal", "-shm", "-bell", "-witness", "-archive", "-archive-wal", "-archive-shm", ".lock"];

/** Pages that are written over in one go; in between the event loop turns. */
const pagesPerStep = 4096;

/** Throws `invalid_input` when there is a file already. */
export function refuseExisting(path: string): void {
  if (existsSync(path))
    throw new ConvergentError("invalid_input", `${path} exists already; choose another name, or add --force to replace it`);
}

/** The name under which a file is made; an earlier attempt's is swept away. */
export function beginFile(path: string): string {
  mkdirSync(dirname(path), { recursive: true });
  const part = `${path}.part`;
  rmSync(part, { force: true });
  return part;
}

/** Syncs a file that was made under another name and gives it its own. */
export function finishFile(part: string, path: string): void {
  sync(part);
  renameSync(part, path);
  sync(dirname(path));
}

/** The name under which a store is made before it is put in place; what a killed attempt left there is swept away. Throws `unavailable` while one runs. */
export function beginStore(path: string): string {
  mkdirSync(dirname(path), { recursive: true });
  const part = `${path}.part`;
  // The last act of an attempt is to give the finished store its name; killed in between, both names mean one file.
  const isFinished = existsSync(part) && existsSync(path) && statSync(part).ino === statSync(path).ino;
  if (existsSync(part) && !isFinished && statSync(part).size > 0 && kindOf(part) === "sqlite") requireFileUnused(part);
  removeStore(part);
  return part;
}

/** Removes a store that is not open, with everything beside it. */
export function removeStore(path: string): void {
  for (const name of [path, ...beside.map((end) => path + end)]) rmSync(name, { force: true });
}

/** Puts a store that was made by `beginStore`, and is closed, in place of `path`, which nobody may have open. Throws `unavailable`. */
export async function putStore(part: string, path: string): Promise<void> {
  sync(part);
  if (!existsSync(path)) {
    removeWal(path);
    linkSync(part, path);
  } else if (kindOf(part) === "journal") await replaceJournal(part, path);
  else await replaceDatabase(part, path);
  removeStore(part);
  sync(dirname(path));
}

/** Removes the WAL of a database that is not there any more: SQLite would play it into the one that gets its name, and ruin it. */
export function removeWal(path: string): void {
  for (const end of ["-wal", "-shm"]) rmSync(path + end, { force: true });
}

// The lock of the old one is held until the new one has its name.
async function replaceJournal(part: string, path: string): Promise<void> {
  const old = await memory({ file: path }).open({ name: ownerOfFile(path) });
  renameSync(part, path);
  await old.close();
}

async function replaceDatabase(part: string, path: string): Promise<void> {
  if (isDamaged(path)) {
    for (const end of ["", "-wal", "-shm"]) if (existsSync(path + end)) renameSync(path + end, `${path}.damaged${end}`);
    linkSync(part, path);
    return;
  }
  requireFileUnused(path);
  const source = new DatabaseSync(part);
  try {
    await backup(source, path, { rate: pagesPerStep });
  } finally {
    source.close();
  }
  // What was put in place holds its whole log itself.
  for (const end of ["", "-wal", "-shm"]) rmSync(`${path}-archive${end}`, { force: true });
}

/** SQLITE_CORRUPT and SQLITE_NOTADB. */
const damagedCodes: readonly unknown[] = [11, 26];

function isDamaged(path: string): boolean {
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    database.prepare("SELECT count(*) FROM sqlite_schema").get();
    return false;
  } catch (error) {
    return error instanceof Error && "errcode" in error && damagedCodes.includes(Number(error.errcode) & 0xff);
  } finally {
    database.close();
  }
}

function sync(path: string): void {
  const file = openSync(path, "r");
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
