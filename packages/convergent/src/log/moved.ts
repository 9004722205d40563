/** A store whose log goes on at another place: every insert is refused, so that nothing is acknowledged that the new store lacks. */
import { ConvergentError } from "../errors/error.ts";

/** The failure of an insert. `place` and `to` name stores, without passwords. */
export function storeMoved(place: string, to: string, cause?: unknown): ConvergentError {
  return new ConvergentError(
    "store_moved",
    `${place} was moved to ${to} and takes no more writes; nothing was written. Start the service on the new store; the same request with the same id is known there`,
    { cause, details: { place, to } },
  );
}
