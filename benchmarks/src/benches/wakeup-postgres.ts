// How soon an append on PostgreSQL is applied, beside emmett-postgresql, and what a stranger's open transaction does to it: fsync
// on, the same events of 300 bytes, one server a sample. A claim in milliseconds is the limit divided by what was measured.
import type { Bench, Subject } from "../bench.ts";
import type { Subject as Wakened } from "../postgres/wake-up.ts";

const latency = { p50: "ms", p99: "ms" };
const stranger = { ...latency, "beside p50": "ms", "beside p99": "ms", difference: "ms" };
/** Below this a difference of two p99 is noise. */
const differenceMsMin = 1;
const strangerLimitMs = 10;

function wakeUp(name: string, of: Wakened): Subject {
  return { name, figures: latency, load: async () => (await import("../postgres/wake-up.ts")).postgresWakeUp(of) };
}

function beside(name: string, of: Wakened): Subject {
  return { name, figures: stranger, load: async () => (await import("../postgres/wake-up.ts")).postgresBesideStranger(of) };
}

const emmett: Wakened = { who: "emmett", pulling: {} };

export const wakeUpPostgres: Bench = {
  name: "wakeup-postgres",
  summary: "append to applied at 50 appends/s on PostgreSQL, also beside a stranger's open transaction, beside emmett-postgresql",
  groups: [
    {
      name: "wakeup",
      subjects: [
        wakeUp("convergent, one process", { who: "convergent", processes: 1 }),
        wakeUp("convergent, two processes", { who: "convergent", processes: 2 }),
        wakeUp("emmett", emmett),
        // No claim: while every batch is full it never rests for long. Nobody who has more to do can set it so.
        wakeUp("emmett, one event a batch", { who: "emmett", pulling: { batchSize: 1, pullingFrequencyInMs: 1 } }),
      ],
    },
    {
      name: "stranger",
      subjects: [
        beside("convergent, stranger", { who: "convergent", processes: 1 }),
        beside("convergent, two processes, stranger", { who: "convergent", processes: 2 }),
        beside("emmett, stranger", emmett),
      ],
    },
  ],
  claims: [
    {
      label: "wakeup",
      basis: "emmett's median from append to applied by ours, in one process",
      floor: 100,
      aim: 500,
      ratio: (median) => median("emmett/p50") / median("convergent, one process/p50"),
    },
    {
      label: "wakeup, two processes",
      basis: "emmett's median by ours when another process reads",
      floor: 100,
      aim: 500,
      ratio: (median) => median("emmett/p50") / median("convergent, two processes/p50"),
    },
    {
      label: "stranger",
      basis: "10 ms by what an open transaction of a stranger adds to our p99, in one process or with another that reads",
      floor: 1,
      ratio: (median) =>
        strangerLimitMs /
        Math.max(differenceMsMin, median("convergent, stranger/difference"), median("convergent, two processes, stranger/difference")),
    },
  ],
};
