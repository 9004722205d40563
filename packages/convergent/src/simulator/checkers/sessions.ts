/**
 * Session guarantees (Terry et al., PDIS 1994), of answers that say they are as fresh as was asked: a session reads what
 * it wrote, and a later read of a view shows no less than an earlier one. What is watched is told in the same way.
 */
import type { DocumentOk, HistoryRecord, Invoked, Violation, WatchAsked, WatchTold } from "../history.ts";
import type { Lineages } from "./lineages.ts";

interface Known {
  readonly wrote: Reached | undefined;
  readonly read: Reached | undefined;
}

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
  const watches = new Map<number, WatchAsked>();
  /** What a session knew when an operation, or a watch, began. */
  const known = new Map<Invoked | WatchAsked, Known>();
  const wrote = new Map<string, Reached>();
  const read = new Map<string, Reached>();
  const missed = (begun: Invoked | WatchAsked, told: DocumentOk | WatchTold, lineage: number): Violation[] => {
    const store = storeOf(begun.name) ?? "";
    return (["wrote", "read"] as const).flatMap((what) => {
      const reached = known.get(begun)?.[what];
      return reached && isMissed(reached, told, { lineage, store, lineages }) ? [violation(begun, told, { what, reached })] : [];
    });
  };
  for (const record of history) {
    if (record.kind === "invoke" || record.kind === "watch") {
      const store = storeOf(record.name) ?? "";
      if (record.kind === "invoke") invoked.set(record.op, record);
      else watches.set(record.watch, record);
      known.set(record, {
        wrote: wrote.get(`${record.session} ${store}`),
        read: read.get(`${record.session} ${record.name} ${record.key}`),
      });
      continue;
    }
    if (record.kind === "told") {
      const begun = watches.get(record.watch);
      const [lineage, ...more] = begun ? lineages.during(storeOf(begun.name) ?? "", begun.t, record.t) : [];
      if (begun?.asked && record.fresh && begun.what !== "saga" && lineage !== undefined && more.length === 0)
        found.push(...missed(begun, record, lineage));
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
    if (record.fresh && begun.asked) found.push(...missed(begun, record, lineage));
    raise(read, `${begun.session} ${begun.name} ${begun.key}`, { lineage, position: record.asOf, op: record.op });
  }
  return found;
}

function isMissed(reached: Reached, { asOf }: DocumentOk | WatchTold, at: { lineage: number; store: string; lineages: Lineages }): boolean {
  // What a restore took away is asked of nobody.
  return asOf < reached.position && at.lineages.kept(at.store, reached.lineage, at.lineage, reached.position);
}

function raise(all: Map<string, Reached>, key: string, reached: Reached): void {
  const before = all.get(key);
  if (!before || before.lineage < reached.lineage || before.position < reached.position) all.set(key, reached);
}

function violation(
  begun: Invoked | WatchAsked,
  { asOf }: DocumentOk | WatchTold,
  { what, reached }: { readonly what: string; readonly reached: Reached },
): Violation {
  const asked = begun.kind === "watch" ? `watch ${begun.watch}` : `operation ${begun.op}`;
  return {
    checker: "sessions",
    message: `${begun.session} ${what} position ${reached.position} (operation ${reached.op}), and then ${begun.name}("${begun.key}") (${asked}) was called fresh as of ${asOf}`,
  };
}
