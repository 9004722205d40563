/**
 * What an SQLite error means to the caller: one of the catalogue's codes, with the file's name and the way out. The
 * same I/O error is `unavailable` before the commit (the transaction is rolled back) and `outcome_unknown` at it.
 */
import type { ErrorCode } from "../../errors/catalogue.ts";
import { ConvergentError } from "../../errors/error.ts";
import { storeMoved } from "../../log/moved.ts";
import { unwritable } from "../files/unwritable.ts";

/** What was being done when SQLite failed. */
export type Deed = "open" | "statement" | "commit";

/** Primary result codes, https://www.sqlite.org/rescode.html. */
const result = {
  perm: 3,
  busy: 5,
  locked: 6,
  noMemory: 7,
  readOnly: 8,
  ioError: 10,
  corrupt: 11,
  full: 13,
  cannotOpen: 14,
  authorization: 23,
  notADatabase: 26,
} as const;

/** `SQLITE_IOERR_SHMSIZE`: the `-shm` file could not grow. Seen on a full disk, where ordinary writes answer `SQLITE_FULL`. */
const sharedMemoryCannotGrow = 4874;

/** `SQLITE_CONSTRAINT_TRIGGER`: the only triggers are those of a store that was moved, and their message is where to. */
const refusedByTrigger = 1811;

/** SQLite's extended result code of an error that `node:sqlite` threw. */
function resultCode(error: unknown): number | undefined {
  return error instanceof Error && "errcode" in error && typeof error.errcode === "number" ? error.errcode : undefined;
}

/** Whether the failure is only that another process holds the lock. */
export function isBusy(error: unknown): boolean {
  const code = error instanceof ConvergentError ? resultCode(error.cause) : undefined;
  return code !== undefined && ((code & 0xff) === result.busy || (code & 0xff) === result.locked);
}

/** The failure to throw for an error of `node:sqlite` about the database `path`; what is no answer of SQLite is returned as it came. */
export function failureOf(error: unknown, path: string, deed: Deed): unknown {
  const code = resultCode(error);
  if (code === undefined) return error;
  const failure = (name: ErrorCode, message: string): ConvergentError =>
    new ConvergentError(name, message, { cause: error, details: { path } });
  const said = error instanceof Error ? error.message : "";
  if (code === refusedByTrigger) return storeMoved(path, said, error);
  switch (code & 0xff) {
    case result.busy:
    case result.locked:
      return failure("unavailable", `${path} is locked by another process; nothing was written, try again`);
    case result.full:
      return failure("disk_full", `the disk of ${path} is full; nothing of this write was kept. Free some space and retry`);
    case result.ioError:
      if (deed === "commit") return outcomeUnknown(path, error);
      if (code === sharedMemoryCannotGrow)
        return failure("disk_full", `the disk of ${path} is full: its shared memory file cannot grow. Free some space and retry`);
      return failure(
        "unavailable",
        `reading or writing ${path} failed (${said}, code ${code}); nothing of this call was kept. Check the disk, then retry`,
      );
    case result.corrupt:
      return failure("store_broken", `${path} is damaged (${said}); put back a copy of it, or move it away to begin an empty store`);
    case result.notADatabase:
      return failure("store_broken", `${path} is not an SQLite database; give another path, or move the file away to begin an empty store`);
    case result.perm:
    case result.readOnly:
    case result.cannotOpen:
    case result.authorization:
      return unwritable(path, error);
    case result.noMemory:
      return failure("unavailable", `memory ran out while using ${path}; nothing of this call was kept`);
    default:
      return error;
  }
}

/** A commit of which nobody knows whether it is on the disk. */
function outcomeUnknown(path: string, cause: unknown): ConvergentError {
  const message = `the disk did not confirm a commit to ${path}; retry with the same id, which gives the first result if the write did happen`;
  return new ConvergentError("outcome_unknown", message, { cause, details: { path } });
}
