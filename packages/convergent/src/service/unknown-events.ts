/**
 * What lies in a log and no definition of the service accounts for: events of types that an entity does not know, and
 * whole entities that no part names, because they were renamed or removed with data behind them. It is reported and not
 * refused: a release that runs beside a newer one is in this state for a while.
 */
import { EventCodec } from "../log/codec.ts";
import type { AnyParts } from "./facade.ts";

/** Events in the log of which the definition of their entity knows nothing. */
export interface UnknownEvents {
  readonly service: string;
  readonly entity: string;
  /** `entity.event`, as they lie in the log. */
  readonly types: readonly string[];
  /** Whether the entity is a part of the service. Its readers park these events then; those of no part are read by nobody. */
  readonly isPart: boolean;
}

/** What is unknown among the types of a log, by entity. */
export function unknownEvents(service: string, parts: AnyParts, types: readonly string[]): UnknownEvents[] {
  const entities = Object.values(parts).flatMap((part) => (part.kind === "entity" ? [part] : part.kind === "saga" ? [part.entity] : []));
  const codec = new EventCodec(entities);
  const found = new Map<string, { readonly types: string[]; readonly isPart: boolean }>();
  for (const type of types.filter((candidate) => !candidate.startsWith("$"))) {
    const entity = type.slice(0, type.indexOf("."));
    const isPart = entities.some(({ name }) => name === entity);
    if (isPart && !codec.isUnknown(type)) continue;
    const unknown = found.get(entity) ?? { types: [], isPart };
    unknown.types.push(type);
    found.set(entity, unknown);
  }
  return [...found].map(([entity, unknown]) => ({ service, entity, ...unknown }));
}
