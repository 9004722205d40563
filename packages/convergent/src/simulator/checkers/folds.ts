/**
 * R1, R2: whatever was read, and whatever lies in a store, is the fold of the log up to the position that is named with it:
 * each event of interest once, in order, and none behind it. The fold here is the plainest there is.
 */
import { EventCodec, isDropped } from "../../log/codec.ts";
import type { Envelope } from "../../log/event.ts";
import { sameJson } from "../../merge/same-json.ts";
import { slotOf } from "../../readers/slots.ts";
import type { AnyView } from "../../views/view.ts";
import type { HistoryRecord, Invoked, ViewHeld, Violation } from "../history.ts";
import type { Lineages } from "./lineages.ts";

/** The fold of an entity, as the checkers need it. */
export interface Folded {
  readonly initial: () => unknown;
  readonly evolve: Readonly<Record<string, unknown>>;
}

export interface FoldOptions {
  readonly views: readonly AnyView[];
  readonly entities: ReadonlyMap<string, Folded>;
  readonly storeOf: (name: string) => string | undefined;
}

export function checkFolds(history: Iterable<HistoryRecord>, lineages: Lineages, { views, entities, storeOf }: FoldOptions): Violation[] {
  const found: Violation[] = [];
  const folds = new Folds(lineages, views);
  const states = new States(lineages, entities);
  const invoked = new Map<number, Invoked>();
  for (const record of history) {
    if (record.kind === "invoke") invoked.set(record.op, record);
    else if (record.kind === "held") found.push(...folds.check(record));
    else if (record.kind === "ok" && record.what !== "other" && record.what !== "saga" && record.what !== "tell") {
      const begun = invoked.get(record.op);
      const store = storeOf(begun?.name ?? "");
      if (!begun || store === undefined) continue;
      const possible = lineages.during(store, begun.t, record.t);
      if (record.what === "document") {
        const wanted = possible.flatMap((lineage) => folds.documents({ store, lineage, view: begun.name }, begun.key, record.asOf));
        if (wanted.length > 0 && !wanted.some((each) => sameJson(each ?? null, record.value)))
          found.push({
            checker: "folds",
            message: `${begun.session} read ${JSON.stringify(record.value)} as ${begun.name}("${begun.key}") as of ${record.asOf} (operation ${begun.op}), where the log makes ${JSON.stringify(wanted[0])}`,
          });
      } else if (entities.has(begun.name)) {
        const wanted = possible.map((lineage) => states.at(store, lineage, `${begun.name}/${begun.key}`, record.version));
        if (!wanted.some((each) => sameJson(each, record.state)))
          found.push({
            checker: "folds",
            message: `${begun.session} was told the state ${JSON.stringify(record.state)} of ${begun.name}("${begun.key}") at version ${record.version} (operation ${begun.op}), where the log makes ${JSON.stringify(wanted[0])}`,
          });
      }
    }
  }
  return found;
}

/** States of a version in which its rows are whole; in the others they are being deleted, or nobody goes on with them. */
const kept: ReadonlySet<string> = new Set(["active", "building", "retired"]);

interface Which {
  readonly store: string;
  readonly lineage: number;
  readonly view: string;
}

/** Of each document all its values, by the position from which on each was there. */
type Values = Map<string, Array<{ readonly from: number; readonly value: unknown }>>;

/** The views of a history, folded as they are asked for. */
export class Folds {
  readonly #lineages: Lineages;
  readonly #views: readonly AnyView[];
  readonly #values = new Map<string, Values>();

  constructor(lineages: Lineages, views: readonly AnyView[]) {
    this.#lineages = lineages;
    this.#views = views;
  }

  /** A document as of a position, by each version of its view: while they follow each other, an answer may come from either. */
  documents(which: Which, key: string, position: number): unknown[] {
    const versions = this.#views.filter((each) => each.name === which.view && each.sql === undefined);
    return versions.map((view) => valueAt(this.#of(which, view).get(key), position));
  }

  /** Of each document, by each version of its view, all its values: the one at a position first, then the later ones. */
  since(which: Which, position: number): ReadonlyArray<ReadonlyMap<string, readonly unknown[]>> {
    const versions = this.#views.filter((each) => each.name === which.view && each.sql === undefined);
    return versions.map((view) => {
      const keys = [...this.#of(which, view)];
      return new Map(
        keys.map(([key, all]) => [key, [valueAt(all, position), ...all.filter(({ from }) => from > position).map(({ value }) => value)]]),
      );
    });
  }

  check(held: ViewHeld): Violation[] {
    const view = this.#views.find((each) => each.name === held.view && each.version === held.version && each.sql === undefined);
    if (!view || !kept.has(held.state)) return [];
    const values = this.#of(held, view);
    const found = notUnique(view, held);
    for (const key of new Set([...values.keys(), ...Object.keys(held.documents)])) {
      const position = held.slots.length === 0 ? held.head : (held.slots[slotOf(key, held.slots.length)] as number);
      const parkedFrom = held.parked[key] ?? Number.POSITIVE_INFINITY;
      const wanted = valueAt(values.get(key), Math.min(position, parkedFrom - 1));
      if (!sameJson(wanted ?? null, held.documents[key] ?? null))
        found.push({
          checker: "folds",
          message: `${held.store} holds ${JSON.stringify(held.documents[key])} as ${held.view}("${key}") of version ${held.version} (${held.state}) with its slot at ${position}, at ${Math.round(held.t)} ms, where the log makes ${JSON.stringify(wanted)}`,
        });
    }
    return found;
  }

  #of({ store, lineage }: Which, view: AnyView): Values {
    const name = `${store} ${lineage} ${view.name} ${view.version}`;
    let values = this.#values.get(name);
    if (!values) this.#values.set(name, (values = this.#fold(store, lineage, view)));
    return values;
  }

  #fold(store: string, lineage: number, view: AnyView): Values {
    const codec = new EventCodec(view.from);
    const values: Values = new Map();
    for (const stored of this.#lineages.of(store)[lineage]?.events ?? []) {
      const handler = view.handlers.get(stored.type) as ((document: unknown, event: Envelope) => unknown) | undefined;
      if (!handler) continue;
      const event = codec.decode(stored);
      if (isDropped(event)) continue;
      const key = view.key(event);
      const all = values.get(key) ?? [];
      const before = all.at(-1)?.value;
      const next = handler(before === undefined ? undefined : structuredClone(before), event);
      all.push({ from: stored.position, value: next === undefined ? undefined : (JSON.parse(JSON.stringify(next)) as unknown) });
      values.set(key, all);
    }
    return values;
  }
}

/** Two documents of a strong view never have the same value of a unique field. */
function notUnique(view: AnyView, { documents, store }: ViewHeld): Violation[] {
  return (view.unique as readonly string[]).flatMap((field) => {
    const owners = new Map<unknown, string>();
    return Object.entries(documents as Readonly<Record<string, Readonly<Record<string, unknown>>>>).flatMap(([key, document]) => {
      const value = document[field] ?? undefined;
      const other = value === undefined ? undefined : owners.get(value);
      owners.set(value, key);
      const message = `${store}: ${view.name}("${key}") and ${view.name}("${other ?? ""}") have the same ${field}`;
      return other === undefined ? [] : [{ checker: "folds", message }];
    });
  });
}

function valueAt(all: Values extends Map<string, infer All> ? All | undefined : never, position: number): unknown {
  return all?.findLast(({ from }) => from <= position)?.value;
}

/** The entities of a history, folded as they are asked for. */
export class States {
  readonly #lineages: Lineages;
  readonly #entities: ReadonlyMap<string, Folded>;
  readonly #streams = new Map<string, Map<string, unknown[]>>();

  constructor(lineages: Lineages, entities: ReadonlyMap<string, Folded>) {
    this.#lineages = lineages;
    this.#entities = entities;
  }

  at(store: string, lineage: number, stream: string, version: number): unknown {
    const name = `${store} ${lineage}`;
    let streams = this.#streams.get(name);
    if (!streams) this.#streams.set(name, (streams = this.#fold(store, lineage)));
    if (version === 0) return plain(this.#entities.get(stream.slice(0, stream.indexOf("/")))?.initial());
    return streams.get(stream)?.[version - 1];
  }

  #fold(store: string, lineage: number): Map<string, unknown[]> {
    const streams = new Map<string, unknown[]>();
    for (const event of this.#lineages.of(store)[lineage]?.events ?? []) {
      const [entity = "", type = ""] = event.type.split(".");
      const folded = this.#entities.get(entity);
      if (!folded) continue;
      const states = streams.get(event.stream) ?? [];
      const evolve = folded.evolve[type] as (state: unknown, data: unknown) => unknown;
      states.push(plain(evolve(states.length === 0 ? folded.initial() : structuredClone(states.at(-1)), JSON.parse(event.data))));
      streams.set(event.stream, states);
    }
    return streams;
  }
}

/** What JSON leaves of a value. */
function plain(value: unknown): unknown {
  return value === undefined ? undefined : (JSON.parse(JSON.stringify(value)) as unknown);
}
