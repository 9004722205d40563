// Hosts that differ from the real one in one point: a clock that a test moves, ids that a test can foretell, a crash at a named point.
import { writeSync } from "node:fs";
import type { Clock, CrashPoint, Host } from "convergent";
import { nodeHost } from "convergent/node";

export function hostWith(clock: Partial<Clock>): Host {
  const host = nodeHost();
  return { ...host, clock: { ...host.clock, ...clock } };
}

/** Draws the same ids in every run. */
export function foretoldHost(): Host {
  const host = nodeHost();
  let count = 0;
  return {
    ...host,
    clock: { ...host.clock, now: () => 1_700_000_000_000 },
    random: { ...host.random, id: () => `id${String(count++).padStart(24, "0")}` },
  };
}

/** Kills its own process, as `kill -9` does, when the named point is reached for the n-th time. Says so on stdout just before. */
export function crashingHost(point: CrashPoint, hit: number): Host {
  return signallingHost(point, hit, "SIGKILL");
}

/** Sends its own process a signal when the named point is reached for the n-th time. Says so on stdout just before. */
export function signallingHost(point: CrashPoint, hit: number, signal: "SIGKILL" | "SIGSTOP"): Host {
  let hits = 0;
  return {
    ...nodeHost(),
    reached: (name) => {
      if (name !== point || ++hits !== hit) return;
      writeSync(1, `${JSON.stringify({ reached: name })}\n`);
      process.kill(process.pid, signal);
    },
  };
}
