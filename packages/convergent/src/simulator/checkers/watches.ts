/**
 * What watches were told. Within one watch, and from one to the next that goes on from its cursor: nothing goes back and no saga's stage is told twice, unless it
 * was said that it begins anew, for a reason that there is; what is told is the state at the position that is told with it; and once everything has come to
 * rest, who still watches was told of all that was committed.
 */
import { sameJson } from "../../merge/same-json.ts";
import type { Epoch } from "../../log/store.ts";
import type { ResetReason } from "../../protocol/live.ts";
import type { AnyView } from "../../views/view.ts";
import type { HistoryRecord, ShownSaga, Violation, WatchAsked, WatchTold } from "../history.ts";
import { type FoldOptions, Folds, States } from "./folds.ts";
import type { Lineages } from "./lineages.ts";
import { statesOf } from "./saga-answers.ts";
import type { Story } from "./saga-stories.ts";

export interface WatchesOptions extends FoldOptions {
  readonly stories: readonly Story[];
}

/** Documents of a page; whether a longer one is whole, is not asked. */
const pageMax = 50;

/** A watch that was asked for so shortly before everything came to rest may not have been answered. */
const newMs = 5_000;

export function checkWatches(history: Iterable<HistoryRecord>, lineages: Lineages, options: WatchesOptions): Violation[] {
  const records = [...history];
  const epochs = new Map(records.flatMap((record) => (record.kind === "epochs" ? [[record.store, record.epochs] as const] : [])));
  const watches = new Watches(lineages, { ...options, epochs });
  for (const record of records) watches.note(record);
  return watches.found.map((message) => ({ checker: "watches", message }));
}

/** What a watcher has. */
interface Has {
  readonly asOf: number;
  readonly epoch?: string | undefined;
  readonly value?: unknown;
  readonly version: number;
  readonly saga?: ShownSaga | undefined;
  readonly page: ReadonlyMap<string, unknown>;
  readonly keys: readonly string[];
  /** What is set aside stands where it stood. */
  readonly parked: number;
}

interface Watched {
  readonly asked: WatchAsked;
  isJudged: boolean;
  has: Has;
}

class Watches {
  readonly found: string[] = [];
  readonly #lineages: Lineages;
  readonly #storeOf: (name: string) => string | undefined;
  readonly #views: readonly AnyView[];
  readonly #folds: Folds;
  readonly #states: States;
  readonly #stories = new Map<string, Story[]>();
  readonly #shown = new Map<Story, ShownSaga[]>();
  readonly #standing = new Map<number, Watched>();
  /** What who was given a cursor has. */
  readonly #cursors = new Map<string, Has>();
  readonly #committed = new Set<string>();
  readonly #epochs: ReadonlyMap<string, readonly Epoch[]>;

  constructor(
    lineages: Lineages,
    { views, entities, stories, storeOf, epochs }: WatchesOptions & { readonly epochs: ReadonlyMap<string, readonly Epoch[]> },
  ) {
    this.#epochs = epochs;
    this.#lineages = lineages;
    this.#storeOf = storeOf;
    this.#views = views;
    this.#folds = new Folds(lineages, views);
    this.#states = new States(lineages, entities);
    for (const story of stories) {
      const name = `${story.saga} ${story.id}`;
      this.#stories.set(name, [...(this.#stories.get(name) ?? []), story]);
    }
  }

  note(record: HistoryRecord): void {
    switch (record.kind) {
      case "watch":
        this.#standing.set(record.watch, { asked: record, isJudged: false, has: nothing });
        break;
      case "verdict":
        this.#judged(record.watch, record);
        break;
      case "told":
        this.#told(record);
        break;
      case "unwatch":
        this.#standing.delete(record.watch);
        break;
      case "connection":
        if (record.what === "closed") this.#closed(record.connection);
        break;
      case "commit":
        for (const id of record.events) this.#committed.add(id);
        break;
      case "settled":
        if (record.behind.length === 0) this.#settled(record.t - newMs);
        break;
      default:
    }
  }

  #wrong({ session, watch, name, key }: WatchAsked, what: string): void {
    this.found.push(`${session}, watching ${name}${key === "" ? "" : `("${key}")`} (watch ${watch}), ${what}`);
  }

  #closed(connection: number): void {
    for (const [watch, { asked }] of this.#standing) if (asked.connection === connection) this.#standing.delete(watch);
  }

  #judged(watch: number, { t, reset }: { readonly t: number; readonly reset?: ResetReason }): void {
    const watched = this.#standing.get(watch);
    if (!watched) return;
    const { asked, isJudged } = watched;
    const before = isJudged ? watched.has : this.#cursors.get(asked.from ?? "");
    watched.isJudged = true;
    if (reset === undefined) {
      if (isJudged || asked.from === undefined) this.#wrong(asked, "was told that it goes on, and did not ask for that");
      watched.has = before ?? nothing;
      return;
    }
    if (!this.#isReason(asked, { reset, isJudged, t })) this.#wrong(asked, `was told to begin anew: ${reset}`);
    watched.has = nothing;
  }

  #isReason(
    { name, from }: WatchAsked,
    { reset, isJudged, t }: { readonly reset: ResetReason; readonly isJudged: boolean; readonly t: number },
  ): boolean {
    if (reset === "start") return from === undefined && !isJudged;
    if (reset === "version") return from !== undefined && this.#views.filter((view) => view.name === name).length > 1;
    // That a store is an older copy may be noticed long after it took its place.
    return reset === "history" && this.#lineages.at(this.#storeOf(name) ?? "", t) > 0;
  }

  #told(record: WatchTold): void {
    const watched = this.#standing.get(record.watch);
    if (!watched) return;
    const { asked, has } = watched;
    if (!watched.isJudged) this.#wrong(asked, "was told something before it was told where it goes on");
    if (record.asOf < has.asOf) this.#wrong(asked, `was told ${record.asOf} after ${has.asOf}`);
    if (this.#isLost(asked, has, record)) this.#wrong(asked, `goes on in another history, at ${record.asOf}, and was not told so`);
    if (record.saga && (record.version ?? 0) <= has.version)
      this.#wrong(asked, `was told of version ${record.version} after version ${has.version}`);
    if (record.gone?.some((key) => !has.page.has(key))) this.#wrong(asked, `was told that ${record.gone.join(", ")} is gone, and had none`);
    watched.has = after(has, record);
    this.#cursors.set(record.cursor, watched.has);
    this.#compare(watched, record.t);
  }

  /** Whether what it had seen is gone from the history that it is told of now. A token names the epoch that its position was written in. */
  #isLost({ name }: WatchAsked, has: Has, { epoch }: WatchTold): boolean {
    if (has.epoch === undefined || epoch === undefined || epoch === has.epoch) return false;
    const epochs = this.#epochs.get(this.#storeOf(name) ?? "") ?? [];
    if (!epochs.some(({ id }) => id === epoch)) return false; // an older copy took it away again: where it began, nobody knows
    const next = epochs[epochs.findIndex(({ id }) => id === has.epoch) + 1];
    return next !== undefined && next !== epochs[0] && has.asOf >= next.first;
  }

  /** With the logs that it may come from. */
  #compare({ asked, has }: Watched, t: number): void {
    const store = this.#storeOf(asked.name);
    if (store === undefined) return;
    const possible = this.#lineages.during(store, asked.t, t);
    const differ = possible.flatMap((lineage) => this.#difference(asked, has, { store, lineage }));
    if (differ.length >= possible.length && differ[0] !== undefined) this.#wrong(asked, `was told as of ${has.asOf} ${differ[0]}`);
  }

  /** What is wrong in one lineage; nothing when it fits. */
  #difference(asked: WatchAsked, has: Has, where: { readonly store: string; readonly lineage: number }): string[] {
    const { name, key, what } = asked;
    const is = (told: unknown, wanted: unknown): string[] =>
      sameJson(told ?? null, wanted ?? null) ? [] : [`${JSON.stringify(told)}, where the log makes ${JSON.stringify(wanted)}`];
    switch (what) {
      case "document": {
        const wanted = this.#folds.documents({ ...where, view: name }, key, has.asOf);
        const differ = wanted.map((each) => is(has.value, each));
        return differ.some(({ length }) => length === 0) ? [] : (differ[0] ?? []);
      }
      case "state": {
        const stream = `${name}/${key}`;
        const least = this.#eventsOf(where).filter((event) => event.position <= has.asOf && event.stream === stream).length;
        if (has.version < least) return [`version ${has.version}, where there are ${least}`];
        return has.version === 0 ? is(has.value, null) : is(has.value, this.#states.at(where.store, where.lineage, stream, has.version));
      }
      case "saga": {
        const story = (this.#stories.get(`${name} ${key}`) ?? []).find(({ lineage }) => lineage === where.lineage);
        if (story?.events[has.version - 1]?.position !== has.asOf)
          return [`version ${has.version}, and its stream has nothing of it there`];
        return is(has.saga, this.#shownOf(story)[has.version - 1]);
      }
      case "query": {
        const versions = this.#folds.since({ ...where, view: name }, has.asOf);
        const isExact = this.#views.some((view) => view.name === name && view.consistency === "strong");
        const differ = versions.map((documents) => pageDifference(has, documents, { where: asked.where ?? {}, isExact }));
        return differ.some(({ length }) => length === 0) ? [] : (differ[0] ?? []);
      }
    }
  }

  #settled(askedBefore: number): void {
    for (const { asked, has } of this.#standing.values()) {
      if (asked.t > askedBefore) continue;
      const store = this.#storeOf(asked.name) ?? "";
      const lineage = this.#lineages.of(store).length - 1;
      const story = this.#stories.get(`${asked.name} ${asked.key}`)?.find((each) => each.lineage === lineage);
      const events = asked.what === "saga" ? (story?.events ?? []) : this.#eventsOf({ store, lineage });
      const last = events.findLast(({ id }) => this.#committed.has(id))?.position ?? 0;
      if (has.asOf < last) this.#wrong(asked, `was told no more than ${has.asOf} of ${last}, and everything has come to rest`);
    }
  }

  #eventsOf({ store, lineage }: { readonly store: string; readonly lineage: number }): Story["events"] {
    return this.#lineages.of(store)[lineage]?.events ?? [];
  }

  #shownOf(story: Story): ShownSaga[] {
    let shown = this.#shown.get(story);
    if (!shown) this.#shown.set(story, (shown = statesOf(story)));
    return shown;
  }
}

const nothing: Has = { asOf: -1, version: 0, page: new Map(), keys: [], parked: 0 };

/** What who has that has after it was told more. */
function after(has: Has, { asOf, epoch = has.epoch, value, version, saga, changed, gone, keys, parked = 0 }: WatchTold): Has {
  const told = value === undefined && !saga ? {} : { value, saga, version: version ?? has.version };
  if (!changed) return { ...has, asOf, epoch, ...told };
  const page = new Map(has.page);
  for (const each of changed) page.set(each.key, each.value);
  for (const key of gone ?? []) page.delete(key);
  const present = new Set(keys ?? has.keys);
  for (const key of page.keys()) if (keys && !present.has(key)) page.delete(key);
  return { ...has, asOf, epoch, page, keys: keys ?? has.keys, parked };
}

/** Of documents that are not all as of one position, each is as it was then or later; where some are set aside, which ones is not told. */
function pageDifference(
  { page, keys, parked }: Has,
  documents: ReadonlyMap<string, readonly unknown[]>,
  { where, isExact }: { readonly where: Readonly<Record<string, unknown>>; readonly isExact: boolean },
): string[] {
  if (keys.length !== page.size || !keys.every((key) => page.has(key))) return [`the keys ${keys.join(", ")} with ${page.size} values`];
  if (parked > 0) return [];
  const isIn = (value: unknown): boolean =>
    value !== undefined && Object.entries(where).every(([field, wanted]) => (value as Readonly<Record<string, unknown>>)[field] === wanted);
  const found: string[] = [];
  for (const key of new Set([...page.keys(), ...documents.keys()])) {
    const all = documents.get(key) ?? [undefined];
    const values = isExact ? all.slice(0, 1) : all;
    const told = page.get(key);
    const fits = page.has(key)
      ? values.some((value) => isIn(value) && sameJson(value, told))
      : page.size >= pageMax || values.some((value) => !isIn(value));
    if (!fits) found.push(`${key} is ${JSON.stringify(told)}, where the log makes ${JSON.stringify(values[0])}`);
  }
  return found.slice(0, 1);
}
