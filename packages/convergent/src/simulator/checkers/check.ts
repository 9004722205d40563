/** All checkers over one history. Each is one pass and can be used alone. */
import type { AnyView } from "../../views/view.ts";
import type { HistoryRecord, Violation } from "../history.ts";
import { checkAcknowledged } from "./acknowledged.ts";
import { checkCaused, type Followed } from "./caused.ts";
import { checkFolds, type Folded } from "./folds.ts";
import { checkIds } from "./ids.ts";
import { Lineages } from "./lineages.ts";
import { checkLog } from "./log.ts";
import { checkReaders } from "./readers.ts";
import { checkSessions } from "./sessions.ts";

/** What the checkers must know of the services, beside what happened. */
export interface CheckOptions {
  /** In all versions that were run. */
  readonly views: readonly AnyView[];
  /** By name. */
  readonly entities: ReadonlyMap<string, Folded>;
  /** The store that an entity or view belongs to, by its name. */
  readonly stores: ReadonlyMap<string, string>;
  /** Reactions to events of other services. Default: none. */
  readonly followed?: readonly Followed[];
}

/** What the promises rule out and the history shows, if anything. */
export function checkHistory(history: readonly HistoryRecord[], { views, entities, stores, followed = [] }: CheckOptions): Violation[] {
  const lineages = new Lineages(history);
  const storeOf = (name: string): string | undefined => stores.get(name);
  return [
    ...checkLog(lineages),
    ...checkAcknowledged(history, lineages, storeOf),
    ...checkSessions(history, lineages, storeOf),
    ...checkFolds(history, lineages, { views, entities, storeOf }),
    ...checkCaused(history, lineages, { storeOf, followed }),
    ...checkIds(history, lineages, storeOf),
    ...checkReaders(history, storeOf),
  ];
}
