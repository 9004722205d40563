/**
 * Uniqueness across entities: no two documents of a strong view have the same value of a unique field. What is judged is
 * where an append leads, under the lock and as earlier appends of the batch left the documents; so an append may hand a
 * value over from one document to another, and of two that claim it at once one is refused.
 */
import { ConvergentError } from "../errors/error.ts";
import { formOf, type PersonalForm } from "../log/event-definition.ts";
import type { Schema } from "../log/schema.ts";
import type { DocumentRow, ReadTransaction } from "../log/store.ts";
import { valueLeast } from "./index-value.ts";
import type { AnyView } from "./view.ts";

type Entries = DocumentRow["indexes"];

/** What an append makes of a document, by its index entries. */
export interface Claim {
  readonly key: string;
  readonly before: Entries;
  readonly after: Entries;
}

export class UniqueOwners {
  readonly #definition: AnyView;
  /** Who has a value by now, where this batch has changed that: a key, or nobody. */
  readonly #owners = new Map<string, string | undefined>();

  constructor(definition: AnyView) {
    this.#definition = definition;
  }

  /** Throws `unique_violated`. Nothing is claimed before the function it returns is called. */
  async claim(tx: ReadTransaction, claims: readonly Claim[]): Promise<() => void> {
    const changed = new Set(claims.map(({ key }) => key));
    const released: string[] = [];
    const claimed = new Map<string, string>();
    for (const { key, before, after } of claims) {
      for (const field of this.#definition.unique as readonly string[]) {
        const had = valueOf(before, field);
        const value = valueOf(after, field);
        if (had !== undefined && had !== value) released.push(slot(field, had));
        if (value === undefined) continue;
        const rival = claimed.get(slot(field, value));
        if (rival !== undefined) throw violation(this.#definition, field, [rival, key]);
        claimed.set(slot(field, value), key);
        if (had === value) continue;
        const owner = await this.#ownerOf(tx, field, value);
        if (owner !== undefined && !changed.has(owner)) throw violation(this.#definition, field, [owner, key]);
      }
    }
    return () => {
      for (const name of released) this.#owners.set(name, undefined);
      for (const [name, key] of claimed) this.#owners.set(name, key);
    };
  }

  async #ownerOf(tx: ReadTransaction, field: string, value: string): Promise<string | undefined> {
    const name = slot(field, value);
    if (this.#owners.has(name)) return this.#owners.get(name);
    const { name: view, version } = this.#definition;
    const [hit] = await tx.find({ view, version, field, from: value, to: value, where: [], descending: false, limit: 1 });
    return hit?.key;
  }
}

/** Throws `unique_violated` when the stored documents of a view break its uniqueness: what was appended before it was declared. */
export async function requireUnique(tx: ReadTransaction, definition: AnyView): Promise<void> {
  const { name: view, version } = definition;
  for (const field of definition.unique as readonly string[]) {
    const keys = await tx.duplicate({ view, version, field, from: valueLeast, where: [] });
    if (keys) throw violation(definition, field, keys);
  }
}

/** By unique field, the values that it has in documents of forgotten persons, as far as the definitions say so: text of any personal field, other values of the field of the same name. */
export type ForgottenValues = ReadonlyMap<string, ReadonlySet<unknown>>;

const forgottenValues = new WeakMap<AnyView, ForgottenValues>();

/**
 * Forgotten persons have these values in common, so they are indexed like null, which no two documents have in conflict.
 * By the value alone: the handlers between an event and a document are code, and later events of a document say nothing of it.
 */
export function forgottenValuesOf(definition: AnyView): ForgottenValues {
  let known = forgottenValues.get(definition);
  if (!known) forgottenValues.set(definition, (known = valuesOf(definition)));
  return known;
}

function valuesOf(definition: AnyView): ForgottenValues {
  const personal = definition.from.flatMap((entity) =>
    Object.entries(entity.events as Readonly<Record<string, Schema>>).flatMap(([event, schema]): PersonalForm[] => {
      const form = formOf(schema).personal;
      return form && definition.handlers.has(`${entity.name}.${event}`) ? [form] : [];
    }),
  );
  const fields = personal.flatMap((form) => Object.entries(form.fields));
  const values = (unique: string): unknown[] =>
    fields.flatMap(([field, value]) => leavesOf(value).filter((leaf) => typeof leaf === "string" || field === unique));
  return new Map((definition.unique as readonly string[]).map((unique) => [unique, new Set(values(unique))]));
}

function leavesOf(value: unknown): unknown[] {
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(leavesOf) : [value];
}

function violation({ name, version }: AnyView, field: string, keys: readonly [string, string]): ConvergentError {
  const [first, second] = keys.map((key) => JSON.stringify(key.slice(0, 100)));
  return new ConvergentError(
    "unique_violated",
    `the documents ${first} and ${second} of the view "${name}" (version ${version}) have the same "${field}", which is unique; append events that change one of them, or declare it no longer unique`,
    { details: { view: name, field, keys } },
  );
}

/** The encoded value of a field; `undefined` for null and absent, which are never the same as anything. */
function valueOf(entries: Entries, field: string): string | undefined {
  const value = entries.find((entry) => entry.field === field)?.value;
  return value !== undefined && value >= valueLeast ? value : undefined;
}

function slot(field: string, value: string): string {
  return `${field.length}.${field}${value}`;
}
