// emmett's appends: one event to a new stream each, and what an acknowledgement is worth.
//
// On a shared connection emmett counts how many transactions are open and commits when the last one ends. Sixty-four callers
// that each go on at once never let that number fall to zero: they are acknowledged and nothing is committed before they
// pause (measured here: `unsaved`). In waves, where all pause together, the last one of a wave commits for all of them. So
// the waves are emmett's group commit, and the only way to keep many appends in flight with the durability we promise.
import { DatabaseSync } from "node:sqlite";
import type { SubjectCode } from "../bench.ts";
import { closedLoop, type LoopOptions, waves } from "../harness/loops.ts";
import { orderPlaced } from "../workload.ts";
import { fileIn, openEmmett } from "./open.ts";

const warmUpMs = 1_000;

export interface AppendOptions {
  readonly inFlight: number;
  readonly drive: "closed loop" | "waves";
}

/** Figures: `rate` in appends/s; `unsaved`, the appends that were acknowledged and not committed when the box ended. */
export function emmettAppend({ inFlight, drive }: AppendOptions): SubjectCode {
  return {
    async sample({ directory, boxMs }) {
      const file = fileIn(directory);
      const { store } = await openEmmett(file);
      const observer = new DatabaseSync(file, { readOnly: true });
      const committed = observer.prepare("SELECT count(*) AS events FROM emt_messages");
      let unsaved = Number.NaN;
      const options: LoopOptions = {
        inFlight,
        warmUpMs,
        boxMs,
        operation: (index) => store.appendToStream(`order-${index}`, [{ type: "order.placed", data: orderPlaced(index) }]),
        atEnd(acknowledged) {
          unsaved = Math.max(0, acknowledged - Number(committed.get()?.["events"]));
        },
      };
      const rate = drive === "waves" ? await waves(options) : await closedLoop(options);
      return { rate, unsaved };
    },
  };
}
