/** Numbers, times and failures as people read them. */
import { isConvergentError } from "convergent/client";

export function money(cents: number): string {
  return new Intl.NumberFormat("en", { style: "currency", currency: "EUR" }).format(cents / 100);
}

export function duration(ms: number): string {
  return ms < 950 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(ms < 9950 ? 1 : 0)} s`;
}

export function timeOfDay(at: number): string {
  return new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" }).format(at);
}

export function day(at: number): string {
  return new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" }).format(at);
}

export function count(number: number, one: string, many = `${one}s`): string {
  return `${number} ${number === 1 ? one : many}`;
}

/** What went wrong, and what the reader of the page may do. */
export function failureText(error: unknown): string {
  if (isConvergentError(error, "outcome_unknown"))
    return "The shop did not answer, so it may or may not have happened. Press the button again: it is the same request and happens at most once.";
  if (isConvergentError(error, "unavailable")) return "The shop does not answer. Is it still running? What you see may be old.";
  return error instanceof Error ? error.message : String(error);
}
