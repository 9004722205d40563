/**
 * Index values as text whose order is the values' order, so that every store sorts and pages alike:
 * null, then booleans, then numbers, then text. Numbers are the IEEE 754 bits, flipped so that they sort (as in
 * FoundationDB's tuple layer).
 */
import { ConvergentError } from "../errors/error.ts";
import { digestOf } from "../log/digest.ts";

/** Longest text that is indexed as it is. A longer one is cut and followed by its digest: found exactly, sorted by its beginning. */
const textMax = 256;

/** Every value but null is encoded to this text or a greater one. */
export const valueLeast = "b";

export function encodeIndexValue(value: unknown, field: string): string {
  switch (typeof value) {
    case "string":
      return `s${indexedText(value.toWellFormed())}`;
    case "number":
      return `n${sortableNumber(value)}`;
    case "boolean":
      return value ? "b1" : "b0";
    default:
      if (value === null) return "a";
      throw new ConvergentError(
        "invalid_input",
        `the index "${field}" holds text, numbers, booleans or null, not ${Array.isArray(value) ? "a list" : typeof value}`,
      );
  }
}

function sortableNumber(value: number): string {
  const bits = new DataView(new ArrayBuffer(8));
  bits.setFloat64(0, value === 0 ? 0 : value);
  const raw = bits.getBigUint64(0);
  const negative = raw >> 63n === 1n;
  return (negative ? raw ^ 0xffffffffffffffffn : raw | 0x8000000000000000n).toString(16).padStart(16, "0");
}

function indexedText(text: string): string {
  if (text.length <= textMax) return text;
  const cut = text.slice(0, textMax);
  return (cut.isWellFormed() ? cut : cut.slice(0, -1)) + digestOf(text);
}

/** The least and the greatest text that values of the same kind as this one are encoded to. */
export function boundsOfKind(encoded: string): { readonly least: string; readonly greatest: string } {
  const kind = encoded.slice(0, 1);
  return { least: kind, greatest: `${kind}\u{10ffff}` };
}

/** The order of encoded values in every store: by code point, as databases compare UTF-8. */
export function compareEncoded(a: string, b: string): number {
  const left = Array.from(a);
  const right = Array.from(b);
  for (let index = 0; index < Math.min(left.length, right.length); index++) {
    const order = (left[index]?.codePointAt(0) ?? 0) - (right[index]?.codePointAt(0) ?? 0);
    if (order !== 0) return order;
  }
  return left.length - right.length;
}
