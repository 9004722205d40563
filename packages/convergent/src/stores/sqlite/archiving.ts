/**
 * Moves events of streams that have ended to the archive, in small steps beside a live server: each step copies a
 * hundred events, syncs them, deletes them from the store under a lock of a few milliseconds, and rests as long as that
 * took. A crash at any moment leaves every event in at least one of the files; the same streams may be given again.
 */
import type { Host } from "../../host/host.ts";
import type { Archive } from "./archive.ts";
import type { Row } from "./database.ts";

/** Events of one step: a lock of 1 to 3 ms. */
const stepEvents = 128;

export interface Moving {
  readonly host: Host;
  readonly archive: Archive;
  /** Events of a stream after a version, without its last one, as the store itself holds them. */
  ended(stream: string, after: number, limit: number): Promise<Row[]>;
  drop(positions: readonly number[]): Promise<void>;
}

/** Resolves to how many events were moved. */
export async function moveToArchive(streams: readonly string[], moving: Moving): Promise<number> {
  let waiting: Row[] = [];
  let moved = 0;
  const move = async (): Promise<void> => {
    const start = moving.host.clock.elapsed();
    await moving.archive.add(waiting, moving.host);
    moving.host.reached("archive.copied");
    await moving.drop(waiting.map((row) => row[0] as number));
    moving.host.reached("archive.moved");
    moved += waiting.length;
    waiting = [];
    await moving.host.timers.sleep(moving.host.clock.elapsed() - start);
  };
  for (const stream of streams) {
    let after = 0;
    for (;;) {
      const rows = await moving.ended(stream, after, stepEvents - waiting.length);
      if (rows.length === 0) break;
      after = rows.at(-1)?.[3] as number;
      waiting.push(...rows);
      if (waiting.length >= stepEvents) await move();
    }
  }
  if (waiting.length > 0) await move();
  return moved;
}
