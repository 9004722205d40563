/** What a gateway serves, by wire name. Names are unique across its services, so that an address never means two things. */
import {
  type AnyView,
  ConvergentError,
  type EntityRuntime,
  type Running,
  runtimeOf,
  type SagaRuntime,
  type ServiceRuntime,
  type ViewRuntime,
} from "convergent";
import { CommandMeter } from "./command-meter.ts";
import type { Ending } from "./ending.ts";
import { Pace } from "./pace.ts";
import { SagaPace } from "./saga-pace.ts";

export interface EntityEntry {
  readonly name: string;
  readonly service: ServiceRuntime;
  readonly runtime: EntityRuntime;
  readonly pace: Pace;
  readonly meters: ReadonlyMap<string, CommandMeter>;
  readonly ending: Ending;
}

export interface ViewEntry {
  readonly definition: AnyView;
  readonly service: ServiceRuntime;
  readonly runtime: ViewRuntime;
  readonly ending: Ending;
}

/** What a saga is asked to do, as metrics count it. */
export const sagaActions = ["start", "signal", "cancel", "retry", "resolve"] as const;
export type SagaAction = (typeof sagaActions)[number];

export interface SagaEntry {
  readonly name: string;
  readonly service: ServiceRuntime;
  readonly runtime: SagaRuntime;
  readonly pace: SagaPace;
  readonly meters: ReadonlyMap<SagaAction, CommandMeter>;
  readonly ending: Ending;
}

export class Directory {
  readonly services: readonly ServiceRuntime[];
  readonly sagas: ReadonlyMap<string, SagaEntry>;
  readonly entities: ReadonlyMap<string, EntityEntry>;
  readonly views: ReadonlyMap<string, ViewEntry>;
  readonly ending: Ending;

  /** Throws `definition_invalid` when two services share a name or two parts do. */
  constructor(services: readonly Running[], ending: Ending) {
    this.ending = ending;
    this.services = services.map(runtimeOf);
    requireUnique(this.services);
    this.entities = new Map(
      this.services.flatMap((service) =>
        [...service.entities].map(([name, runtime]) => [name, { ...entityEntry(service, name, runtime), ending }]),
      ),
    );
    this.views = new Map(
      this.services.flatMap((service) =>
        [...service.views].map(([name, runtime]) => [name, { definition: runtime.definition, service, runtime, ending }]),
      ),
    );
    this.sagas = new Map(
      this.services.flatMap((service) =>
        [...service.sagas].map(([name, runtime]) => [name, { ...sagaEntry(service, name, runtime), ending }]),
      ),
    );
  }

  /** Throws `not_found` with the names there are. */
  entity(name: string): EntityEntry {
    return this.entities.get(name) ?? unknown("entity", name, this.entities);
  }

  /** Throws `not_found` with the names there are. */
  view(name: string): ViewEntry {
    return this.views.get(name) ?? unknown("view", name, this.views);
  }

  /** Throws `not_found` with the names there are. */
  saga(name: string): SagaEntry {
    return this.sagas.get(name) ?? unknown("saga", name, this.sagas);
  }

  /** Throws `not_found` with the names there are. */
  service(name: string): ServiceRuntime {
    const services = new Map(this.services.map((service) => [service.name, service]));
    return services.get(name) ?? unknown("service", name, services);
  }
}

/** The meter of a command. Throws `not_found` with the names there are. */
export function meterOf(entity: EntityEntry, command: string): CommandMeter {
  return entity.meters.get(command) ?? unknown(`command of ${entity.name}`, command, entity.meters);
}

function entityEntry(service: ServiceRuntime, name: string, runtime: EntityRuntime): Omit<EntityEntry, "ending"> {
  const commands = Object.keys(runtime.definition.commands as object);
  const meters = new Map(commands.map((command) => [command, new CommandMeter(name, command)]));
  return { name, service, runtime, pace: new Pace(service.log.host.clock, () => service.visibilityOf(name)), meters };
}

function sagaEntry(service: ServiceRuntime, name: string, runtime: SagaRuntime): Omit<SagaEntry, "ending"> {
  const meters = new Map(sagaActions.map((action) => [action, new CommandMeter(name, action)]));
  return { name, service, runtime, pace: new SagaPace(service.log.host.clock), meters };
}

function requireUnique(services: readonly ServiceRuntime[]): void {
  const owners = new Map<string, string>();
  const claim = (what: string, owner: string): void => {
    const other = owners.get(what);
    if (other !== undefined)
      throw new ConvergentError(
        "definition_invalid",
        `${other} and ${owner} both have ${what}; names are unique in one gateway: rename one, or serve them apart`,
      );
    owners.set(what, owner);
  };
  for (const [index, service] of services.entries()) claim(`the name "${service.name}"`, `service ${index + 1}`);
  for (const service of services) {
    for (const [key, part] of Object.entries(service.parts)) {
      claim(`a part named "${part.name}"`, `the service "${service.name}"`);
      claim(`a part under the key "${key}"`, `the service "${service.name}"`); // clients find parts by it
    }
  }
}

function unknown(kind: string, name: string, entries: ReadonlyMap<string, unknown>): never {
  const known = [...entries.keys()];
  throw new ConvergentError("not_found", `there is no ${kind} "${name.slice(0, 100)}"; there is ${known.join(", ") || "none at all"}`, {
    details: { known },
  });
}
