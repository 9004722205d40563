/** Growing waits between attempts, with jitter so that many waiters do not come back at one moment. */
import type { Random } from "./host.ts";

export interface Backoff {
  readonly firstMs: number;
  readonly maxMs: number;
  /** How much longer each wait is than the one before. */
  readonly factor: number;
}

/** The wait before attempt `attempt` (1 is the first retry): between half and all of the grown wait ("equal jitter"). */
export function backoffMs(backoff: Backoff, attempt: number, random: Random): number {
  const grown = Math.min(backoff.maxMs, backoff.firstMs * backoff.factor ** (attempt - 1));
  return grown / 2 + (grown / 2) * random.fraction();
}
