/** What happened to the watches of a run, counted: a run in which nobody is cut off, or meets another history, proves little. */
import type { HistoryRecord, WatchAsked } from "../history.ts";

/** As often as this in a row no connection came to be before a client goes another way. */
const blockedAfter = 2;

/** A line for each time that something happened. */
export function watchMarks(history: Iterable<HistoryRecord>): string[] {
  const marks: string[] = [];
  const watches = new Map<number, WatchAsked>();
  /** Which process gave a cursor. */
  const givenBy = new Map<string, string>();
  const opened = new Set<number>();
  const failures = new Map<string, number>();
  for (const record of history) {
    if (record.kind === "watch") watches.set(record.watch, record);
    else if (record.kind === "told") givenBy.set(record.cursor, watches.get(record.watch)?.process ?? "");
    else if (record.kind === "verdict") {
      const { from = "", process } = watches.get(record.watch) ?? { process: "" };
      if (record.reset === undefined)
        marks.push(givenBy.get(from) === process ? "a watch resumed at the same server" : "a watch resumed at another server");
      else if (record.reset !== "start") marks.push(`a watch was reset: ${record.reset}`);
    } else if (record.kind === "connection" && record.what === "opened") {
      opened.add(record.connection);
      failures.delete(record.session);
    } else if (record.kind === "connection") {
      const failed = opened.has(record.connection) ? 0 : (failures.get(record.session) ?? 0) + 1;
      failures.set(record.session, failed);
      if (failed === blockedAfter) marks.push("watches went without a connection");
    }
  }
  return marks;
}
