// Appends to PostgreSQL from one process or from several, with how long each one took.
import { join } from "node:path";
import type { SubjectCode } from "../bench.ts";
import { forkWorker } from "../harness/fork-worker.ts";
import { closedLoop } from "../harness/loops.ts";
import { type DatabaseOptions, withDatabase } from "./database.ts";
import { appender, type Who } from "./appends.ts";

export const warmUpMs = 1_000;

export interface AppendOptions extends DatabaseOptions {
  readonly who: Who;
  /** In each process. */
  readonly inFlight: number;
}

export interface Measured {
  readonly rate: number;
  readonly p50: number;
  readonly p99: number;
}

/** A closed loop, with its times in milliseconds. */
export async function measured(inFlight: number, boxMs: number, append: (index: number) => Promise<unknown>): Promise<Measured> {
  const times: number[] = [];
  const rate = await closedLoop({
    inFlight,
    warmUpMs,
    boxMs,
    operation: async (index) => {
      const begun = performance.now();
      await append(index);
      times.push(performance.now() - begun);
    },
  });
  times.sort((a, b) => a - b);
  const at = (share: number): number => times[Math.floor(times.length * share)] ?? Number.NaN;
  return { rate, p50: at(0.5), p99: at(0.99) };
}

/** Figures: `rate` in appends/s; `p50` and `p99` in ms. */
export function postgresAppend({ who, inFlight, ...database }: AppendOptions): SubjectCode {
  return {
    sample: ({ directory, boxMs }) =>
      withDatabase(directory, database, async (url) => {
        const { append, close } = await appender(who, url, directory);
        const { rate, p50, p99 } = await measured(inFlight, boxMs, append);
        await close();
        return { rate, p50, p99 };
      }),
  };
}

/** The same from four processes at once; `rate` of all together, times of the slowest. */
export function postgresAppendByFour({ who, inFlight, ...database }: AppendOptions): SubjectCode {
  return {
    sample: ({ directory, boxMs }) =>
      withDatabase(directory, database, async (url) => {
        const workers = [];
        for (let number = 0; number < 4; number++) {
          const worker = forkWorker(join(import.meta.dirname, "appending.ts"), [
            who,
            url,
            directory,
            String(number),
            String(inFlight),
            String(boxMs),
          ]);
          // One after the other, so that only the first one makes the tables.
          await worker.hear<"open">();
          workers.push(worker);
        }
        for (const worker of workers) worker.say("go");
        const all = await Promise.all(workers.map((worker) => worker.hear<Measured>()));
        for (const worker of workers) worker.stop();
        return {
          rate: all.reduce((sum, { rate }) => sum + rate, 0),
          p50: Math.max(...all.map(({ p50 }) => p50)),
          p99: Math.max(...all.map(({ p99 }) => p99)),
        };
      }),
  };
}
