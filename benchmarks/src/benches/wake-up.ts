// How soon a write is seen when nothing else happens, and whether writing in two processes makes either stand still.
// Its claims are limits in milliseconds; their ratio is the limit divided by what was measured, so 1 is just met.
import type { Bench, Medians } from "../bench.ts";

const latency = { p50: "ms", p99: "ms" };
const loops = { rate: "operations/s", p99: "ms", worst: "ms" };
const boxMs = 4_000;
/** Below this a difference of two medians is noise, and a limit divided by it says nothing. */
const differenceMsMin = 1;

/** A wake-up less the two commits that no reader can save, in ms. */
function aboveCommits(median: Medians, figure: string, percentile: "p50" | "p99"): number {
  return Math.max(differenceMsMin, median(`${figure}/${percentile}`) - median(`two commits, raw/${percentile}`));
}

export const wakeUp: Bench = {
  name: "wake-up",
  summary: "append to view applied when idle, in one process and across two, and the event loop of two writers",
  groups: [
    {
      name: "idle",
      subjects: [
        {
          name: "convergent, one process",
          figures: latency,
          boxMs,
          load: async () => (await import("../convergent/wake-up.ts")).convergentWakeUp({ processes: 1 }),
        },
        {
          name: "convergent, two processes",
          figures: latency,
          boxMs,
          load: async () => (await import("../convergent/wake-up.ts")).convergentWakeUp({ processes: 2 }),
        },
        { name: "two commits, raw", figures: latency, boxMs, load: async () => (await import("../sqlite/two-commits.ts")).twoCommits },
        // The whole box: it answers about twice a second.
        { name: "emmett, one process", figures: latency, load: async () => (await import("../emmett/wake-up.ts")).emmettWakeUp },
      ],
    },
    {
      name: "two-writers",
      subjects: [
        {
          name: "convergent, two writers",
          figures: loops,
          boxMs,
          load: async () => (await import("../convergent/two-writers.ts")).twoWriters({ work: "orders" }),
        },
        {
          name: "two busy loops, no database",
          figures: loops,
          boxMs,
          load: async () => (await import("../convergent/two-writers.ts")).twoWriters({ work: "nothing" }),
        },
      ],
    },
  ],
  claims: [
    {
      label: "wake-up p50",
      basis: "5 ms by the median wake-up in one process above two commits",
      floor: 1,
      ratio: (median) => 5 / aboveCommits(median, "convergent, one process", "p50"),
    },
    {
      label: "wake-up p99",
      basis: "20 ms by the slowest hundredth in one process above two commits",
      floor: 1,
      ratio: (median) => 20 / aboveCommits(median, "convergent, one process", "p99"),
    },
    {
      label: "wake-up p50, two processes",
      basis: "10 ms by the median wake-up across two processes",
      floor: 1,
      ratio: (median) => 10 / median("convergent, two processes/p50"),
    },
    {
      label: "wake-up against emmett",
      basis: "emmett's median wake-up in one process by ours",
      floor: 1,
      ratio: (median) => median("emmett, one process/p50") / median("convergent, one process/p50"),
    },
    {
      label: "two writers, stall",
      basis: "20 ms by the longest standstill of either event loop",
      floor: 1,
      ratio: (median) => 20 / median("convergent, two writers/worst"),
    },
  ],
};
