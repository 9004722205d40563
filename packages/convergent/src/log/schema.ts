/** Schemas at the boundary: any Standard Schema, run once, with every problem listed by path. */
import type { StandardJSONSchemaV1, StandardSchemaV1 } from "@standard-schema/spec";
import { ConvergentError } from "../errors/error.ts";

/** A schema of any library that implements Standard Schema. */
export type Schema<Input = unknown, Output = Input> = StandardSchemaV1<Input, Output>;
/** Schemas by name. */
export type Schemas = Readonly<Record<string, Schema>>;
/** What a schema takes. */
export type InputOf<S extends Schema> = StandardSchemaV1.InferInput<S>;
/** What a schema makes of it. */
export type OutputOf<S extends Schema> = StandardSchemaV1.InferOutput<S>;

/** One problem of an input: where, and why. */
export interface Issue {
  /** `lines.0.quantity`; empty for the whole. */
  readonly path: string;
  readonly reason: string;
}

/** The schema's output for `value`. Throws `invalid_input` with every issue; `what` names the value in the message. */
export async function validated<S extends Schema>(schema: S, value: unknown, what: string): Promise<OutputOf<S>> {
  return validatedAtOnce(schema, value, () => what);
}

/** The same, without a promise where the schema needs none. */
export function validatedAtOnce<S extends Schema>(schema: S, value: unknown, what: () => string): OutputOf<S> | Promise<OutputOf<S>> {
  const answer = schema["~standard"].validate(value);
  return answer instanceof Promise ? answer.then((result) => outputOf<S>(result, what)) : outputOf<S>(answer, what);
}

function outputOf<S extends Schema>(result: StandardSchemaV1.Result<OutputOf<S>>, what: () => string): OutputOf<S> {
  if (!result.issues) return result.value;
  const issues = result.issues.map((issue): Issue => ({ path: (issue.path ?? []).map(segment).join("."), reason: issue.message }));
  const first = issues[0];
  throw new ConvergentError(
    "invalid_input",
    `${what()} does not meet its schema: ${first?.path ? `${first.path}: ` : ""}${first?.reason ?? "no reason given"}${issues.length > 1 ? ` (and ${issues.length - 1} more)` : ""}`,
    {
      details: { issues },
    },
  );
}

/**
 * What a schema takes (`input`) or gives (`output`) as JSON Schema, by Standard JSON Schema, which Zod, Valibot, ArkType and others
 * implement; `undefined` when the library cannot say or the schema has no such form.
 */
export function jsonSchemaOf(schema: unknown, side: "input" | "output"): Record<string, unknown> | undefined {
  const standard = (schema as { readonly "~standard"?: Partial<StandardJSONSchemaV1.Props> })["~standard"];
  try {
    return standard?.jsonSchema?.[side]({ target: "draft-2020-12" });
  } catch {
    return undefined; // a transform, a date: the schema works and has no JSON form
  }
}

function segment(part: PropertyKey | { readonly key: PropertyKey }): string {
  return String(typeof part === "object" ? part.key : part);
}
