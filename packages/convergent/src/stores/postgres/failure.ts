/**
 * What an error of PostgreSQL or of the way to it means to the caller: one of the catalogue's codes, with where it happened and
 * the way out. The same lost connection is `unavailable` before the commit (the server rolls back) and `outcome_unknown` at it.
 */
import type { ErrorCode } from "../../errors/catalogue.ts";
import { ConvergentError, isConvergentError } from "../../errors/error.ts";

import { storeMoved } from "../../log/moved.ts";
import { movedState } from "./queries.ts";

/** What was being done when it failed. */
export type Deed = "open" | "statement" | "commit";

// The client library ends a login itself when it has no password, or when the server cannot prove that it knows it.
const notLetIn = "it does not let this user in; check the user's name, password and pg_hba.conf";

/** Codes of https://www.postgresql.org/docs/current/errcodes-appendix.html, whole or by their class. */
const meanings: ReadonlyArray<{ readonly codes: RegExp; readonly name: ErrorCode; readonly says: string }> = [
  { codes: /^53100$/, name: "disk_full", says: "its disk is full; nothing of this write was kept. Free some space and retry" },
  { codes: /^53300$/, name: "unavailable", says: "it has no connection left; close some, or raise max_connections" },
  { codes: /^53/, name: "unavailable", says: "it lacks memory or another resource; nothing of this call was kept" },
  { codes: /^55P03$/, name: "unavailable", says: "the lock of its log was not free in time; nothing was written, try again" },
  { codes: /^57014$/, name: "unavailable", says: "it cancelled the statement; nothing of this call was kept, try again" },
  { codes: /^57P0[123]$/, name: "unavailable", says: "it is shutting down or starting, or closed the connection; try again" },
  { codes: /^25P03$/, name: "transaction_timeout", says: "the transaction stood idle past its limit and was rolled back" },
  { codes: /^25006$/, name: "unavailable", says: "it is read-only, a replica perhaps; the primary takes writes" },
  { codes: /^40/, name: "unavailable", says: "it rolled the transaction back for the sake of others; try again" },
  { codes: /^28/, name: "store_unwritable", says: notLetIn },
  { codes: /^3D000$/, name: "store_unwritable", says: "there is no such database; make it (createdb) or give the name of another one" },
  {
    codes: /^42501$/,
    name: "store_unwritable",
    says: "this user lacks a right; let it own the schema, or make the schema and grant CREATE and USAGE on it",
  },
  {
    codes: /^54000$/,
    name: "invalid_input",
    says: "a name, a key or the value of an index is too long for its indexes: 2,700 bytes or so",
  },
  { codes: /^(?:58|XX)/, name: "unavailable", says: "it failed within itself; nothing of this call was kept. See the server's log" },
];

/** The code that PostgreSQL gave an error, if it comes from there. */
export function sqlState(error: unknown): string | undefined {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return typeof code === "string" && /^[0-9A-Z]{5}$/.test(code) && "severity" in (error as object) ? code : undefined;
}

/** Whether the connection an error came over can be used no more. */
export function isConnectionLost(error: unknown): boolean {
  return sqlState(error) === undefined || ["FATAL", "PANIC"].includes(String((error as { severity?: unknown }).severity));
}

/**
 * Whether a statement that a connection keeps prepared is another one on the server by now: forgotten behind its back, or made by a
 * release whose tables and functions were brought up to date since. It was not run, and the connection is of no use any more.
 */
export function isOfPrepared(error: unknown): boolean {
  const code = sqlState(error);
  return code === "26000" || (code === "0A000" && (error as { readonly routine?: unknown }).routine === "RevalidateCachedQuery");
}

/** The failure to throw for an error that came while `deed` was done at `place`; what is no answer of a server or a socket is returned as it came. */
export function failureOf(error: unknown, place: string, deed: Deed): unknown {
  if (isConvergentError(error)) return error;
  const said = error instanceof Error ? error.message : String(error);
  const failure = (name: ErrorCode, why: string): ConvergentError =>
    new ConvergentError(name, `${place}: ${why} (${said || "no reason given"})`, { cause: error, details: { place } });
  // A server that answers COMMIT with an error has rolled back; one that goes away with or without a word may have committed.
  if (deed === "commit" && isConnectionLost(error))
    return failure(
      "outcome_unknown",
      "the commit was not confirmed; retry with the same id, which gives the first result if it did happen",
    );
  const code = sqlState(error);
  if (code === undefined) {
    if (said.startsWith("SASL: ")) return failure("store_unwritable", notLetIn);
    return isOfSocket(error) ? failure("unavailable", "it cannot be reached; nothing was written, try again") : error;
  }
  if (code === movedState) return storeMoved(place, said, error);
  if (isOfPrepared(error))
    return failure("unavailable", "what was prepared there is out of date; nothing of this call was kept, try again");
  const meaning = meanings.find(({ codes }) => codes.test(code));
  return meaning ? failure(meaning.name, meaning.says) : error;
}

/** Whether a unique index objected, or a store that was moved: what was to be written is there already, perhaps. */
export function isObjection(error: unknown): boolean {
  return sqlState(error) === "23505" || (isConvergentError(error) && error.code === "store_moved");
}

/** Whether an error came from a socket: those have a code of the system; those of the client library none, and say so in words. */
export function isOfSocket(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error instanceof AggregateError) return error.errors.some(isOfSocket);
  const code = "code" in error ? String(error.code) : "";
  return /^E[A-Z_]+$/.test(code) || /connection|timeout|not queryable/i.test(error.message);
}
