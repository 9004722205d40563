// Watching: what it costs to tell a thousand, to take a thousand back, and to hold five thousand.
import type { Bench, Subject } from "../bench.ts";

type Sample = "sagaFanOut" | "bareFanOut" | "resumed" | "watchedAnew" | "bareComing" | "readAgain" | "connectionMemory";

function subject(name: string, figures: Readonly<Record<string, string>>, sample: Sample, boxMs = 8_000): Subject {
  return { name, figures, boxMs, load: async () => (await import("../live/samples.ts"))[sample] };
}

const fanOut = { rate: "messages/s", bytes: "bytes" };

export const live: Bench = {
  name: "live",
  summary: "1,000 watchers of one saga beside ws.send, 1,000 who come back, 5,000 who stay",
  groups: [
    {
      name: "fan-out",
      subjects: [subject("convergent, a saga's stages", fanOut, "sagaFanOut"), subject("ws.send of a string", fanOut, "bareFanOut")],
    },
    {
      name: "resume",
      subjects: [
        subject("convergent, resumed", { ms: "ms" }, "resumed"),
        subject("convergent, watched anew", { ms: "ms" }, "watchedAnew"),
        subject("ws, a handshake and a word", { ms: "ms" }, "bareComing"),
        subject("convergent, read again over HTTP", { ms: "ms" }, "readAgain"),
      ],
    },
    { name: "memory", subjects: [subject("convergent, 5,000 watchers", { rss: "kB", heap: "kB" }, "connectionMemory")] },
  ],
  claims: [
    {
      label: "fan-out",
      basis: "messages/s to 1,000 watchers of one saga, by those of a loop of ws.send of a string of that size",
      floor: 0.8,
      aim: 5,
      ratio: (median) => median("convergent, a saga's stages/rate") / median("ws.send of a string/rate"),
    },
    {
      label: "resume",
      basis: "1,000 clients that were cut read their pages of 50 documents again, by their watches resumed",
      floor: 3,
      aim: 10,
      ratio: (median) => median("convergent, read again over HTTP/ms") / median("convergent, resumed/ms"),
    },
    {
      label: "resume-bare",
      basis: "the bare handshake of ws and a word to and fro, by watches resumed: the most that there is to be had",
      ratio: (median) => median("ws, a handshake and a word/ms") / median("convergent, resumed/ms"),
    },
    {
      label: "memory",
      basis: "30 kB by the resident memory of a connection with a watch, of 5,000",
      floor: 1,
      ratio: (median) => 30 / median("convergent, 5,000 watchers/rss"),
    },
  ],
};
