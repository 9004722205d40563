/**
 * L4: the id of every append that was acknowledged, and is still in the log, is remembered with the place that was answered;
 * and no id is remembered of an append that the log does not have. A history that tells of no ids is not asked for them.
 */
import type { CommandOk, HistoryRecord, IdHeld, Invoked, Violation } from "../history.ts";
import type { Lineages } from "./lineages.ts";

export function checkIds(history: Iterable<HistoryRecord>, lineages: Lineages, storeOf: (name: string) => string | undefined): Violation[] {
  const found: Violation[] = [];
  const violation = (message: string): number => found.push({ checker: "ids", message });
  const held = new Map<string, IdHeld>();
  const told = new Set<string>();
  const invoked = new Map<number, Invoked>();
  const answered: CommandOk[] = [];
  for (const record of history) {
    if (record.kind === "id") {
      told.add(record.store);
      held.set(`${record.store} ${record.scope} ${record.id}`, record);
      const event = lineages.of(record.store)[record.lineage]?.events[record.position - 1];
      if (event?.stream !== record.stream || event.version !== record.lastVersion)
        violation(
          `${record.store} remembers the id ${record.id} of ${record.stream}, version ${record.lastVersion}, and the log has no event ${record.position} that is it`,
        );
    } else if (record.kind === "invoke") invoked.set(record.op, record);
    else if (record.kind === "ok" && record.what === "command" && record.events.length > 0) answered.push(record);
  }
  for (const { op, events } of answered) {
    const { name, key, session, id } = invoked.get(op) ?? { name: "" };
    const store = storeOf(name);
    if (store === undefined || id === undefined || !told.has(store)) continue;
    const log = lineages.of(store).at(-1)?.events ?? [];
    if (!events.every((event) => log[event.position - 1]?.id === event.id)) continue; // an older copy took it away, or another checker objects
    const last = Math.max(...events.map(({ position }) => position));
    const kept = held.get(`${store} ${session} ${id}`);
    if (kept?.position === last) continue;
    const instead = kept ? `is remembered at ${kept.position}` : "is not remembered";
    violation(`${name}("${key}") (operation ${op}, id ${id}) ${instead}, and was acknowledged at ${last}`);
  }
  return found;
}
