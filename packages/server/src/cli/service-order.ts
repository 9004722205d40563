/** Which services a module exports, and in which order they start: whoever follows another one's entities comes after it. */
import { type AnyService, ConvergentError } from "convergent";
import type { ServeOptions } from "../gateway/server.ts";

export interface Exported {
  readonly services: readonly AnyService[];
  readonly port: number | undefined;
  /** What else the server is given: who may ask, from where, how often. */
  readonly gateway: Partial<ServeOptions>;
}

/**
 * Services are found among the exports, in lists that are exported, and in an exported `{ services }`, which the
 * default export may be. Throws `definition_invalid` when there are none.
 */
export function exportedServices(module: Readonly<Record<string, unknown>>, path: string): Exported {
  const whole = isRecord(module["default"]) && !isService(module["default"]) ? { ...module, ...module["default"] } : module;
  const services = [...new Set(Object.values(whole).flatMap((value) => (Array.isArray(value) ? (value as unknown[]) : [value])))].filter(
    isService,
  );
  if (services.length === 0)
    throw new ConvergentError(
      "definition_invalid",
      `${path} exports no service; export what service(…) returns, for example: export const orders = service("orders", { parts })`,
    );
  const { port, gateway } = whole;
  return {
    services: inOrder(services),
    port: typeof port === "number" ? port : undefined,
    gateway: isRecord(gateway) ? gateway : {},
  };
}

/** The services, each after those whose entities its reactions follow. Throws `definition_invalid` for a circle. */
export function inOrder(services: readonly AnyService[]): readonly AnyService[] {
  const sorted: AnyService[] = [];
  let left = [...services];
  while (left.length > 0) {
    const ready = left.filter((service) => sourcesOf(service, left).length === 0);
    if (ready.length === 0) {
      const names = left.map((service) => service.name).join(", ");
      throw new ConvergentError(
        "definition_invalid",
        `${names} follow one another in a circle, so none of them can start first; move the reaction that closes it into a service of its own`,
      );
    }
    sorted.push(...ready);
    left = left.filter((service) => !ready.includes(service));
  }
  return sorted;
}

/** Services among `others` whose entities this one's reactions follow. */
export function sourcesOf(service: AnyService, others: readonly AnyService[]): AnyService[] {
  const own = entitiesOf(service);
  const followed = Object.values(service.parts)
    .flatMap((part) => (part.kind === "reaction" ? part.from.map((entity) => entity.name) : []))
    .filter((name) => !own.has(name));
  return others.filter((other) => other !== service && followed.some((name) => entitiesOf(other).has(name)));
}

function entitiesOf(service: AnyService): ReadonlySet<string> {
  return new Set(Object.values(service.parts).flatMap((part) => (part.kind === "entity" ? [part.name] : [])));
}

function isService(value: unknown): value is AnyService {
  return isRecord(value) && typeof value["name"] === "string" && isRecord(value["parts"]) && typeof value["start"] === "function";
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
