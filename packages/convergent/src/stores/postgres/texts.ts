/**
 * Parameters as PostgreSQL reads them. Arrays are written here and not by the client library, whose regular expressions over
 * every element were a tenth of an append. As text, `JSON.stringify` of a whole column is nearly an array's text (its quotes and
 * backslashes mean the same, and null is NULL), unless a text has control characters.
 *
 * PostgreSQL keeps no NUL in a text, other stores do. It is written as two characters that come in its place in the order of
 * texts, too: NUL before 1 before everything else.
 */

/** What a parameter may be; an array is a column of a set of rows. */
export type Parameter = string | number | boolean | null | ReadonlyArray<string | number | boolean | null>;

const nul = "\u0000";
const one = "\u0001";
const nulEscaped = "\u0001\u0001";
const oneEscaped = "\u0001\u0002";

/** A parameter as it is sent over a connection of the store's own: columns of texts in PostgreSQL's binary form, everything else as text. */
export function parameterSent(value: Parameter): string | number | boolean | null | Buffer {
  return typeof value === "object" && value !== null && hasText(value) ? arrayBytes(value) : parameterText(value);
}

/** A parameter as text. */
export function parameterText(value: Parameter): string | number | boolean | null {
  if (typeof value === "string") return encoded(value);
  return typeof value === "object" && value !== null ? arrayText(value) : value;
}

/** A text as it was before it was stored. */
export function decoded(text: string): string {
  return text.includes(one) ? text.replaceAll(nulEscaped, nul).replaceAll(oneEscaped, one) : text;
}

/** A bigint, which comes as text because it may be too large; positions, times and counts are not, and what is refuses to become a number. */
export function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new RangeError(`${text} is beyond the whole numbers that are exact`);
  return value;
}

function encoded(text: string): string {
  return text.includes(nul) || text.includes(one) ? text.replaceAll(one, oneEscaped).replaceAll(nul, nulEscaped) : text;
}

/** Of texts and nulls, with a text; every parameter that is such an array is declared `text[]`. */
type Texts = ReadonlyArray<string | null>;

function hasText(values: ReadonlyArray<string | number | boolean | null>): values is Texts {
  return typeof values.find((value) => value !== null) === "string";
}

/** The id of `text` in every database. */
const text = 25;
const headBytes = 20;
/** A unit of UTF-16 is three bytes at most, and what stands for NUL is two characters. */
const bytesOfUnit = 6;
/** Arrays are made here while they are small, and copied: how long one is, is known when it is made. */
const scratch = Buffer.alloc(1 << 18);

// As `array_recv` reads it: with 32 appends in a call that is 5% more of them a second than with the text of an array, which the server
// goes through character by character, twice.
function arrayBytes(values: Texts): Buffer {
  let room = headBytes + 4 * values.length;
  for (const value of values) if (value !== null) room += bytesOfUnit * value.length;
  if (room <= scratch.length) return Buffer.from(scratch.subarray(0, writeArray(values, scratch)));
  const size = values.reduce((sum, value) => sum + 4 + (value === null ? 0 : Buffer.byteLength(encoded(value))), headBytes);
  const bytes = Buffer.allocUnsafe(size);
  writeArray(values, bytes);
  return bytes;
}

/** Where it ends. */
function writeArray(values: Texts, bytes: Buffer): number {
  const numbers = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let hasNull = 0;
  let end = headBytes;
  for (const value of values) {
    const length = value === null ? -1 : bytes.write(encoded(value), end + 4);
    if (length < 0) hasNull = 1;
    numbers.setInt32(end, length);
    end += 4 + Math.max(0, length);
  }
  // One dimension, whether there are nulls, of texts, so many, from 1.
  numbers.setInt32(0, 1);
  numbers.setInt32(4, hasNull);
  numbers.setInt32(8, text);
  numbers.setInt32(12, values.length);
  numbers.setInt32(16, 1);
  return end;
}

function arrayText(values: ReadonlyArray<string | number | boolean | null>): string {
  const text = JSON.stringify(values);
  // An escape of JSON that arrays do not know; it is one only if the text has a control character, and not the two characters themselves.
  if (escapes.test(text) && values.some(hasControls)) return `{${values.map(elementText).join(",")}}`;
  return `{${text.slice(1, -1)}}`;
}

const escapes = /\\[bfnrtu]/;

function elementText(value: string | number | boolean | null): string {
  if (typeof value !== "string") return String(value);
  return `"${encoded(value).replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}

function hasControls(value: unknown): boolean {
  if (typeof value !== "string") return false;
  for (let index = 0; index < value.length; index++) if (value.charCodeAt(index) < 32) return true;
  return false;
}
