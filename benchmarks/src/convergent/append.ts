// Our appends: one event to a new stream each, as many in flight as asked; through the log alone, and as commands of an
// entity (which also look their id up, read the stream, decide, check two schemas and answer the new state).
import { DatabaseSync } from "node:sqlite";
import { accepted } from "convergent";
import type { SubjectCode } from "../bench.ts";
import { closedLoop } from "../harness/loops.ts";
import { orderPlaced } from "../workload.ts";
import { appendOne, openLog } from "./log.ts";
import { writes } from "./order.ts";
import { fileIn, sqliteStore } from "./store.ts";

const warmUpMs = 1_000;
/** The table that gets one row for each event. */
const eventsTable = "convergent_events";

export interface AppendOptions {
  readonly inFlight: number;
  readonly through: "log" | "commands";
}

/** Figures: `rate` in appends/s; `unsaved`, the appends that were acknowledged and not committed when the box ended. */
export function convergentAppend({ inFlight, through }: AppendOptions): SubjectCode {
  return {
    async sample({ directory, boxMs }) {
      const operation = through === "log" ? await appends(directory) : await commands(directory);
      const observer = new DatabaseSync(fileIn(directory), { readOnly: true });
      const committed = observer.prepare(`SELECT count(*) AS events FROM ${eventsTable}`);
      let unsaved = Number.NaN;
      const rate = await closedLoop({
        inFlight,
        warmUpMs,
        boxMs,
        operation,
        atEnd(acknowledged) {
          unsaved = Math.max(0, acknowledged - Number(committed.get()?.["events"]));
        },
      });
      return { rate, unsaved };
    },
  };
}

async function appends(directory: string): Promise<(index: number) => Promise<void>> {
  const log = await openLog(directory);
  return (index) => appendOne(log, index);
}

async function commands(directory: string): Promise<(index: number) => Promise<unknown>> {
  const running = await writes.start({ store: sqliteStore(directory) });
  return async (index) =>
    accepted(await running.order(`order-${index}`).place(orderPlaced(index), { id: `request-${index}`, expected: "none" }));
}
