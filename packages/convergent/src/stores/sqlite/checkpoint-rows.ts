/** The checkpoints of readers, as they are written. */
import type { Checkpoint } from "../../log/store.ts";
import type { Database } from "./database.ts";
import * as sql from "./queries.ts";

/** Slots from which on one statement for all of them is cheaper than one each. */
const runMin = 3;

/**
 * A reader that brings all its slots to one position writes rows that differ in nothing but their slot: one statement for
 * sixteen of them takes 19 µs, sixteen statements 97 (Node 24.21, a busy machine). With a thousand readers, each of which
 * does so every two seconds, they were the statements that took longest of all.
 */
export function saveCheckpoints(database: Database, rows: readonly Checkpoint[]): void {
  for (let from = 0; from < rows.length; ) {
    const end = endOfRun(rows, from);
    if (end - from < runMin || !moveRun(database, rows[from] as Checkpoint, end - from)) saveEach(database, rows.slice(from, end));
    from = end;
  }
}

function endOfRun(rows: readonly Checkpoint[], from: number): number {
  const first = rows[from] as Checkpoint;
  let end = from + 1;
  while (end < rows.length && isNext(first, rows[end] as Checkpoint, end - from)) end++;
  return end;
}

function isNext(first: Checkpoint, row: Checkpoint, distance: number): boolean {
  return (
    row.slot === first.slot + distance &&
    row.position === first.position &&
    row.reader === first.reader &&
    row.version === first.version &&
    row.source === first.source &&
    row.epoch === first.epoch &&
    row.reached === first.reached &&
    row.seen === first.seen &&
    row.check === first.check
  );
}

// False when some of them are new: then each is saved by itself.
function moveRun(database: Database, first: Checkpoint, count: number): boolean {
  const { reader, version, source, slot, epoch, position, reached, seen, check } = first;
  const moved = database.run(
    sql.moveCheckpoints,
    ...[epoch, position, reached, seen, check, reader, version, source, slot, slot + count - 1],
  );
  return moved === count;
}

function saveEach(database: Database, rows: readonly Checkpoint[]): void {
  for (const { reader, version, source, slot, epoch, position, reached, seen, check } of rows)
    database.run(sql.saveCheckpoint, reader, version, source, slot, epoch, position, reached, seen, check);
}
