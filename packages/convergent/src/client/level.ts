/** How fresh a read must be and how long to wait for that, as headers say it. */
import { type Duration, durationMs } from "../host/duration.ts";
import { headers as names } from "../protocol/wire.ts";

/** How long the gateway waits unless it is told otherwise. */
const waitDefaultMs = 1000;

export interface Level {
  readonly headers: Readonly<Record<string, string>>;
  /** The answer may take so long to come. */
  readonly waitMs: number;
}

export function levelOf(options: {
  readonly wait?: Duration;
  readonly strong?: boolean;
  readonly maxAge?: Duration;
  readonly stale?: "label" | "error";
}): Level {
  const waitMs = options.wait === undefined ? waitDefaultMs : durationMs(options.wait);
  const preferences = [
    ...(options.wait === undefined ? [] : [`wait=${secondsOf(waitMs)}`]),
    ...(options.stale === "error" ? ["handling=strict"] : []),
  ];
  return {
    headers: {
      ...(preferences.length > 0 ? { [names.prefer]: preferences.join(", ") } : {}),
      ...(options.strong ? { [names.cacheControl]: "no-cache" } : {}),
      // Fractions, as in the wait: an age is often less than a second. What is at head has no age.
      ...(options.maxAge === undefined || options.strong
        ? {}
        : { [names.cacheControl]: `max-age=${secondsOf(durationMs(options.maxAge))}` }),
    },
    waitMs,
  };
}

function secondsOf(ms: number): number {
  return Number((ms / 1000).toFixed(3));
}
