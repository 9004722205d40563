/** The error for a file that a store cannot write. */
import { ConvergentError } from "../../errors/error.ts";

/** The file, or a directory on the way to it, cannot be written. */
export function unwritable(path: string, cause: unknown): ConvergentError {
  const why = cause instanceof Error ? cause.message : String(cause);
  const message = `${path} cannot be opened for writing (${why}); check that it and its directory exist and belong to the user this process runs as`;
  return new ConvergentError("store_unwritable", message, { cause, details: { path } });
}
