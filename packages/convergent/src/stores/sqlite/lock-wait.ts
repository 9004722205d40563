/**
 * Waiting for SQLite's locks without standing still. A lock that another process holds is asked for again after a
 * short jittered wait; a blocking wait (`busy_timeout`) would freeze the very loop that must release a lock here
 * (measured with two processes: 2.1 s with `busy_timeout=5000`, 8 ms like this).
 *
 * Fairness: a process that commits batch after batch would leave the others only the instants in between. Where
 * another process writes too, it therefore rests after each slice, for longer than any waiter sleeps.
 */
import { ConvergentError } from "../../errors/error.ts";
import type { Host } from "../../host/host.ts";
import { isBusy } from "./failure.ts";

const waitMinMs = 1;
const waitMaxMs = 8;

/** How long a process may write without a rest while another one wants to. */
const sliceMs = 20;
/** Longer than a waiter's longest sleep, so that it asks at least once in between. */
const restMs = waitMaxMs + 2;
/** How long the other process counts as writing after its last commit, or after its lock was last in the way. */
const rivalRememberedMs = 250;

/** How long a lock may be waited for; longer than a transaction may stay open. */
export const lockWaitLimitMs = 30_000;

/** Runs `attempt` until it meets no lock. Throws `unavailable` past the limit. Resolves to whether it had to wait. */
export async function whenUnlocked(
  host: Host,
  attempt: () => void,
  limit: { readonly path: string; readonly ms: number },
): Promise<boolean> {
  const start = host.clock.elapsed();
  for (let waited = false; ; waited = true) {
    try {
      attempt();
      return waited;
    } catch (error) {
      if (!isBusy(error)) throw error;
      if (host.clock.elapsed() - start >= limit.ms) throw lockedTooLong(limit, error);
    }
    await host.timers.sleep(waitMinMs + host.random.fraction() * (waitMaxMs - waitMinMs));
  }
}

function lockedTooLong(limit: { readonly path: string; readonly ms: number }, cause: unknown): ConvergentError {
  return new ConvergentError(
    "unavailable",
    `another process has held the lock of ${limit.path} for ${limit.ms} ms; nothing was written. Find the process that has the file open, or try again later`,
    { cause, details: { path: limit.path, waitedMs: limit.ms } },
  );
}

/** Sees to it that the processes that write to one file take turns. */
export class Turns {
  readonly #host: Host;
  #sliceStart = -Infinity;
  #rivalSeen = -Infinity;
  #lastWrite = -Infinity;

  constructor(host: Host) {
    this.#host = host;
  }

  /** Waits, if this process has had its slice and another one writes too. */
  async rest(): Promise<void> {
    const now = this.#host.clock.elapsed();
    // Who has not written for that long has rested already: a lone write after an idle moment is not held up.
    if (now - this.#lastWrite >= restMs) this.#sliceStart = now;
    if (now - this.#rivalSeen > rivalRememberedMs || now - this.#sliceStart < sliceMs) return;
    await this.#host.timers.sleep(restMs);
    this.#sliceStart = this.#host.clock.elapsed();
  }

  /** Another process committed, or its lock was in the way. */
  rival(): void {
    this.#rivalSeen = this.#host.clock.elapsed();
  }

  /** A write of this process has ended. */
  wrote(): void {
    this.#lastWrite = this.#host.clock.elapsed();
  }

  /** A slice begins: this process had to wait for the lock and has it now. */
  begin(): void {
    this.#sliceStart = this.#host.clock.elapsed();
  }
}
