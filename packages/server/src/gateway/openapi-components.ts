/** The parts of the API's description that every service shares: headers, bodies, and problems by status with the codes of the catalogue. */
import { catalogue, type ErrorCode } from "convergent";

export type Schema = Readonly<Record<string, unknown>>;

/** Statuses that HTTP itself defines and that carry no code, and what they mean here. */
const withoutCode: Readonly<Record<number, string>> = {
  405: "The address has other methods.",
  408: "The request came too slowly.",
  414: "The address is too long.",
  431: "The headers are too large.",
  500: "The server failed unexpectedly.",
};

export const text: Schema = { type: "string" };
export const whole: Schema = { type: "integer", minimum: 0 };

/** An object; members whose names end in `?` may be missing. */
export function object(members: Readonly<Record<string, Schema>>): Schema {
  const names = Object.keys(members);
  return {
    type: "object",
    properties: Object.fromEntries(Object.entries(members).map(([name, schema]) => [name.replace(/\?$/, ""), schema])),
    required: names.filter((name) => !name.endsWith("?")),
  };
}

export function list(items: Schema): Schema {
  return { type: "array", items };
}

/** A reference to a component. */
export function ref(kind: "schemas" | "parameters" | "headers" | "responses", name: string): Schema {
  return { $ref: `#/components/${kind}/${name}` };
}

const parameters: Readonly<Record<string, Schema>> = {
  IdempotencyKey: inHeader(
    "Idempotency-Key",
    "Same key and body: the first answer again. Same key, other body: 422. Keys belong to their caller.",
    {
      type: "string",
      pattern: '^"?[\\u0021-\\u007e]{1,255}"?$',
    },
  ),
  IfMatch: inHeader("If-Match", "The ETag of an earlier answer: the command runs at that version only. `*`: the entity must exist.", text),
  IfNoneMatch: inHeader(
    "If-None-Match",
    "On a command `*`: the entity must not exist. On a read the ETag that is known: 304 when nothing changed, for a saga within the time that `Prefer` waits.",
    text,
  ),
  ConsistencyToken: inHeader("Consistency-Token", "What an earlier answer has seen: a read is no older than that.", text),
  Prefer: inHeader(
    "Prefer",
    "`wait=SECONDS` (at most 30): how long to wait for freshness, or for news of a saga. `handling=strict`: rather 503 than a stale answer; a read that names no level then asks for the newest write at its arrival. `on-conflict=reject|retry|merge`.",
    text,
  ),
  CacheControl: inHeader("Cache-Control", "On a read: `max-age=SECONDS`, or `no-cache` for the head at arrival.", text),
  Traceparent: inHeader("traceparent", "W3C trace context; kept with the events.", text),
};

function inHeader(name: string, description: string, schema: Schema): Schema {
  return { name, in: "header", required: false, description, schema };
}

const headers: Readonly<Record<string, Schema>> = {
  ETag: { description: "The version of what was answered.", schema: text },
  ConsistencyToken: { description: "What this answer has seen; send it back to read no older than that.", schema: text },
  Location: { description: "Where the saga is read.", schema: text },
  PreferenceApplied: { description: "The preferences that were honoured.", schema: text },
  RetryAfter: { description: "Seconds, rounded up.", schema: { type: "integer", minimum: 1 } },
  RetryAfterMs: { description: "The exact milliseconds.", schema: whole },
};

const percentiles = object({ p50: { type: "number" }, p75: { type: "number" }, p95: { type: "number" }, p99: { type: "number" } });
const labels = {
  asOf: { ...whole, description: "Everything up to this position is in the value." },
  behind: object({ positions: whole, ms: { type: "number", minimum: 0 } }),
  fresh: { type: "boolean", description: "Whether what was asked for was met." },
  "unchecked?": list(text),
  "unmet?": list(text),
  "visibilityMs?": ref("schemas", "VisibilityMs"),
} as const;
const time = { type: "string", format: "date-time" } as const;
const event = { id: text, type: text, version: whole, position: whole, at: time, data: {} } as const;

const schemas: Readonly<Record<string, Schema>> = {
  VisibilityMs: { ...percentiles, description: "Measured milliseconds from write to visible." },
  AppendedEvent: object(event),
  Event: object({ ...event, metadata: { type: "object" } }),
  Command: object({
    "state?": { description: "The entity's state right after this command; absent when the caller may not read it." },
    version: whole,
    events: list(ref("schemas", "AppendedEvent")),
    token: text,
    "pending?": list(text),
    "repeated?": { type: "boolean" },
    "merged?": {
      ...list(ref("schemas", "FieldChange")),
      description:
        "The input was merged: what others had changed of it, and what became of that; only the names and `ours` when the caller may not read the entity.",
    },
    "visibilityMs?": ref("schemas", "VisibilityMs"),
  }),
  FieldChange: object({
    field: text,
    "base?": { description: "As it was at the expected version." },
    "theirs?": { description: "As others made it since." },
    "ours?": { description: "As this command would make it." },
    "merged?": { description: "What the command's rules make of it." },
    conflicting: { type: "boolean", description: "Nothing says what becomes of it: somebody has to choose." },
  }),
  Conflict: object({
    version: whole,
    "state?": { description: "The entity as it is; absent, like the rest, when the caller may not read it." },
    "expected?": { type: ["integer", "string"] },
    "base?": { description: "The state at the expected version." },
    changed: { ...list(ref("schemas", "Event")), description: "The events since then, at most 100." },
    "more?": { const: true },
    fields: { ...list(ref("schemas", "FieldChange")), description: "Of the command's input when it is `mergeable`, else of the state." },
    mergeable: { type: "boolean" },
  }),
  Entity: object({
    state: { description: "The entity's state." },
    version: whole,
    token: text,
    "pending?": list(text),
    "fresh?": { const: false },
    "unchecked?": list(text),
    "unmet?": list(text),
  }),
  Events: object({ events: list(ref("schemas", "Event")), "next?": whole }),
  SagaAccepted: object({
    id: text,
    token: text,
    repeated: { type: "boolean", description: "The same was asked under the same id before." },
  }),
  SagaStep: object({
    name: text,
    kind: { enum: ["step", "timer", "signal", "event", "saga"] },
    state: { enum: ["begun", "done", "failed", "undoing", "undone", "void", "resolved", "stuck"] },
    retries: { ...whole, description: "Failed attempts so far, of the step or of its undo." },
    begunAt: time,
    "endedAt?": time,
    "result?": { description: "Of a wait for an event: the stream and version of the one that came." },
    "error?": { ...text, description: "Of the last attempt; of a step that runs a saga, why that is parked." },
    "child?": { ...object({ saga: text, id: text }), description: "Of a step that runs a saga." },
    "dueAt?": { ...time, description: "When the next attempt, or the end of a wait, is due." },
  }),
  Saga: object({
    id: text,
    status: { enum: ["running", "undoing", "completed", "compensated", "parked"] },
    input: {},
    steps: list(ref("schemas", "SagaStep")),
    "result?": { description: "Of one that has completed." },
    "error?": { ...text, description: "Why it is undone, or parked." },
    "cancelled?": { ...text, description: "The reason, of one that was cancelled." },
    startedAt: time,
    "endedAt?": time,
    version: whole,
    token: text,
  }),
  Reading: object({ value: {}, ...labels }),
  Page: object({ value: list(object({ key: text, value: {} })), ...labels, "cursor?": text, "count?": whole }),
  Problem: object({
    type: text,
    title: text,
    status: { type: "integer", minimum: 400, maximum: 599 },
    detail: text,
    "code?": { enum: Object.keys(catalogue) },
    "retry?": { enum: ["never", "later"], description: "Whether the same request may succeed later." },
  }),
};

/** A problem of each status, with the codes that it may have. */
function responses(): Readonly<Record<string, Schema>> {
  const codes = new Map<number, ErrorCode[]>(Object.keys(withoutCode).map((status) => [Number(status), []]));
  for (const [code, { status }] of Object.entries(catalogue) as Array<[ErrorCode, { readonly status: number }]>)
    codes.set(status, [...(codes.get(status) ?? []), code]);
  return Object.fromEntries([...codes].map(([status, names]) => [`Problem${status}`, response(status, names)]));
}

function response(status: number, codes: readonly ErrorCode[]): Schema {
  const plain = withoutCode[status];
  const described = [...codes.map((code) => `\`${code}\`: ${catalogue[code].summary}`), ...(plain === undefined ? [] : [plain])];
  const coded: Schema = plain === undefined ? { required: ["code", "retry"] } : {};
  const later = codes.some((code) => catalogue[code].retry === "later");
  const schema = {
    allOf: [
      ref("schemas", "Problem"),
      ...(codes.includes("version_conflict") ? [ref("schemas", "Conflict")] : []),
      { properties: { status: { const: status }, ...(codes.length > 0 ? { code: { enum: codes } } : {}) }, ...coded },
    ],
  };
  return {
    description: described.join("\n\n"),
    ...(later ? { headers: { "Retry-After": ref("headers", "RetryAfter"), "Retry-After-Ms": ref("headers", "RetryAfterMs") } } : {}),
    content: { "application/problem+json": { schema } },
  };
}

/** References to problems by status. */
export function problems(...statuses: readonly number[]): Record<string, Schema> {
  return Object.fromEntries(statuses.map((status) => [String(status), ref("responses", `Problem${status}`)]));
}

/** A parameter that several operations have. */
export function header(name: string): Schema {
  return ref("parameters", name);
}

export function inPath(name: string, schema: Schema): Schema {
  return { name, in: "path", required: true, schema };
}

export function inQuery(name: string, schema: Schema): Schema {
  return { name, in: "query", required: false, schema };
}

export function json(description: string, schema: Schema, headers: readonly string[] = []): Schema {
  return {
    description,
    ...(headers.length > 0 ? { headers: Object.fromEntries(headers.map((name) => [name, ref("headers", name.replaceAll("-", ""))])) } : {}),
    content: { "application/json": { schema } },
  };
}

/** Everything that is referred to, by kind and name. */
export const components: Readonly<Record<"schemas" | "parameters" | "headers" | "responses", Readonly<Record<string, Schema>>>> = {
  schemas,
  parameters,
  headers,
  responses: responses(),
};
