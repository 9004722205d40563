/**
 * `GET /openapi.json`: the API of what is served here as OpenAPI 3.1, made from the definitions. Commands, views and queries have an
 * address each, with the schemas of their own inputs and documents, as far as the schema library can say them in JSON.
 */
import { wire } from "convergent";
import { definitionBody } from "./definition.ts";
import type { Directory } from "./directory.ts";
import { fieldTypes } from "./field-types.ts";
import { components, header, inPath, inQuery, json, list, object, problems, ref, type Schema, text, whole } from "./openapi-components.ts";
import { sagaPaths } from "./openapi-sagas.ts";

type Paths = Record<string, Record<string, Schema>>;

/** The document. `guarded`: callers are authenticated. */
export function openapiBody(directory: Directory, guarded: boolean): Schema {
  const { parts, services } = definitionBody(directory);
  const writer = new Writer(directory, guarded);
  for (const part of parts) writer.part(part);
  writer.status();
  return {
    openapi: "3.1.1",
    info: {
      title: services.join(", ") || "nothing",
      version: `protocol ${wire.protocolVersion}`,
      description: "Every answer says how fresh it is: send its Consistency-Token back to read no older than that.",
    },
    servers: [{ url: "/" }],
    tags: services.map((name) => ({ name })),
    paths: writer.paths,
    components: {
      ...components,
      schemas: { ...components.schemas, ...writer.schemas },
      ...(guarded ? { securitySchemes: { caller: { type: "http", scheme: "bearer", bearerFormat: "JWT" } } } : {}),
    },
    ...(guarded ? { security: [{ caller: [] }] } : {}),
  };
}

class Writer {
  readonly paths: Paths = {};
  readonly schemas: Record<string, Schema> = {};
  readonly #directory: Directory;
  readonly #refusals: readonly number[];

  constructor(directory: Directory, guarded: boolean) {
    this.#directory = directory;
    this.#refusals = guarded ? [401, 403, 429, 500, 503] : [403, 429, 500, 503];
  }

  part(part: wire.PartBody): void {
    for (const [name, schema] of Object.entries(part.events ?? {})) this.#component(`${part.name}.event.${name}`, schema);
    if (part.kind === "entity") this.#entity(part);
    else if (part.queries) this.#queries(part);
    else if (part.kind === "view") this.#view(part);
    else if (part.kind === "saga") {
      const input = this.#component(`${part.name}.input`, part.input);
      Object.assign(this.paths, sagaPaths(part, { input, refusals: this.#refusals }));
    }
  }

  status(): void {
    const open = (summary: string, schema: Schema): Schema => ({ summary, security: [], responses: { "200": json(summary, schema) } });
    const status = object({ status: text });
    this.paths["/healthz"] = { get: open("The process is alive.", status) };
    const ready = open("Whether requests should come here.", status);
    this.paths["/readyz"] = {
      get: { ...ready, responses: { ...(ready["responses"] as object), "503": json("`unready`, or `draining`: about to stop.", status) } },
    };
    const answers = (summary: string, schema: Schema): Schema => ({
      summary,
      responses: { "200": json(summary, schema), ...problems(...this.#refusals) },
    });
    this.paths["/definition"] = {
      get: answers("What is served here.", object({ protocol: whole, services: list(text), parts: list({ type: "object" }) })),
    };
    this.paths["/openapi.json"] = { get: answers("This document.", { type: "object" }) };
    this.paths["/readers"] = {
      get: answers(
        "How far each reader is.",
        object({ readers: list({ type: "object" }), views: list({ type: "object" }), "replicas?": list({ type: "object" }) }),
      ),
    };
    this.paths["/services/{service}/ids/{id}/void"] = {
      post: {
        summary: "Sees to it that no command under this Idempotency-Key of the caller's can take effect at the service any more.",
        parameters: [
          inPath("service", { enum: this.#directory.services.map(({ name }) => name) }),
          inPath("id", { ...text, maxLength: 255 }),
        ],
        responses: {
          "200": json("Whether that was in time; false: it took effect before.", object({ void: { type: "boolean" } })),
          ...problems(400, 404, ...this.#refusals),
        },
      },
    };
    const events = {
      "200": { description: "Server-sent events: the messages of the WebSocket.", content: { "text/event-stream": { schema: text } } },
    };
    this.paths["/live"] = {
      get: {
        summary: "Watches documents, queries, entities and sagas; by the same address over a WebSocket.",
        parameters: [
          { ...inQuery("watch", text), required: true, description: "A watch in JSON; several may be given." },
          header("ConsistencyToken"),
        ],
        responses: {
          ...events,
          ...problems(400, ...this.#refusals),
          "426": { description: "Neither a WebSocket nor server-sent events were asked for." },
        },
      },
    };
    const metrics = { "200": { description: "Prometheus text.", content: { "text/plain": { schema: text } } } };
    this.paths["/metrics"] = { get: { summary: "Metrics.", responses: { ...metrics, ...problems(...this.#refusals) } } };
  }

  #entity({ name, service, commands = {} }: wire.PartBody): void {
    const at = `/entities/${encodeURIComponent(name)}/{id}`;
    const id = inPath("id", { type: "string", minLength: 1, maxLength: 512 });
    const reads = [header("ConsistencyToken"), header("Prefer")];
    const failures = problems(400, 404, 409, ...this.#refusals);
    for (const [command, input] of Object.entries(commands)) {
      this.paths[`${at}/${encodeURIComponent(command)}`] = {
        post: {
          operationId: `${name}.${command}`,
          tags: [service],
          parameters: [id, ...["IdempotencyKey", "IfMatch", "IfNoneMatch", "ConsistencyToken", "Prefer", "Traceparent"].map(header)],
          requestBody: { required: false, content: { "application/json": { schema: this.#component(`${name}.${command}`, input) } } },
          responses: {
            "200": json("It took effect.", ref("schemas", "Command"), ["ETag", "Consistency-Token", "Preference-Applied"]),
            ...failures,
            ...problems(412, 413, 422),
          },
        },
      };
    }
    this.paths[at] = {
      get: {
        operationId: `${name}.state`,
        tags: [service],
        parameters: [
          id,
          ...reads,
          header("IfNoneMatch"),
          inQuery("version", { type: "integer", minimum: 1 }),
          inQuery("at", { type: "string", format: "date-time" }),
        ],
        responses: {
          "200": json("The state, now or as it was.", ref("schemas", "Entity"), ["ETag", "Consistency-Token", "Preference-Applied"]),
          "304": { description: "Nothing changed." },
          ...failures,
        },
      },
    };
    this.paths[`${at}/events`] = {
      get: {
        operationId: `${name}.events`,
        tags: [service],
        parameters: [id, ...reads, inQuery("after", whole), inQuery("limit", { type: "integer", minimum: 1, maximum: 1000 })],
        responses: { "200": json("The audit trail, oldest first.", ref("schemas", "Events"), ["Preference-Applied"]), ...failures },
      },
    };
  }

  #view({ name, service, document, indexes = [] }: wire.PartBody): void {
    const schema = this.#component(`${name}.document`, document);
    const at = `/views/${encodeURIComponent(name)}`;
    const levels = ["ConsistencyToken", "Prefer", "CacheControl"].map(header);
    const failures = problems(400, 404, 409, ...this.#refusals);
    const entry = this.#directory.views.get(name);
    const types = entry ? fieldTypes(entry.definition) : new Map<string, ReadonlySet<string>>();
    const conditions = indexes.flatMap((field) => {
      const known = types.get(field);
      const value: Schema = known ? { type: [...known] } : {};
      return [inQuery(field, value), inQuery(`${field}.from`, value), inQuery(`${field}.to`, value)];
    });
    this.paths[`${at}/{key}`] = {
      get: {
        operationId: `${name}.get`,
        tags: [service],
        parameters: [inPath("key", text), ...levels, header("IfNoneMatch")],
        responses: {
          "200": this.#labelled("The document.", "Reading", { anyOf: [schema, { type: "null" }] }),
          "304": { description: "Nothing changed." },
          ...failures,
        },
      },
    };
    const paging = [
      inQuery("limit", { type: "integer", minimum: 1, maximum: 500 }),
      inQuery("cursor", text),
      inQuery("count", { type: "boolean" }),
      inQuery("order", { enum: ["asc", "desc"] }),
      ...(indexes.length > 0 ? [inQuery("orderBy", { enum: indexes })] : []),
    ];
    this.paths[at] = {
      get: {
        operationId: `${name}.find`,
        tags: [service],
        parameters: [...conditions, ...paging.filter(({ name: word }) => !indexes.includes(word as string)), ...levels],
        responses: { "200": this.#labelled("A page of documents.", "Page", list(object({ key: text, value: schema }))), ...failures },
      },
    };
  }

  #queries({ name, service, queries = {} }: wire.PartBody): void {
    for (const [query, input] of Object.entries(queries)) {
      const members = Object.entries(((input as Schema)["properties"] ?? {}) as Record<string, Schema>);
      this.paths[`/views/${encodeURIComponent(name)}/queries/${encodeURIComponent(query)}`] = {
        get: {
          operationId: `${name}.${query}`,
          tags: [service],
          parameters: [
            ...members.map(([field, schema]) => inQuery(field, schema)),
            ...["ConsistencyToken", "Prefer", "CacheControl"].map(header),
          ],
          responses: { "200": this.#labelled("What the query found.", "Reading", {}), ...problems(400, 404, 409, ...this.#refusals) },
        },
      };
    }
  }

  #labelled(description: string, body: "Reading" | "Page", value: Schema): Schema {
    const headers = ["ETag", "Consistency-Token", "Preference-Applied", "Retry-After", "Retry-After-Ms"];
    return json(description, { allOf: [ref("schemas", body), { properties: { value } }] }, headers);
  }

  /** Keeps a schema of the application under a name. Its own references go on meaning its own parts: it is a document within the document. */
  #component(name: string, schema: unknown): Schema {
    const key = name.replaceAll(/[^\w.-]/g, "_");
    const { $schema: _, ...given } = schema as Record<string, unknown>;
    const refers = JSON.stringify(given).includes('"$ref"');
    this.schemas[key] =
      refers && given["$id"] === undefined ? { $id: `urn:convergent:schema:${encodeURIComponent(name)}`, ...given } : given;
    return ref("schemas", key);
  }
}
