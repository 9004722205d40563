import { expect, test } from "vitest";
import { ConvergentError } from "../../errors/error.ts";
import { type Deed, failureOf, isBusy } from "./failure.ts";

function sqliteError(errcode: number): Error {
  return Object.assign(new Error("said by SQLite"), { code: "ERR_SQLITE_ERROR", errcode });
}

test.each<[string, number, Deed, string]>([
  ["SQLITE_BUSY", 5, "statement", "unavailable"],
  ["SQLITE_BUSY_RECOVERY", 261, "open", "unavailable"],
  ["SQLITE_LOCKED", 6, "statement", "unavailable"],
  ["SQLITE_NOMEM", 7, "statement", "unavailable"],
  ["SQLITE_READONLY_DIRECTORY", 1544, "statement", "store_unwritable"],
  ["SQLITE_IOERR_READ", 266, "statement", "unavailable"],
  ["SQLITE_IOERR_SHMSIZE", 4874, "open", "disk_full"],
  ["SQLITE_IOERR_FSYNC", 1034, "commit", "outcome_unknown"],
  ["SQLITE_IOERR_SHMSIZE", 4874, "commit", "outcome_unknown"],
  ["SQLITE_FULL", 13, "commit", "disk_full"],
  ["SQLITE_CORRUPT_INDEX", 779, "statement", "store_broken"],
  ["SQLITE_NOTADB", 26, "open", "store_broken"],
  ["SQLITE_CANTOPEN", 14, "open", "store_unwritable"],
])("%s (%i) at a %s is %s, and the message names the file", (_, code, deed, expected) => {
  const failure = failureOf(sqliteError(code), "/data/orders.db", deed);
  expect(failure).toBeInstanceOf(ConvergentError);
  expect(failure).toMatchObject({
    code: expected,
    details: { path: "/data/orders.db" },
    message: expect.stringContaining("/data/orders.db") as string,
  });
  expect(isBusy(failure)).toBe([5, 6].includes(code & 0xff));
});

test("an error that is no answer about the file is thrown as it came", () => {
  const mistakes = [new TypeError("not a value"), sqliteError(1), sqliteError(1555)];
  for (const mistake of mistakes) expect(failureOf(mistake, "/data/orders.db", "statement")).toBe(mistake);
});
