// What the number of readers costs those who append, when each event is of interest to one of them.
import type { Bench } from "../bench.ts";

const figures = { p99: "ms", p50: "ms", behind: "ms", cpu: "µs" };

export const readers: Bench = {
  name: "readers",
  summary: "appends with 1,000 readers, each event of interest to one, beside one reader of all",
  groups: [
    {
      name: "readers",
      subjects: [
        { name: "one reader", figures, load: async () => (await import("../convergent/readers.ts")).oneReader },
        { name: "1,000 readers", figures, load: async () => (await import("../convergent/readers.ts")).thousandReaders },
      ],
    },
  ],
  claims: [
    {
      label: "readers",
      basis: "p99 of appends with one reader and 15 % more, by the p99 with 1,000",
      floor: 1,
      ratio: (median) => (1.15 * median("one reader/p99")) / median("1,000 readers/p99"),
    },
  ],
};
