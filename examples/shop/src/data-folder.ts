/**
 * The folder with the shop's data: one database a service, and `convergent-shop.db`, which marks the folder as the
 * shop's own. An open transaction on that file is the lock: one process at a time uses the folder, and the operating
 * system lets go of it even after `kill -9`.
 *
 * Only what the shop made is ever deleted: a folder is marked only when it holds none of the files' names yet.
 */
import { existsSync, mkdirSync, readdirSync, rmdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { serviceNames } from "./shop.ts";
import { ShopProblem } from "./shop-problem.ts";

const markName = "convergent-shop.db";

/** The `application_id` of the mark: "shop" in ASCII. */
const markId = 0x73686f70;

/** A shop that is just stopping is waited for: after a restart in haste nobody should have to start again. */
const lockWaitMs = 3000;

/** SQLite's result codes that need an answer of their own. */
const busy = 5;
const notADatabase = 26;

/** A database and what lies beside it: `orders.db`, `orders.db-wal`, … */
const dataFile = new RegExp(`^(?:${serviceNames.join("|")})\\.db(?:-[a-z]+)?$`);

export class DataFolder {
  readonly path: string;
  readonly #mark: DatabaseSync;

  private constructor(path: string, mark: DatabaseSync) {
    this.path = path;
    this.#mark = mark;
  }

  /** Takes the folder for this process, and makes it when it is missing. Throws a `ShopProblem`. */
  static open(path: string, options: { readonly waitMs?: number } = {}): DataFolder {
    try {
      mkdirSync(path, { recursive: true });
    } catch (cause) {
      throw unwritable(path, cause);
    }
    return new DataFolder(path, lockedMark(path, options.waitMs ?? lockWaitMs));
  }

  /** Where a service keeps its data. */
  fileOf(service: string): string {
    return join(this.path, `${service}.db`);
  }

  close(): void {
    this.#mark.close();
  }
}

/** Deletes the shop's data and answers how many databases there were. Throws a `ShopProblem` while a shop uses them. */
export function deleteData(path: string): { databases: number; others: readonly string[] } {
  if (!existsSync(join(path, markName))) return { databases: 0, others: [] };
  const mark = lockedMark(path, 0);
  try {
    const files = readdirSync(path).filter((name) => dataFile.test(name));
    for (const name of files) rmSync(join(path, name));
    mark.close();
    // The mark goes last: what was not deleted because of an error is still known to be the shop's.
    for (const name of [markName, `${markName}-journal`]) rmSync(join(path, name), { force: true });
    const others = readdirSync(path);
    if (others.length === 0) rmdirSync(path);
    return { databases: files.filter((name) => name.endsWith(".db")).length, others };
  } catch (cause) {
    throw unwritable(path, cause);
  } finally {
    if (mark.isOpen) mark.close();
  }
}

function lockedMark(path: string, waitMs: number): DatabaseSync {
  const file = join(path, markName);
  const isNew = !existsSync(file);
  const foreign = isNew ? namesIn(path).filter((name) => dataFile.test(name)) : [];
  if (foreign.length > 0)
    throw new ShopProblem(
      `${path} holds ${foreign.join(", ")}, which this shop did not make and leaves alone; move that away, or choose another folder with DATA_DIR`,
    );
  let mark: DatabaseSync | undefined;
  try {
    mark = new DatabaseSync(file, { timeout: waitMs });
    mark.exec("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE");
    const id = mark.prepare("PRAGMA application_id").get()?.["application_id"];
    if (id !== markId && !isNew) throw notTheShops(file);
    if (isNew) mark.exec(`PRAGMA application_id = ${markId}`);
    mark.exec("COMMIT");
    return mark;
  } catch (cause) {
    mark?.close();
    throw problemOf(cause, path);
  }
}

function namesIn(path: string): string[] {
  try {
    return readdirSync(path);
  } catch (cause) {
    throw unwritable(path, cause);
  }
}

function problemOf(cause: unknown, path: string): unknown {
  if (cause instanceof ShopProblem) return cause;
  const code = cause instanceof Error && "errcode" in cause && typeof cause.errcode === "number" ? cause.errcode & 0xff : undefined;
  if (code === busy)
    return new ShopProblem(
      `A shop is running on the data in ${path}; stop that one first (Ctrl-C), or choose another folder with DATA_DIR and another PORT`,
    );
  if (code === notADatabase) return notTheShops(join(path, markName));
  return unwritable(path, cause);
}

function notTheShops(file: string): ShopProblem {
  return new ShopProblem(`${file} is not the file this shop marks its folder with; move it away, or choose another folder with DATA_DIR`);
}

function unwritable(path: string, cause: unknown): ShopProblem {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new ShopProblem(`The data folder ${path} cannot be used (${why}); make it writable for you, or choose another with DATA_DIR`);
}
