// The log on PostgreSQL beside emmett-postgresql and beside raw inserts: fsync on, the same events of 300 bytes, one server a sample.
import type { Bench, Subject } from "../bench.ts";
import type { AppendOptions } from "../postgres/append.ts";
import type { RawOptions } from "../postgres/raw.ts";

const figures = { rate: "appends/s", p50: "ms", p99: "ms" };
const boxMs = 6_000;

function appends(name: string, options: AppendOptions): Subject {
  return { name, figures, boxMs, load: async () => (await import("../postgres/append.ts")).postgresAppend(options) };
}

function raw(name: string, options: RawOptions): Subject {
  return { name, figures: { rate: "events/s" }, boxMs, load: async () => (await import("../postgres/raw.ts")).rawPostgres(options) };
}

function byFour(name: string, options: AppendOptions): Subject {
  return { name, figures, boxMs, load: async () => (await import("../postgres/append.ts")).postgresAppendByFour(options) };
}

function besideOthers(name: string, options: { readonly openMs?: number }): Subject {
  return { name, figures, boxMs, load: async () => (await import("../postgres/transaction.ts")).beside(options) };
}

export const appendPostgres: Bench = {
  name: "append-postgres",
  summary: "appends to PostgreSQL, beside emmett-postgresql and raw inserts",
  groups: [
    {
      name: "append",
      subjects: [
        appends("convergent, 64 in flight", { who: "convergent", inFlight: 64 }),
        appends("emmett, 64 in flight", { who: "emmett", inFlight: 64 }),
        appends("convergent, one at a time", { who: "convergent", inFlight: 1 }),
        appends("emmett, one at a time", { who: "emmett", inFlight: 1 }),
        appends("convergent, 256 in flight", { who: "convergent", inFlight: 256 }),
        raw("raw inserts, 1,000 a statement", { rowsPerStatement: 1_000, connections: 1 }),
        raw("raw inserts, 64 in flight", { rowsPerStatement: 32, connections: 2 }),
        raw("raw inserts, one at a time", { rowsPerStatement: 1, connections: 1 }),
      ],
    },
    {
      name: "processes",
      subjects: [
        byFour("convergent, four processes", { who: "convergent", inFlight: 64 }),
        byFour("emmett, four processes", { who: "emmett", inFlight: 64 }),
        byFour("convergent, four processes, slow disk", { who: "convergent", inFlight: 64, commitDelayMs: 2 }),
        byFour("emmett, four processes, slow disk", { who: "emmett", inFlight: 64, commitDelayMs: 2 }),
      ],
    },
    {
      name: "transaction",
      subjects: [
        besideOthers("convergent, 8 in flight", {}),
        besideOthers("convergent, 8 in flight, beside an open transaction", { openMs: 1_000 }),
      ],
    },
  ],
  claims: [
    {
      label: "emmett@64",
      basis: "appends/s, 64 in flight, one process",
      floor: 12,
      aim: 20,
      ratio: (median) => median("convergent, 64 in flight/rate") / median("emmett, 64 in flight/rate"),
    },
    {
      label: "emmett@64 p99",
      basis: "emmett's median time of an append at 64 in flight by our p99",
      floor: 1,
      ratio: (median) => median("emmett, 64 in flight/p50") / median("convergent, 64 in flight/p99"),
    },
    {
      label: "emmett@1",
      basis: "appends/s, one at a time",
      floor: 1.5,
      aim: 2,
      ratio: (median) => median("convergent, one at a time/rate") / median("emmett, one at a time/rate"),
    },
    {
      label: "raw@256",
      basis: "appends/s, 256 in flight, by raw inserts of the same rows",
      floor: 0.4,
      aim: 0.7,
      ratio: (median) => median("convergent, 256 in flight/rate") / median("raw inserts, 1,000 a statement/rate"),
    },
    {
      label: "raw@64",
      basis: "the same with 64 in flight, the raw inserts 32 a statement over two connections",
      floor: 0.7,
      ratio: (median) => median("convergent, 64 in flight/rate") / median("raw inserts, 64 in flight/rate"),
    },
    {
      label: "raw@1",
      basis: "the same one at a time",
      floor: 0.7,
      ratio: (median) => median("convergent, one at a time/rate") / median("raw inserts, one at a time/rate"),
    },
    {
      label: "emmett@64x4",
      basis: "appends/s, 64 in flight in each of four processes",
      floor: 8,
      aim: 12,
      ratio: (median) => median("convergent, four processes/rate") / median("emmett, four processes/rate"),
    },
    {
      label: "emmett@64x4-slow",
      basis: "the same, with 2 ms before each flush",
      floor: 2.5,
      aim: 8,
      ratio: (median) => median("convergent, four processes, slow disk/rate") / median("emmett, four processes, slow disk/rate"),
    },
    {
      label: "open@8",
      basis: "p99 of appends beside an open transaction of 1 s, by that of appends alone",
      floor: 0.5,
      aim: 0.9,
      ratio: (median) => median("convergent, 8 in flight/p99") / median("convergent, 8 in flight, beside an open transaction/p99"),
    },
  ],
};
