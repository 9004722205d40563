// Reading the log on PostgreSQL beside emmett-postgresql: fsync on, the same events of 300 bytes, one server a sample.
import type { Bench, Subject } from "../bench.ts";

const figures = { rate: "events/s" };
const loadBoxMs = 4_000;

function emmett(batchSize: number): Subject {
  return {
    name: `emmett, catch-up, ${batchSize.toLocaleString("en-US")} a batch`,
    figures,
    load: async () => (await import("../postgres/catch-up.ts")).emmettPostgresCatchUp({ batchSize }),
  };
}

export const readPostgres: Bench = {
  name: "read-postgres",
  summary: "a reader over 1,000,000 events on PostgreSQL and loads of 1,000, beside emmett-postgresql",
  groups: [
    {
      name: "catch-up",
      subjects: [
        {
          name: "convergent, catch-up",
          figures,
          load: async () => (await import("../postgres/catch-up.ts")).convergentPostgresCatchUp,
        },
        emmett(100),
        emmett(10_000),
      ],
    },
    {
      name: "load",
      subjects: [
        {
          name: "convergent, load of 1,000 events",
          figures: { rate: "loads/s" },
          boxMs: loadBoxMs,
          load: async () => (await import("../postgres/load.ts")).convergentPostgresLoad,
        },
        {
          name: "emmett, load of 1,000 events",
          figures: { rate: "loads/s" },
          boxMs: loadBoxMs,
          load: async () => (await import("../postgres/load.ts")).emmettPostgresLoad,
        },
      ],
    },
  ],
  claims: [
    {
      label: "catch-up",
      basis: "events/s of a reader with an empty handler, by its consumer with the better of two batch sizes",
      floor: 40,
      aim: 80,
      ratio: (median) =>
        median("convergent, catch-up/rate") /
        Math.max(median("emmett, catch-up, 100 a batch/rate"), median("emmett, catch-up, 10,000 a batch/rate")),
    },
    {
      label: "load",
      basis: "loads/s of a stream of 1,000 events, nothing cached",
      floor: 2,
      aim: 3,
      ratio: (median) => median("convergent, load of 1,000 events/rate") / median("emmett, load of 1,000 events/rate"),
    },
  ],
};
