/** Durations as users write them: `"250ms"`, `"2s"`, `"5m"`, `"1h"`. Inside, everything is a number of milliseconds. */
import { ConvergentError } from "../errors/error.ts";

/** A length of time as users write it: a whole or decimal number and its unit. */
export type Duration = `${number}${"ms" | "s" | "m" | "h"}`;

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Milliseconds of a duration. Throws `invalid_input` when it is not one. */
export function durationMs(duration: Duration): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(duration);
  const unit = match ? unitMs[match[2] as string] : undefined;
  if (!match || unit === undefined)
    throw new ConvergentError(
      "invalid_input",
      `${JSON.stringify(duration)} is no duration: write it as text, like "250ms", "2s", "5m" or "1h"`,
    );
  return Number(match[1]) * unit;
}
