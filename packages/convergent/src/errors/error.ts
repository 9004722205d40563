/**
 * The one error class of the toolkit. Expected outcomes (a conflict, a refusal, a reader behind) are values; what is
 * thrown is a failure with a code from the catalogue, and callers match on that code, never on the message.
 */
import { catalogue, type ErrorCode } from "./catalogue.ts";

/** Facts about a failure that a program may read: ids, positions, limits. JSON values only. */
export type ErrorDetails = Readonly<Record<string, unknown>>;

/**
 * A failure. `retry` is `"later"` when the same call may succeed later and `"never"` when it cannot;
 * `outcome_unknown` is the one code after which a write may have happened.
 */
export class ConvergentError extends Error {
  override readonly name = "ConvergentError";
  readonly code: ErrorCode;
  readonly retry: "never" | "later";
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; details?: ErrorDetails } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retry = catalogue[code].retry;
    this.details = options.details ?? {};
  }
}

/** Whether `error` is a failure of this toolkit, and, when `code` is given, that very failure. */
export function isConvergentError(error: unknown, code?: ErrorCode): error is ConvergentError {
  return error instanceof ConvergentError && (code === undefined || error.code === code);
}

/** Throws a programmer's mistake: a broken precondition of our own code, never a user's input. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`assertion failed: ${message}`);
}
