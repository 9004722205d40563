// An open loop: operations begin when they are due, whether those before have ended or not.
import { setTimeout as pause } from "node:timers/promises";

/** What begins in the first second is not counted. */
const settleMs = 1_000;

/** Latencies in ms, each from when the operation was due: one that had to wait for its turn counts that, too. */
export async function offered(load: {
  readonly perSecond: number;
  readonly forMs: number;
  readonly operation: (index: number) => Promise<unknown>;
}): Promise<number[]> {
  const latenciesMs: number[] = [];
  const under: Promise<void>[] = [];
  const startedAt = performance.now();
  for (let index = 0; performance.now() - startedAt < load.forMs; index += 1) {
    const due = startedAt + (index * 1_000) / load.perSecond;
    if (due > performance.now()) await pause(Math.max(0, due - performance.now()));
    under.push(
      load.operation(index).then(() => {
        if (due - startedAt >= settleMs) latenciesMs.push(performance.now() - due);
      }),
    );
  }
  await Promise.all(under);
  return latenciesMs;
}
