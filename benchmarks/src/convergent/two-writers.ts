// Two processes that run the whole service on one file and write at once, as fast as they can, and how long the event loop of either stands still
// meanwhile. A second subject keeps two loops as busy without any database: what the machine itself does to a loop.
import { join } from "node:path";
import type { SubjectCode } from "../bench.ts";
import { forkWorker } from "../harness/fork-worker.ts";
import type { LoopDelay } from "../harness/loop-delay.ts";

/** What a writer answers at its end. */
export interface Written extends LoopDelay {
  readonly rate: number;
}

/** Figures: `rate` in appends/s of both together; `p99` and `worst` delay of the worse loop, in ms. */
export function twoWriters({ work }: { readonly work: "orders" | "nothing" }): SubjectCode {
  return {
    async sample({ directory, boxMs }) {
      const writers = [];
      for (const name of ["left", "right"]) {
        const writer = forkWorker(join(import.meta.dirname, "writer.ts"), [work, directory, name, String(boxMs)]);
        // One after the other, so that only the first one creates the file.
        await writer.hear<"open">();
        writers.push(writer);
      }
      for (const writer of writers) writer.say("go");
      const answers = await Promise.all(writers.map((writer) => writer.hear<Written>()));
      for (const writer of writers) writer.stop();
      return {
        rate: answers.reduce((sum, { rate }) => sum + rate, 0),
        p99: Math.max(...answers.map(({ p99 }) => p99)),
        worst: Math.max(...answers.map(({ worst }) => worst)),
      };
    },
  };
}
