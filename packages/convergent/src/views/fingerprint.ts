/**
 * What is remembered of a definition beside the rows it made, and compared at each start: the parts that stored rows
 * depend on. Code cannot be compared. Of the document's schema the form in JSON Schema is, as far as its library gives
 * one: words that constrain nothing (titles, descriptions, a program's own) are left out, and no order counts but that of tuples.
 */
import { canonicalJson } from "../log/digest.ts";
import { ConvergentError } from "../errors/error.ts";
import { jsonSchemaOf, type Schema } from "../log/schema.ts";
import type { DefinitionRow } from "../log/store.ts";
import type { AnyView, Consistency } from "./view.ts";

type Fingerprint = Readonly<Record<string, unknown>>;

/** Canonical JSON of what is remembered. */
export function fingerprint(definition: AnyView): string {
  const document = documentForm(definition.document as Schema);
  return canonicalJson({
    from: definition.from.map((entity) => entity.name).sort(),
    handles: [...definition.handlers.keys()].sort(),
    indexes: [...(definition.indexes as readonly string[])].sort(),
    consistency: definition.consistency,
    ...(document === undefined ? {} : { document }),
    ...(definition.sql ? { tables: definition.sql.tables, tableIndexes: definition.sql.indexes } : {}),
    ...(definition.unique.length > 0 ? { unique: [...(definition.unique as readonly string[])].sort() } : {}),
  });
}

/** The fields by which documents of a stored version can be found. */
export function indexesIn(row: DefinitionRow): readonly string[] {
  return (JSON.parse(row.fingerprint) as { readonly indexes?: readonly string[] }).indexes ?? [];
}

/** Whether a stored version was declared to be strong, also while it is built as an eventual one. */
export function consistencyIn(row: DefinitionRow): Consistency {
  return (JSON.parse(row.fingerprint) as { readonly consistency?: Consistency }).consistency ?? "eventual";
}

/**
 * What is to be remembered from now on of a definition whose rows are there: what was, with the document's schema where that
 * was not known. A release that did not know of it left none, and neither does a library that cannot say it: a missing one
 * differs from nothing. Throws `definition_changed`.
 */
export function requireUnchanged(definition: AnyView, row: DefinitionRow, wayOut: string): string {
  const print = fingerprint(definition);
  if (print === row.fingerprint) return print;
  const stored = JSON.parse(row.fingerprint) as Fingerprint;
  const defined = JSON.parse(print) as Fingerprint;
  const document = stored["document"] ?? defined["document"];
  const changed = [...new Set([...Object.keys(stored), ...Object.keys(defined)])]
    .filter((member) => member !== "document" || (stored[member] !== undefined && defined[member] !== undefined))
    .filter((member) => canonicalJson(stored[member]) !== canonicalJson(defined[member]));
  if (changed.length === 0) return canonicalJson({ ...stored, ...(document === undefined ? {} : { document }) });
  const { name: view, version } = row;
  throw new ConvergentError(
    "definition_changed",
    `version ${version} of the view "${view}" is defined otherwise than when its rows were written (${changed.join(", ")}); ${wayOut}`,
    { details: { view, version, changed, stored: row.fingerprint, defined: print } },
  );
}

/** How each word of JSON Schema that constrains a value is compared; words that are missing here constrain none. */
const words: Readonly<Record<string, (value: unknown) => unknown>> = {
  ...each(["type", "enum", "required"], (value) => (Array.isArray(value) ? sorted(value) : value)),
  ...each(["allOf", "anyOf", "oneOf"], (value) => (Array.isArray(value) ? sorted(value.map(form)) : value)),
  ...each(["properties", "patternProperties", "dependentSchemas", "$defs", "definitions"], (value) =>
    Object.fromEntries(Object.entries(value as object).map(([name, schema]) => [name, form(schema)])),
  ),
  ...each(
    ["items", "prefixItems", "additionalItems", "contains", "unevaluatedItems", "additionalProperties", "unevaluatedProperties"],
    (value) => (Array.isArray(value) ? value.map(form) : form(value)),
  ),
  ...each(["propertyNames", "contentSchema", "not", "if", "then", "else"], form),
  ...each(["const", "default", "format", "pattern", "minLength", "maxLength", "multipleOf"], (value) => value),
  ...each(["minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum", "minItems", "maxItems", "uniqueItems"], (value) => value),
  ...each(["minContains", "maxContains", "minProperties", "maxProperties", "dependentRequired"], (value) => value),
  ...each(["$ref", "$dynamicRef", "$anchor", "$dynamicAnchor", "contentEncoding", "contentMediaType"], (value) => value),
};

function each(names: readonly string[], how: (value: unknown) => unknown): Record<string, (value: unknown) => unknown> {
  return Object.fromEntries(names.map((name) => [name, how]));
}

function documentForm(document: Schema): unknown {
  const schema = jsonSchemaOf(document, "output");
  if (!schema) return undefined;
  try {
    return JSON.parse(canonicalJson(form(schema))) as unknown;
  } catch {
    return undefined; // a default that JSON cannot hold, for instance
  }
}

function form(schema: unknown): unknown {
  if (typeof schema !== "object" || schema === null || Array.isArray(schema)) return schema;
  const known = Object.entries(schema).flatMap(([word, value]) => {
    const how = Object.hasOwn(words, word) ? words[word] : undefined;
    // Beside a format the pattern is how a release of the library checks it.
    if (!how || (word === "pattern" && "format" in schema)) return [];
    return [[word, how(value)] as const];
  });
  return Object.fromEntries(known);
}

function sorted(values: readonly unknown[]): unknown[] {
  return values
    .map((value) => [canonicalJson(value), value] as const)
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    .map(([, value]) => value);
}
