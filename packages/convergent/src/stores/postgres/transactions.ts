/**
 * How transactions begin. Everything they need is set for the one transaction, in one message, so that a pooler in transaction
 * mode (PgBouncer) may give each another connection.
 */
import { digestOf } from "../../log/digest.ts";

export interface TransactionOptions {
  readonly schema: string;
  /** How long the server lets a transaction of ours stand idle, and one statement run. */
  readonly idleMs: number;
  readonly statementMs: number;
  /** How long the lock of the log is waited for. */
  readonly lockMs: number;
}

const standing = "SELECT generation, archived FROM store";

/** One snapshot from the first question to the last; `first` is the first one. */
export function beginReading({ schema, idleMs, statementMs }: TransactionOptions, first: string = standing): string {
  return `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
    SET LOCAL search_path = ${quoted(schema)};
    SET LOCAL idle_in_transaction_session_timeout = ${idleMs};
    SET LOCAL statement_timeout = ${statementMs};
    ${first}`;
}

// Transactions that write do not say READ WRITE: a server that is set to read-only (its disk is nearly full, perhaps) means it, and a
// replica answers to it with another error.

/** To be rolled back: a statement is explained in it, which may be one that changes something. */
export function beginLooking({ schema, idleMs, statementMs }: TransactionOptions): string {
  return `BEGIN ISOLATION LEVEL READ COMMITTED;
    SET LOCAL search_path = ${quoted(schema)};
    SET LOCAL idle_in_transaction_session_timeout = ${idleMs};
    SET LOCAL statement_timeout = ${statementMs}`;
}

/**
 * Each lock is taken by a statement of its own: the snapshot of the next one is made when the lock is held, and so has all that
 * was committed under it before. In one statement with the lock, the newest position would be read from a snapshot that is as
 * old as the wait for it, and given twice.
 *
 * There are two locks: one of the log, and one of everything else. Appends that change nothing but the log take the first one,
 * derived writes the second one, so that views are written while others append; the rest takes both, always in one order.
 *
 * L2: every commit is waited for until the WAL is flushed, whatever the server's default is; a default that asks for more (a
 * synchronous standby) stays. Also one of derived rows: when the server dies, processes live on, and a reader remembers how far
 * it is. With \`synchronous_commit = off\` its commits of the last moments are gone from the tables and not from its memory, and it
 * went on behind events that no view had (found by killing the server under the torture).
 */
export function beginWriting({ schema, idleMs, statementMs, lockMs }: TransactionOptions, kind: WriteKind): string {
  return `BEGIN ISOLATION LEVEL READ COMMITTED;
    SET LOCAL search_path = ${quoted(schema)};
    SET LOCAL idle_in_transaction_session_timeout = ${idleMs};
    SET LOCAL lock_timeout = ${lockMs};
    SET LOCAL statement_timeout = ${statementMs + lockMs};
    SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off';
    ${kind === "appends" ? "" : `${taking(lockKey(`convergent rows ${schema}`))};`}
    ${kind === "derived" ? "" : `${taking(logLock(schema))};`}
    ${standing}`;
}

/** What a transaction changes: the log, what can be derived, or anything. */
export type WriteKind = "appends" | "derived" | "anything";

/** The lock under which positions are given. */
export function logLock(schema: string): string {
  return lockKey(`convergent log ${schema}`);
}

/** The key of a lock, by its name. */
export function lockKey(name: string): string {
  return String(Buffer.from(digestOf(name), "base64url").readBigInt64BE());
}

/**
 * A lock that ends with the transaction. It needs no row: nothing is written for it, and no version of a row is left behind
 * with every append.
 */
export function taking(key: string): string {
  return `SELECT pg_advisory_xact_lock(${key})`;
}

/** A name as SQL writes it. */
export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
