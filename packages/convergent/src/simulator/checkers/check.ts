/** All checkers over one history. Each is one pass and can be used alone. */
import { unfinishedOf } from "../../service/saga-work.ts";
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
import { checkSagaAnswers } from "./saga-answers.ts";
import { checkSagaEffects } from "./saga-effects.ts";
import { sagaMarks } from "./saga-marks.ts";
import { type Story, storiesOf } from "./saga-stories.ts";
import { checkSagas } from "./sagas.ts";
import { checkSessions } from "./sessions.ts";
import { watchMarks } from "./watch-marks.ts";
import { checkWatches } from "./watches.ts";

/**
 * What the promises rule out and a history shows, if anything. `services` are the definitions of what was run, in every
 * release; nothing may fail in them. The history may come from the simulator or from anywhere else.
 */
export function checkHistory(history: readonly HistoryRecord[], services: readonly AnyService[]): Violation[] {
  const lineages = new Lineages(history);
  const stores = new Map(services.flatMap(({ name, parts }) => Object.values(parts).map((part) => [part.name, name] as const)));
  const storeOf = (name: string): string | undefined => stores.get(name);
  const stories = sagasOf(lineages, services);
  return [
    ...checkLog(lineages),
    ...checkAcknowledged(history, lineages, storeOf),
    ...checkSessions(history, lineages, storeOf),
    ...checkFolds(history, lineages, { views: viewsOf(services), entities: entitiesOf(services), storeOf }),
    ...checkCaused(history, lineages, { storeOf, followed: followedOf(services, storeOf) }),
    ...checkIds(history, lineages, storeOf),
    ...checkReaders(history, storeOf),
    ...checkLeases(history),
    ...checkSagas(history, stories),
    ...checkSagaEffects(lineages, stories),
    ...checkSagaAnswers(history, lineages, { stories, storeOf }),
    ...checkWatches(history, lineages, { views: viewsOf(services), entities: entitiesOf(services), stories, storeOf }),
  ];
}

/** What happened to the sagas and watches of a history, a line for each time. */
export function marksIn(history: readonly HistoryRecord[], services: readonly AnyService[]): string[] {
  return [...sagaMarks(history, sagasOf(new Lineages(history), services)), ...watchMarks(history)];
}

function sagasOf(lineages: Lineages, services: readonly AnyService[]): Story[] {
  const parts = services.flatMap(({ name, parts: all }) => Object.values(all).map((part) => [part, name] as const));
  return storiesOf(lineages, new Map(parts.flatMap(([part, store]) => (part.kind === "saga" ? [[part.name, store] as const] : []))));
}

/** Each version of each view once. */
function viewsOf(services: readonly AnyService[]): AnyView[] {
  const views = services.flatMap(({ parts }) =>
    Object.values(parts).flatMap((part) => (part.kind === "view" ? [part] : part.kind === "saga" ? [unfinishedOf(part)] : [])),
  );
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
