/** A store file as the command line opens it: it must exist, and it tells itself whose it is. */
import { existsSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { ConvergentError, type Store } from "convergent";
import { sqlite } from "convergent/sqlite";

/** Opens the store in a file that exists. Throws `not_found`, and the `store_…` codes of the driver. */
export async function openStore(path: string): Promise<Store> {
  return sqlite(path).open({ name: ownerOf(path) });
}

/** The service whose store lies in a file. Throws `not_found`, `store_broken`. */
export function ownerOf(path: string): string {
  if (!existsSync(path))
    throw new ConvergentError("not_found", `there is no file ${path}; name the store file of a service, for example data/orders.db`);
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

/** Throws `unavailable` when a process has the store open: in WAL mode every connection holds a lock as long as it lives. */
export function requireUnused(path: string): void {
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    database.exec("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; ROLLBACK");
  } catch (cause) {
    throw new ConvergentError(
      "unavailable",
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
