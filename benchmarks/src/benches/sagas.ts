// Operations of three empty steps on PostgreSQL beside DBOS on the same server, and beside Restate with its own.
import type { Bench, Subject } from "../bench.ts";
import type { Engine } from "../sagas/operations.ts";

function subject(engine: Engine, inFlight: number): Subject {
  return {
    name: `${engine}, ${inFlight === 1 ? "one" : inFlight} at a time`,
    figures: { rate: "operations/s", p50: "ms", p99: "ms" },
    boxMs: 6_000,
    load: async () => (await import("../sagas/operations.ts")).operations(engine, inFlight),
  };
}

const engines = ["convergent", "dbos", "restate"] as const;

export const sagas: Bench = {
  name: "sagas",
  summary: "operations of three empty steps on PostgreSQL, beside DBOS on the same server and Restate",
  groups: [{ name: "sagas", subjects: [32, 128, 1].flatMap((inFlight) => engines.map((engine) => subject(engine, inFlight))) }],
  claims: [
    {
      label: "dbos@32",
      basis: "completed operations/s, 32 at a time",
      floor: 10,
      aim: 20,
      ratio: (median) => median("convergent, 32 at a time/rate") / median("dbos, 32 at a time/rate"),
    },
    {
      label: "dbos@128",
      basis: "the same, 128 at a time",
      floor: 10,
      ratio: (median) => median("convergent, 128 at a time/rate") / median("dbos, 128 at a time/rate"),
    },
    {
      label: "restate@32",
      basis: "completed operations/s, 32 at a time",
      floor: 5,
      aim: 10,
      ratio: (median) => median("convergent, 32 at a time/rate") / median("restate, 32 at a time/rate"),
    },
    {
      label: "restate@128",
      basis: "the same, 128 at a time",
      floor: 5,
      ratio: (median) => median("convergent, 128 at a time/rate") / median("restate, 128 at a time/rate"),
    },
    {
      label: "start-latency",
      basis: "DBOS's p50 from start to result, one at a time, by ours",
      floor: 2,
      aim: 5,
      ratio: (median) => median("dbos, one at a time/p50") / median("convergent, one at a time/p50"),
    },
  ],
};
