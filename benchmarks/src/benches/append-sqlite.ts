// The log on SQLite beside emmett-sqlite and beside SQLite itself: appends, loads and catching up, all with WAL and
// synchronous=FULL, all with the same events of 300 bytes.
import type { Bench, Subject } from "../bench.ts";

const appends = { rate: "appends/s", unsaved: "appends" };
/** Appends reach their rate within a second; a longer box would only cost time. */
const appendBoxMs = 4_000;
const loadBoxMs = 2_500;
const inFlight = 64;
/** Enough for a second or two of raw inserts. */
const rawEvents = 150_000;

function raw(name: string, eventsPerTransaction: number): Subject {
  return {
    name,
    figures: { rate: "events/s" },
    boxMs: appendBoxMs,
    load: async () => {
      const { fillByAppends: fill } = await import("../convergent/log.ts");
      const { storeFile: file } = await import("../convergent/store.ts");
      return (await import("../sqlite/raw-inserts.ts")).rawInserts({ file, fill, events: rawEvents, eventsPerTransaction });
    },
  };
}

export const appendSqlite: Bench = {
  name: "append-sqlite",
  summary: "the log on SQLite, beside emmett-sqlite and raw node:sqlite",
  groups: [
    {
      name: "append",
      subjects: [
        {
          name: "convergent, 64 in flight",
          figures: appends,
          boxMs: appendBoxMs,
          load: async () => (await import("../convergent/append.ts")).convergentAppend({ inFlight, through: "log" }),
        },
        {
          name: "emmett, 64 in flight, in waves",
          figures: appends,
          boxMs: appendBoxMs,
          load: async () => (await import("../emmett/append.ts")).emmettAppend({ inFlight, drive: "waves" }),
        },
        {
          name: "emmett, 64 in flight",
          figures: appends,
          boxMs: appendBoxMs,
          load: async () => (await import("../emmett/append.ts")).emmettAppend({ inFlight, drive: "closed loop" }),
        },
        raw("raw inserts, 1,000 a transaction", 1_000),
        {
          name: "convergent, commands, 64 in flight",
          figures: { ...appends, rate: "commands/s" },
          boxMs: appendBoxMs,
          load: async () => (await import("../convergent/append.ts")).convergentAppend({ inFlight, through: "commands" }),
        },
        {
          name: "convergent, one at a time",
          figures: appends,
          boxMs: appendBoxMs,
          load: async () => (await import("../convergent/append.ts")).convergentAppend({ inFlight: 1, through: "log" }),
        },
        {
          name: "emmett, one at a time",
          figures: appends,
          boxMs: appendBoxMs,
          load: async () => (await import("../emmett/append.ts")).emmettAppend({ inFlight: 1, drive: "closed loop" }),
        },
        // No claim: how near to the disk's own limit `emmett@1` can come.
        raw("raw inserts, one a transaction", 1),
      ],
    },
    {
      name: "load",
      subjects: [
        {
          name: "convergent, load of 1,000 events",
          figures: { rate: "loads/s" },
          boxMs: loadBoxMs,
          load: async () => (await import("../convergent/load.ts")).convergentLoad({ cached: false }),
        },
        {
          name: "emmett, load of 1,000 events",
          figures: { rate: "loads/s" },
          boxMs: loadBoxMs,
          load: async () => (await import("../emmett/load.ts")).emmettLoad,
        },
        {
          name: "convergent, load of 1,000 events, cached",
          figures: { rate: "loads/s" },
          boxMs: loadBoxMs,
          load: async () => (await import("../convergent/load.ts")).convergentLoad({ cached: true }),
        },
      ],
    },
    {
      name: "catch-up",
      subjects: [
        {
          name: "convergent, catch-up",
          figures: { rate: "events/s" },
          load: async () => (await import("../convergent/catch-up.ts")).convergentCatchUp,
        },
        {
          name: "emmett, catch-up",
          figures: { rate: "events/s" },
          load: async () => (await import("../emmett/catch-up.ts")).emmettCatchUp({ batchSize: 10_000 }),
        },
        {
          name: "emmett, catch-up, within its first batch",
          figures: { rate: "events/s" },
          load: async () => (await import("../emmett/catch-up.ts")).emmettCatchUp({ batchSize: 100_000 }),
        },
      ],
    },
  ],
  claims: [
    {
      label: "emmett@64",
      basis: "appends/s, 64 in flight, by the faster of emmett's two ways",
      floor: 5,
      aim: 10,
      ratio: (median) =>
        median("convergent, 64 in flight/rate") /
        Math.max(median("emmett, 64 in flight, in waves/rate"), median("emmett, 64 in flight/rate")),
    },
    {
      label: "emmett@1",
      basis: "appends/s, one at a time",
      floor: 3,
      aim: 4.5,
      ratio: (median) => median("convergent, one at a time/rate") / median("emmett, one at a time/rate"),
    },
    {
      label: "raw@64",
      basis: "appends/s, 64 in flight, by raw inserts of the same rows",
      floor: 0.4,
      aim: 0.6,
      ratio: (median) => median("convergent, 64 in flight/rate") / median("raw inserts, 1,000 a transaction/rate"),
    },
    {
      label: "load",
      basis: "loads/s of a stream of 1,000 events, nothing cached",
      floor: 2.5,
      aim: 4,
      ratio: (median) => median("convergent, load of 1,000 events/rate") / median("emmett, load of 1,000 events/rate"),
    },
    {
      label: "catch-up",
      basis: "events/s of a reader with an empty handler, by its consumer",
      floor: 20,
      aim: 50,
      ratio: (median) => median("convergent, catch-up/rate") / median("emmett, catch-up/rate"),
    },
  ],
};
