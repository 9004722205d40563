/** All checkers over one history. Each is one pass and can be used alone. */
import type { AnyService } from "../../service/service.ts";
import type { AnyView } from "../../views/view.ts";
import type { HistoryRecord, Violation } from "../history.ts";
import { checkAcknowledged } from "./acknowledged.ts";
import { checkCaused, type Followed } from "./caused.ts";
import { checkFolds, type Folded } from "./folds.ts";
import { checkIds } from "./ids.ts";
import { Lineages } from "./lineages.ts";
import { checkLeases } from "./leases.ts";
import { checkLog } from "./log.ts";
import { checkReaders } from "./readers.ts";
import { checkSessions } from "./sessions.ts";

/**
 * What the promises rule out and a history shows, if anything. `services` are the definitions of what was run, in every
 * release; nothing may fail in them. The history may come from the simulator or from anywhere else.
 */
export function checkHistory(history: readonly HistoryRecord[], services: readonly AnyService[]): Violation[] {
  const lineages = new Lineages(history);
  const stores = new Map(services.flatMap(({ name, parts }) => Object.values(parts).map((part) => [part.name, name] as const)));
  const storeOf = (name: string): string | undefined => stores.get(name);
  return [
    ...checkLog(lineages),
    ...checkAcknowledged(history, lineages, storeOf),
    ...checkSessions(history, lineages, storeOf),
    ...checkFolds(history, lineages, { views: viewsOf(services), entities: entitiesOf(services), storeOf }),
    ...checkCaused(history, lineages, { storeOf, followed: followedOf(services, storeOf) }),
    ...checkIds(history, lineages, storeOf),
    ...checkReaders(history, storeOf),
    ...checkLeases(history),
  ];
}

/** Each version of each view once. */
function viewsOf(services: readonly AnyService[]): AnyView[] {
  const views = services.flatMap(({ parts }) => Object.values(parts).filter((part) => part.kind === "view"));
  return [...new Map(views.map((view) => [`${view.name} ${view.version}`, view])).values()];
}

function entitiesOf(services: readonly AnyService[]): ReadonlyMap<string, Folded> {
  const parts = services.flatMap((service) => Object.values(service.parts));
  return new Map(parts.flatMap((part) => (part.kind === "entity" ? [[part.name, part] as const] : [])));
}

/** Reactions whose effects are in another store than what they follow. */
function followedOf(services: readonly AnyService[], storeOf: (name: string) => string | undefined): Followed[] {
  const found = services.flatMap(({ name: store, parts }) =>
    Object.values(parts).flatMap((part): Followed[] => {
      if (part.kind !== "reaction") return [];
      const source = storeOf(part.from[0]?.name ?? "");
      if (source === undefined || source === store) return [];
      return [{ reaction: part.name, source, store, types: new Set(part.handlers.keys()) }];
    }),
  );
  return [...new Map(found.map((followed) => [followed.reaction, followed])).values()];
}
