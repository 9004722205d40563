// What two commits cost on this disk: the part of a wake-up that no reader can save, since the event and the view that
// follows it are each made durable.
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as pause } from "node:timers/promises";
import type { SubjectCode } from "../bench.ts";
import { percentile } from "../harness/statistics.ts";
import { orderPlaced } from "../workload.ts";

/** Between two pairs; the disk is as idle as it is in the wake-ups. */
const pauseMs = 20;

/** Figures: `p50`, `p99` in ms of two transactions of one row each, one after the other. */
export const twoCommits: SubjectCode = {
  async sample({ directory, boxMs }) {
    const database = new DatabaseSync(join(directory, "commits.db"));
    database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE rows (id INTEGER PRIMARY KEY, data TEXT)");
    const insert = database.prepare("INSERT INTO rows (data) VALUES (?)");
    const latenciesMs: number[] = [];
    const end = performance.now() + boxMs;
    for (let index = 0; performance.now() < end; index += 1) {
      await pause(pauseMs);
      const data = JSON.stringify(orderPlaced(index));
      const startedAt = performance.now();
      // Outside an explicit transaction each statement is one.
      insert.run(data);
      insert.run(data);
      latenciesMs.push(performance.now() - startedAt);
    }
    return { p50: percentile(latenciesMs, 0.5), p99: percentile(latenciesMs, 0.99) };
  },
};
