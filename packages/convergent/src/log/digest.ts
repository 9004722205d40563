/**
 * Digests: SHA-256 over a form in which equal content has equal bytes. `canonicalJson` sorts keys (RFC 8785 without
 * its number rules, which `JSON.stringify` already follows), so that a retried request whose client wrote its keys in
 * another order is still the same request.
 */
import { createHmac, hash } from "node:crypto";
import { ConvergentError } from "../errors/error.ts";

/** JSON text with the keys of every object in order. Throws `invalid_input` for what JSON cannot hold: two such values could look alike. */
export function canonicalJson(value: unknown): string {
  try {
    return sortedJson(value);
  } catch (cause) {
    throw notJson(cause);
  }
}

/** The error for a value that is no JSON: a cycle, a BigInt, a Set, NaN. */
export function notJson(cause: unknown): ConvergentError {
  return new ConvergentError(
    "invalid_input",
    `a value cannot be written as JSON: ${cause instanceof Error ? cause.message : String(cause)}`,
    { cause },
  );
}

function sortedJson(value: unknown): string {
  return (
    JSON.stringify(value, (_key, part: unknown) => {
      if (typeof part === "number" && !Number.isFinite(part)) throw new TypeError(`${part} is no JSON number`);
      if (part === null || typeof part !== "object" || Array.isArray(part)) return part;
      const prototype: unknown = Object.getPrototypeOf(part);
      if (prototype !== Object.prototype && prototype !== null)
        throw new TypeError("only plain objects, lists, text, numbers, booleans and null are JSON");
      const sorted = Object.create(null) as Record<string, unknown>;
      for (const key of Object.keys(part).sort()) sorted[key] = (part as Record<string, unknown>)[key];
      return sorted;
    }) ?? "null"
  );
}

/** SHA-256 of a text, 43 characters of base64url. */
export function digestOf(text: string): string {
  return hash("sha256", text, "base64url");
}

/** What identifies an event's content wherever it is copied. Lengths keep two fields from running into each other. */
export function eventDigest(event: { id: string; stream: string; type: string; data: string; metadata: string }): string {
  return digestOf(
    `${event.id.length}.${event.stream.length}.${event.type.length}.${event.data.length}.${event.id}${event.stream}${event.type}${event.data}${event.metadata}`,
  );
}

/** HMAC-SHA-256, cut to 96 bits: what a forger can try is bounded by one guess a request. */
export function signature(key: string, text: string): string {
  return createHmac("sha256", key).update(text).digest("base64url").slice(0, 16);
}
