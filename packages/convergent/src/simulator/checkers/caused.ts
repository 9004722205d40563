/**
 * Tokens across services: a view that is called fresh to a session which wrote to another service has all that the session's
 * writes caused here by then, that is, the effects of every event of the other log up to the last position it was told of.
 */
import type { DocumentOk, HistoryRecord, Invoked, Violation } from "../history.ts";
import type { Lineages } from "./lineages.ts";

/** A reaction to another service's events: each event of these types has an effect in `store` that names it as its cause. */
export interface Followed {
  readonly reaction: string;
  readonly source: string;
  readonly store: string;
  readonly types: ReadonlySet<string>;
}

interface Wrote {
  readonly lineage: number;
  readonly position: number;
  readonly op: number;
}

export function checkCaused(
  history: Iterable<HistoryRecord>,
  lineages: Lineages,
  { storeOf, followed }: { readonly storeOf: (name: string) => string | undefined; readonly followed: readonly Followed[] },
): Violation[] {
  const found: Violation[] = [];
  if (followed.length === 0) return found;
  const effects = new Effects(lineages);
  const missed = (
    { begun, answer, lineage }: { begun: Invoked; answer: DocumentOk; lineage: number },
    each: Followed,
    last: Wrote,
  ): Violation[] => {
    const [source, ...others] = lineages.during(each.source, begun.t, answer.t);
    if (source !== last.lineage || others.length > 0) return [];
    const reached = effects.reached(each, { source, store: lineage }, last.position);
    return reached > answer.asOf ? [violation(begun, answer, { each, last, reached })] : [];
  };
  const invoked = new Map<number, Invoked>();
  const wrote = new Map<string, Wrote>();
  const before = new Map<number, ReadonlyArray<readonly [Followed, Wrote]>>();
  for (const record of history) {
    if (record.kind === "invoke") {
      invoked.set(record.op, record);
      if (record.what === "document") before.set(record.op, writtenBefore(record, { wrote, followed, store: storeOf(record.name) }));
    } else if (record.kind === "ok" && (record.what === "command" || record.what === "document")) {
      const begun = invoked.get(record.op);
      const store = storeOf(begun?.name ?? "");
      if (!begun || store === undefined) continue;
      const [lineage, ...more] = lineages.during(store, begun.t, record.t);
      if (lineage === undefined || more.length > 0) continue; // replaced meanwhile: nobody knows which one answered
      if (record.what === "command") {
        const position = Math.max(0, ...record.events.map((event) => event.position));
        const known = wrote.get(`${begun.session} ${store}`);
        if (!known || known.lineage < lineage || known.position < position)
          wrote.set(`${begun.session} ${store}`, { lineage, position, op: record.op });
      } else if (record.fresh && begun.asked) {
        const asked = { begun, answer: record, lineage };
        for (const [each, last] of before.get(record.op) ?? []) found.push(...missed(asked, each, last));
      }
    }
  }
  return found;
}

function writtenBefore(
  { session }: Invoked,
  known: { wrote: ReadonlyMap<string, Wrote>; followed: readonly Followed[]; store: string | undefined },
): Array<readonly [Followed, Wrote]> {
  return known.followed.flatMap((each) => {
    const last = known.wrote.get(`${session} ${each.source}`);
    return each.store === known.store && last ? [[each, last] as const] : [];
  });
}

function violation(
  begun: Invoked,
  { asOf }: DocumentOk,
  { each, last, reached }: { each: Followed; last: Wrote; reached: number },
): Violation {
  const where = Number.isFinite(reached) ? `at ${reached}` : "not there at all";
  return {
    checker: "caused",
    message: `${begun.session} wrote ${each.source} up to ${last.position} (operation ${last.op}), and then ${begun.name}("${begun.key}") (operation ${begun.op}) was called fresh as of ${asOf}, where an effect of ${each.reaction} is ${where}`,
  };
}

/** By which position of a store the effects of all events up to a position of another one are there. */
class Effects {
  readonly #lineages: Lineages;
  readonly #reached = new Map<string, number[]>();

  constructor(lineages: Lineages) {
    this.#lineages = lineages;
  }

  reached(followed: Followed, at: { source: number; store: number }, position: number): number {
    const name = `${followed.reaction} ${at.source} ${at.store}`;
    let all = this.#reached.get(name);
    if (!all) this.#reached.set(name, (all = this.#read(followed, at)));
    return all[position] ?? Number.POSITIVE_INFINITY;
  }

  #read({ source, store, types }: Followed, at: { source: number; store: number }): number[] {
    const byCause = new Map<string, number>();
    for (const { metadata, position } of this.#lineages.of(store)[at.store]?.events ?? []) {
      const { cause } = JSON.parse(metadata) as { cause?: string };
      if (cause !== undefined && !byCause.has(cause)) byCause.set(cause, position);
    }
    const all = [0];
    for (const { id, type } of this.#lineages.of(source)[at.source]?.events ?? []) {
      const effect = types.has(type) ? (byCause.get(id) ?? Number.POSITIVE_INFINITY) : 0;
      all.push(Math.max(all.at(-1) as number, effect));
    }
    return all;
  }
}
