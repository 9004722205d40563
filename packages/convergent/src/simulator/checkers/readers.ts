/** R1 and R5: a committed checkpoint goes forward and never past the log, and when everything is healed every reader comes to head. */
import type { HistoryRecord, Violation } from "../history.ts";

export function checkReaders(history: Iterable<HistoryRecord>): Violation[] {
  const found: Violation[] = [];
  const rows = new Map<string, number>();
  for (const record of history) {
    if (record.kind === "lineage") rows.clear();
    else if (record.kind === "checkpoint") {
      const { store, reader, version, slot, source, position, t } = record;
      const name = `${store}: ${reader} v${version}, slot ${slot} of ${source}`;
      const before = rows.get(name) ?? 0;
      if (position < before && position !== 0)
        found.push({ checker: "readers", message: `${name} went back from ${before} to ${position} at ${Math.round(t)} ms` });
      rows.set(name, position);
    } else if (record.kind === "settled")
      for (const message of record.behind)
        found.push({ checker: "liveness", message: `${record.withinMs} ms after everything was healed: ${message}` });
  }
  return found;
}
