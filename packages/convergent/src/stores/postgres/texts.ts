/**
 * Parameters as PostgreSQL reads them. Arrays are written here and not by the client library, whose regular expressions over
 * every element were a tenth of an append: `JSON.stringify` of a whole column is nearly an array's text (its quotes and
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

/** A parameter as it is sent. */
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
