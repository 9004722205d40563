// A new version of a view over a million events, beside a projection by emmett's consumer over the same ones; and what it
// costs those who append meanwhile.
import type { Bench } from "../bench.ts";

export const rebuild: Bench = {
  name: "rebuild",
  summary: "a new version of a view over 1,000,000 events, beside emmett-sqlite's projection, and appends meanwhile",
  groups: [
    {
      name: "rebuild",
      subjects: [
        {
          name: "convergent, rebuild",
          figures: { rate: "events/s", "heap at 1/4": "MB", "heap at end": "MB", "rss at 1/4": "MB", "rss at end": "MB" },
          load: async () => (await import("../convergent/rebuild.ts")).convergentRebuild,
        },
        {
          name: "emmett, projection",
          figures: { rate: "events/s" },
          load: async () => (await import("../emmett/projection.ts")).emmettProjection,
        },
      ],
    },
    {
      name: "under-load",
      subjects: [
        {
          name: "appends",
          figures: { "alone p99": "ms", "alone p50": "ms", "beside p99": "ms", "beside p50": "ms" },
          load: async () => (await import("../convergent/rebuild.ts")).appendsBesideRebuild,
        },
      ],
    },
  ],
  claims: [
    {
      label: "rebuild",
      basis: "events/s of a rebuild, verified, by its projection",
      floor: 5,
      ratio: (median) => median("convergent, rebuild/rate") / median("emmett, projection/rate"),
    },
    {
      label: "memory",
      basis: "heap after a collection at a quarter of the events and 10 % more, by that at the end",
      floor: 1,
      ratio: (median) => (1.1 * median("convergent, rebuild/heap at 1/4")) / median("convergent, rebuild/heap at end"),
    },
    {
      label: "appends under rebuild",
      basis: "the greater of 1.25 x and + 5 ms over the p99 without a rebuild, by the p99 with one",
      floor: 1,
      ratio: (median) => {
        const alone = median("appends/alone p99");
        return Math.max(1.25 * alone, alone + 5) / median("appends/beside p99");
      },
    },
  ],
};
