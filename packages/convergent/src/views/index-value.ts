/**
 * Index values as text whose order is the values' order, so that every store sorts and pages alike:
 * null, then booleans, then numbers, then text. Numbers are the IEEE 754 bits, flipped so that they sort (as in
 * FoundationDB's tuple layer).
 */
import { ConvergentError } from "../errors/error.ts";

/** Longest text that is indexed; longer values are cut, which keeps their order up to here. */
const textMax = 256;

export function encodeIndexValue(value: unknown, field: string): string {
  switch (typeof value) {
    case "string":
      return `s${value.slice(0, textMax)}`;
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
