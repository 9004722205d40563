// How long this process's event loop stood still, at worst.
import { monitorEventLoopDelay } from "node:perf_hooks";

/** The monitor's timer; its own period is part of each value it records. */
const resolutionMs = 1;
const nanosPerMs = 1e6;

export interface LoopDelay {
  readonly p99: number;
  readonly worst: number;
}

/** Watches from now on; the returned function answers in ms and stops. */
export function watchLoop(): () => LoopDelay {
  const histogram = monitorEventLoopDelay({ resolution: resolutionMs });
  histogram.enable();
  return () => {
    histogram.disable();
    const ms = (nanos: number): number => Math.max(0, nanos / nanosPerMs - resolutionMs);
    return { p99: ms(histogram.percentile(99)), worst: ms(histogram.max) };
  };
}
