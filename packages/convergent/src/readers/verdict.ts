/**
 * What a failure says of an event: the event's own fault, to be tried again or not (R4), or none of its doing. Handlers
 * say it themselves by `giveUp` and `retryLater`.
 */
import type { ErrorCode } from "../errors/catalogue.ts";
import { ConvergentError, isConvergentError } from "../errors/error.ts";

/** An item that could not be applied, by its place in the batch. */
export interface Failed {
  readonly index: number;
  readonly error: unknown;
}

/** Thrown by `apply`: this item of the batch failed, and the transaction is to be rolled back. */
export class ItemError extends Error implements Failed {
  override readonly name = "ItemError";
  readonly index: number;
  readonly error: unknown;

  constructor(index: number, error: unknown) {
    super(messageOf(error), { cause: error });
    this.index = index;
    this.error = error;
  }
}

/** Parks the event at once: trying again would not help. To be called by a handler; throws. */
export function giveUp(reason: string): never {
  throw new ConvergentError("handler_gave_up", reason);
}

/** Tries the event again, with growing waits, and never parks it. To be called by a handler; throws. */
export function retryLater(reason: string): never {
  throw new ConvergentError("handler_retries", reason);
}

/** Failures of the store or of this process: whatever event comes next would meet them too. */
const notTheEvents: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "append_in_transaction",
  "closed",
  "definition_changed",
  "definitions_outdated",
  "disk_full",
  "outcome_unknown",
  "rebuilding",
  "store_broken",
  "store_unwritable",
  "transaction_timeout",
  "unavailable",
]);

/** `reader`: the whole reader waits. Of an event: tried again a few times, `always`, or `never`. */
export type Verdict = "reader" | "again" | "always" | "never";

export function verdictOf(error: unknown): Verdict {
  if (!isConvergentError(error)) return "again";
  if (notTheEvents.has(error.code)) return "reader";
  if (error.code === "handler_retries") return "always";
  return error.retry === "never" ? "never" : "again";
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
