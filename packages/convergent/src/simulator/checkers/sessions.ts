/**
 * Session guarantees (Terry et al., PDIS 1994), of answers that say they are as fresh as was asked: a session reads what
 * it wrote, and a later read of a view shows no less than an earlier one.
 */
import type { DocumentOk, HistoryRecord, Invoked, Violation } from "../history.ts";
import type { Lineages } from "./lineages.ts";

interface Reached {
  readonly lineage: number;
  readonly position: number;
  readonly op: number;
}

export function checkSessions(
  history: Iterable<HistoryRecord>,
  lineages: Lineages,
  storeOf: (name: string) => string | undefined,
): Violation[] {
  const found: Violation[] = [];
  const invoked = new Map<number, Invoked>();
  /** What a session knew when an operation began. */
  const known = new Map<number, { readonly wrote: Reached | undefined; readonly read: Reached | undefined }>();
  const wrote = new Map<string, Reached>();
  const read = new Map<string, Reached>();
  for (const record of history) {
    if (record.kind === "invoke") {
      const store = storeOf(record.name) ?? "";
      invoked.set(record.op, record);
      known.set(record.op, {
        wrote: wrote.get(`${record.session} ${store}`),
        read: read.get(`${record.session} ${record.name} ${record.key}`),
      });
      continue;
    }
    if (record.kind !== "ok" || (record.what !== "command" && record.what !== "document")) continue;
    const begun = invoked.get(record.op);
    const store = storeOf(begun?.name ?? "");
    if (!begun || store === undefined) continue;
    const possible = lineages.during(store, begun.t, record.t);
    const [lineage] = possible;
    if (lineage === undefined || possible.length > 1) continue; // the store was replaced meanwhile: nobody knows which one answered
    if (record.what === "command") {
      const position = Math.max(0, ...record.events.map((event) => event.position));
      raise(wrote, `${begun.session} ${store}`, { lineage, position, op: record.op });
      continue;
    }
    if (record.fresh && begun.asked) {
      const before = known.get(record.op);
      for (const [what, reached] of Object.entries(before ?? {}))
        if (reached && isMissed(reached, record, { lineage, store, lineages })) found.push(violation(begun, record, { what, reached }));
    }
    raise(read, `${begun.session} ${begun.name} ${begun.key}`, { lineage, position: record.asOf, op: record.op });
  }
  return found;
}

function isMissed(reached: Reached, { asOf }: DocumentOk, at: { lineage: number; store: string; lineages: Lineages }): boolean {
  // What a restore took away is asked of nobody.
  return asOf < reached.position && at.lineages.kept(at.store, reached.lineage, at.lineage, reached.position);
}

function raise(all: Map<string, Reached>, key: string, reached: Reached): void {
  const before = all.get(key);
  if (!before || before.lineage < reached.lineage || before.position < reached.position) all.set(key, reached);
}

function violation(begun: Invoked, { asOf }: DocumentOk, { what, reached }: { what: string; reached: Reached }): Violation {
  return {
    checker: "sessions",
    message: `${begun.session} ${what} position ${reached.position} (operation ${reached.op}), and then ${begun.name}("${begun.key}") (operation ${begun.op}) was called fresh as of ${asOf}`,
  };
}
