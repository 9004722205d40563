/**
 * Which JSON types a view's indexed fields hold, as far as the document's schema says so itself (Standard JSON Schema,
 * which Zod, Valibot, ArkType and others implement). It is how `42` in an address is told from `"42"`.
 */
import { type AnyView, jsonSchemaOf } from "convergent";

export type JsonType = "string" | "number" | "boolean" | "null";

/** The types of each field of an input, as far as its schema says so. */
export function inputTypes(schema: unknown): ReadonlyMap<string, ReadonlySet<JsonType>> {
  const properties = (jsonSchemaOf(schema, "input")?.["properties"] ?? {}) as Record<string, unknown>;
  const known = Object.entries(properties).map(([field, property]) => [field, typesOf(property)] as const);
  return new Map(known.flatMap(([field, types]) => (types && types.size > 0 ? [[field, types] as const] : [])));
}

/** The types of each index; a field is missing when its types are not known. */
export function fieldTypes(view: AnyView): ReadonlyMap<string, ReadonlySet<JsonType>> {
  const properties = jsonSchemaOf(view.document, "output")?.["properties"] as Record<string, unknown> | undefined;
  const known = (view.indexes as readonly string[]).map((field) => [field, properties && typesOf(properties[field])] as const);
  return new Map(known.flatMap(([field, types]) => (types && types.size > 0 ? [[field, types] as const] : [])));
}

function typesOf(schema: unknown): Set<JsonType> | undefined {
  if (typeof schema !== "object" || schema === null) return undefined;
  const { type, anyOf, oneOf, const: constant, enum: values } = schema as Record<string, unknown>;
  if (type !== undefined) return merged((Array.isArray(type) ? type : [type]).map(ofName));
  if (constant !== undefined) return merged([ofValue(constant)]);
  if (Array.isArray(values)) return merged(values.map(ofValue));
  const branches = anyOf ?? oneOf;
  return Array.isArray(branches) ? merged(branches.map(typesOf)) : undefined;
}

function merged(all: ReadonlyArray<Set<JsonType> | undefined>): Set<JsonType> | undefined {
  return all.every((types) => types !== undefined) ? new Set(all.flatMap((types) => [...types])) : undefined;
}

function ofName(name: unknown): Set<JsonType> | undefined {
  if (name === "integer") return new Set(["number"]);
  return name === "string" || name === "number" || name === "boolean" || name === "null" ? new Set([name]) : undefined;
}

function ofValue(value: unknown): Set<JsonType> | undefined {
  return value === null ? new Set(["null"]) : ofName(typeof value);
}
