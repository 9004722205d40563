// Runs the seeds that it is given and tells what came of each.
import { parentPort } from "node:worker_threads";
import type { SimulationReport } from "convergent/simulator";
import { runSeed } from "./run-seed.ts";

/** A seed to be run, once or twice. */
export interface Order {
  readonly seed: number;
  readonly steps: number;
  readonly twice: boolean;
}

/** What came of it; the history stays where it is: whoever wants it runs the seed again. */
export interface Result extends Omit<SimulationReport, "history"> {
  /** A second run made other steps. */
  readonly differs: boolean;
}

parentPort?.on("message", ({ seed, steps, twice }: Order) => {
  void run(seed, steps, twice);
});

async function run(seed: number, steps: number, twice: boolean): Promise<void> {
  const { history: _, ...report } = await runSeed(seed, { steps });
  const again = twice ? await runSeed(seed, { steps }) : undefined;
  const result: Result = { ...report, differs: again !== undefined && again.hash !== report.hash };
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, and no window
  parentPort?.postMessage(result);
}
