/**
 * Equality of JSON values: by content, whatever the order of keys; a key that holds `undefined` is a key that is not
 * there. What is no JSON (a `Map`, say) equals itself only, so that no change of it is overlooked.
 */
export function sameJson(one: unknown, other: unknown): boolean {
  if (one === other || (Number.isNaN(one) && Number.isNaN(other))) return true;
  if (typeof one !== "object" || typeof other !== "object" || one === null || other === null) return false;
  if (hasOwnForm(one) && hasOwnForm(other)) return sameJson(one.toJSON(), other.toJSON());
  if (Array.isArray(one) && Array.isArray(other))
    return one.length === other.length && one.every((item, index) => sameJson(item, (other as readonly unknown[])[index]));
  if (!isRecord(one) || !isRecord(other)) return false;
  const fields = fieldsOf(one);
  return fields.length === fieldsOf(other).length && fields.every((field) => sameJson(one[field], partOf(other, field)));
}

/** A value with named fields, as opposed to a list, a primitive, or an object of some class. */
export type JsonRecord = Readonly<Record<string, unknown>>;

/** Whether a value has named fields. */
export function isRecord(value: unknown): value is JsonRecord {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** The names of the fields that are there. */
export function fieldsOf(record: JsonRecord): string[] {
  return Object.keys(record).filter((field) => record[field] !== undefined);
}

/** The value of a field; `undefined` where there is none, also for the names that every object inherits. */
export function partOf(record: JsonRecord, field: string): unknown {
  return Object.hasOwn(record, field) ? record[field] : undefined;
}

function hasOwnForm(value: object): value is { toJSON(): unknown } {
  return "toJSON" in value && typeof value.toJSON === "function";
}
