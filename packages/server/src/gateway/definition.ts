/** `GET /definition`: what is served here, for clients that learn wire names and kinds from it and for people who look. */
import { type AnyEntity, type AnyPart, type AnyView, jsonSchemaOf, wire } from "convergent";
import type { Directory } from "./directory.ts";

/** The body, made once: definitions do not change while they run. */
export function definitionBody(directory: Directory): wire.DefinitionBody {
  return {
    protocol: wire.protocolVersion,
    services: directory.services.map((service) => service.name),
    parts: directory.services.flatMap((service) => Object.entries(service.parts).map(([key, part]) => partBody(service.name, key, part))),
  };
}

function partBody(service: string, key: string, part: AnyPart): wire.PartBody {
  const common = { key, name: part.name, kind: part.kind, service };
  switch (part.kind) {
    case "entity":
      return { ...common, ...entityBody(part) };
    case "view":
      return { ...common, ...viewBody(part) };
    case "saga":
      return { ...common, input: jsonSchemaOf(part.input, "input") ?? {}, version: part.version };
    case "reaction":
      return common;
  }
}

// A schema without a JSON form is `{}`, which in JSON Schema allows anything.
function entityBody(entity: AnyEntity): Partial<wire.PartBody> {
  const commands = Object.entries(entity.commands as Record<string, { input: unknown }>);
  return {
    commands: Object.fromEntries(commands.map(([name, { input }]) => [name, jsonSchemaOf(input, "input") ?? {}])),
    events: Object.fromEntries(
      Object.entries(entity.events as object).map(([name, schema]) => [name, jsonSchemaOf(schema, "output") ?? {}]),
    ),
  };
}

function viewBody(view: AnyView): Partial<wire.PartBody> {
  if (view.queries) {
    const queries = Object.entries(view.queries).map(([name, { input }]) => [name, jsonSchemaOf(input, "input") ?? {}]);
    return { queries: Object.fromEntries(queries) as Readonly<Record<string, unknown>>, version: view.version };
  }
  return { document: jsonSchemaOf(view.document, "output") ?? {}, indexes: view.indexes as readonly string[], version: view.version };
}
