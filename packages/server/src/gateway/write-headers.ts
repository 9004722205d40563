/** What the headers of a write say, whatever is written: under which key, by whom, in which trace. */
import { wire } from "convergent";
import type { Caller } from "./caller.ts";
import { invalidInput } from "./problem.ts";

/** The key, bare or quoted as a structured field (RFC 8941), which is the form of the IETF's draft. */
export function keyOf(headers: Headers): string | undefined {
  const header = headers.get(wire.headers.idempotencyKey);
  return header === null ? undefined : usableKey(header.replace(/^"(.*)"$/, "$1"), "an Idempotency-Key");
}

/** A key that a header can carry. Throws `invalid_input`. */
export function usableKey(key: string, what: string): string {
  if (/^[\u0021-\u007e]{1,255}$/.test(key)) return key;
  throw invalidInput(`${what} has 1 to 255 visible ASCII characters`, [{ path: "", reason: `unusable ${what.replace(/^an? /, "")}` }]);
}

/** Who asks, and whose the keys are. Who was authenticated says nothing about himself; his keys are his own, also among those of reactions. */
export function authorOf(headers: Headers, caller: Caller | undefined): { readonly actor?: string; readonly scope?: string } {
  if (caller) return { actor: caller.subject, scope: `caller:${caller.subject}` };
  const header = headers.get(wire.headers.actor);
  if (header === null || header === "") return {};
  if (header.length <= 255) return { actor: header };
  throw invalidInput("a Convergent-Actor has at most 255 characters", [{ path: "", reason: "unusable Convergent-Actor" }]);
}

/** What is kept of the trace. A malformed one is ignored, as the W3C's specification asks. */
export function traceOf(headers: Headers): { readonly metadata?: { readonly trace: string } } {
  const trace = headers.get(wire.headers.trace);
  return trace !== null && /^[\da-f]{2}-(?!0{32})[\da-f]{32}-(?!0{16})[\da-f]{16}-[\da-f]{2}$/.test(trace) ? { metadata: { trace } } : {};
}
