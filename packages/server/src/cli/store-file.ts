/** A store file: it tells itself what it is and whose, and whether a process has it open. */
import { closeSync, existsSync, openSync, readSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { ConvergentError } from "convergent";

/** What a store lies in: a database, or the journal of a memory store, which one process opens at a time. */
export type StoreKind = "sqlite" | "journal";

/** The kind of a store file: by its first bytes, and by its name when there is no file yet. */
export function kindOf(path: string): StoreKind {
  if (!existsSync(path)) return path.endsWith(".journal") ? "journal" : "sqlite";
  return frontOf(path, journalFront.length) === journalFront ? "journal" : "sqlite";
}

const journalFront = "convergent-journal";

function frontOf(path: string, length: number): string {
  const file = openSync(path, "r");
  try {
    const bytes = Buffer.alloc(length);
    return bytes.toString("utf8", 0, readSync(file, bytes));
  } finally {
    closeSync(file);
  }
}

/** The service whose store lies in a file. Throws `not_found`, `store_broken`. */
export function ownerOfFile(path: string): string {
  if (!existsSync(path))
    throw new ConvergentError("not_found", `there is no file ${path}; name the store file of a service, for example data/orders.db`);
  if (kindOf(path) === "journal") return ownerOfJournal(path);
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path, { readOnly: true });
    const row = database.prepare("SELECT name FROM convergent_store").get();
    if (typeof row?.["name"] === "string") return row["name"];
  } catch (cause) {
    throw noStore(path, cause instanceof Error ? cause.message : String(cause), cause);
  } finally {
    database?.close();
  }
  throw noStore(path, "it names no service");
}

/** Whether a file is a database without any table: a process that was about to make a store of it was killed. */
export function isBlank(path: string): boolean {
  if (kindOf(path) === "journal") return false;
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path, { readOnly: true });
    return database.prepare("SELECT count(*) AS tables FROM sqlite_schema").get()?.["tables"] === 0;
  } catch {
    return false;
  } finally {
    database?.close();
  }
}

/** The same of a file that may be missing, or no store any more. */
export function ownerIfKnown(path: string): string | undefined {
  try {
    return ownerOfFile(path);
  } catch {
    return undefined;
  }
}

// The first transaction of a journal says whose it is.
function ownerOfJournal(path: string): string {
  const owner = /"store":"([a-z0-9-]+)"/.exec(frontOf(path, 400).split("\n")[1] ?? "")?.[1];
  if (owner === undefined) throw noStore(path, "it names no service");
  return owner;
}

/** Throws `store_in_use` when a process has the store open: in WAL mode every connection holds a lock as long as it lives. */
export function requireFileUnused(path: string): void {
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    database.exec("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; ROLLBACK");
  } catch (cause) {
    throw new ConvergentError(
      "store_in_use",
      `a process has ${path} open; stop its server first, because it would go on from what it remembers`,
      { cause },
    );
  } finally {
    database.close();
  }
}

function noStore(path: string, reason: string, cause?: unknown): ConvergentError {
  return new ConvergentError("store_broken", `${path} is no store of Convergent: ${reason}`, { cause, details: { path } });
}
