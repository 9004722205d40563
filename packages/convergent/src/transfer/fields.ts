/** What a line of an export is read by: fields of JSON, each of the kind that it must be. Throws an `Error` whose message says what is wrong. */

export type Fields = Readonly<Record<string, unknown>>;

/** The fields of a line. */
export function parsed(line: string): Fields {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new Error(`it is no JSON: ${JSON.stringify(line.length > 60 ? `${line.slice(0, 60)}…` : line)}`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new Error("it is no JSON object");
  return value as Fields;
}

/** Fields within fields. */
export function object(fields: Fields, name: string): Fields {
  const value = fields[name];
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new Error(`${name} is no object`);
  return value as Fields;
}

/** Text, perhaps empty. */
export function text(fields: Fields, name: string): string {
  const value = fields[name];
  if (typeof value !== "string") throw new Error(value === undefined ? `${name} is missing` : `${name} is no text`);
  if (!value.isWellFormed()) throw new Error(`${name} holds half of a surrogate pair`);
  return value;
}

/** Text that is not empty. */
export function string(fields: Fields, name: string): string {
  const value = text(fields, name);
  if (value === "") throw new Error(`${name} is empty`);
  return value;
}

/** A whole number from 0 on. */
export function whole(fields: Fields, name: string): number {
  const value = fields[name];
  if (!Number.isSafeInteger(value) || (value as number) < 0)
    throw new Error(value === undefined ? `${name} is missing` : `${name} is no whole number`);
  return value as number;
}

/** The same, written as text. */
export function digits(fields: Fields, name: string): number {
  const value = text(fields, name);
  if (!/^\d{1,16}$/.test(value)) throw new Error(`${name} is no whole number`);
  return whole({ [name]: Number(value) }, name);
}

/** Text that is JSON: whoever reads the event will parse it. */
export function json(fields: Fields, name: string): string {
  const value = text(fields, name);
  try {
    JSON.parse(value);
  } catch {
    throw new Error(`${name} is no JSON`);
  }
  return value;
}

/** JSON text as it was stored: the field itself, or, where writing it again would not give the same, the field that ends in `text`. */
export function content(fields: Fields, name: string): string {
  if (fields[`${name}text`] !== undefined) return json(fields, `${name}text`);
  if (!(name in fields)) throw new Error(`${name} is missing`);
  return JSON.stringify(fields[name]);
}
