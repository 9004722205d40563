/** A store file as the command line opens it: it must exist, and it tells itself what it is and whose. */
import { closeSync, existsSync, openSync, readSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { ConvergentError, type Store, type StoreDriver } from "convergent";
import { memory } from "convergent/memory";
import { sqlite } from "convergent/sqlite";

/** What a store lies in: a database, or the journal of a memory store, which one process opens at a time. */
export type StoreKind = "sqlite" | "journal";

/** Opens the store in a file that exists. Throws `not_found`, and the `store_…` codes of the driver. */
export async function openStore(path: string): Promise<Store> {
  return driverOf(path, kindOf(path)).open({ name: ownerOf(path) });
}

/** The driver of a store in a file, which need not exist. */
export function driverOf(path: string, kind: StoreKind): StoreDriver {
  return kind === "sqlite" ? sqlite(path) : memory({ file: path });
}

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
export function ownerOf(path: string): string {
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

/** The same of a file that may be missing, or no store any more. */
export function ownerIfKnown(path: string): string | undefined {
  try {
    return ownerOf(path);
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
export function requireUnused(path: string): void {
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
