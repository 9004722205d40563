// What watches were told, by histories that are written by hand: each one that must be objected to, and the same one without the fault.
import { expect, test } from "vitest";
import { z } from "zod";
import { command, entity } from "../../entities/entity.ts";
import { eventDigest } from "../../log/digest.ts";
import type { Position } from "../../position/position.ts";
import { service } from "../../service/service.ts";
import { view } from "../../views/view.ts";
import type { HistoryRecord, WatchAsked, WatchTold } from "../history.ts";
import { checkHistory } from "./check.ts";

const Amount = z.object({ amount: z.number() });
const purse = entity("purse", { initial: () => ({ sum: 0 }), events: { filled: Amount } })
  .evolve({ filled: (state, { amount }) => ({ sum: state.sum + amount }) })
  .commands({ fill: command(Amount, (_, input, emit) => emit.filled(input)) });
const Sum = z.object({ sum: z.number() });
const sums = view("sums", { from: [purse], document: Sum, key: (event) => event.entityId, consistency: "strong" }).on({
  "purse.filled": (document, event) => ({ sum: (document?.sum ?? 0) + event.data.amount }),
});
const services = [service("purses", { parts: { purse, sums } })];

/** Purse a is filled with 1, 2 and 3, and purse b, as the fourth event, with 4. */
function event(position: number, lineage = 0): HistoryRecord {
  const id = position === 4 ? "b" : "a";
  const content = { id: `e${position}`, stream: `purse/${id}`, type: "purse.filled", data: `{"amount":${position}}`, metadata: "{}" };
  const stored = {
    position: position as Position,
    version: id === "b" ? 1 : position,
    at: position,
    ...content,
    digest: eventDigest(content),
  };
  return { kind: "event", store: "purses", lineage, event: stored };
}

const commit = (t: number, ...positions: number[]): HistoryRecord => {
  return { kind: "commit", t, store: "purses", process: "server-1.1", events: positions.map((position) => `e${position}`) };
};
const lineage: HistoryRecord = { kind: "lineage", t: 0, store: "purses", lineage: 0, kept: 0 };
const log = [1, 2, 3, 4].map((position) => event(position));
const settled: HistoryRecord = { kind: "settled", t: 90_000, withinMs: 60_000, behind: [] };

function watches(watch: number, over: Partial<WatchAsked> = {}): HistoryRecord {
  const of = { what: "document", name: "sums", key: "a" } as const;
  return { kind: "watch", t: watch, session: "s", watch, connection: 1, process: "server-1.1", ...of, ...over };
}

const verdict = (watch: number, reset?: "start" | "cursor" | "target" | "version" | "history"): HistoryRecord => {
  return { kind: "verdict", t: watch, watch, ...(reset ? { reset } : {}) };
};

function told(asOf: number, over: Partial<WatchTold> = {}): HistoryRecord {
  return { kind: "told", t: 10, watch: 1, asOf, fresh: true, cursor: `c${asOf}`, epoch: "x", ...over };
}

const one = told(1, { value: { sum: 1 } });
const two = told(2, { value: { sum: 3 } });
const again = [watches(1), verdict(1, "start"), two, watches(2, { from: "c2" })];
const query = { what: "query", key: "" } as const;
const page = told(4, { changed: ["a", "b"].map((key) => ({ key, value: { sum: key === "a" ? 6 : 4 } })), keys: ["a", "b"] });
const state = { what: "state", name: "purse" } as const;

const cases: ReadonlyArray<readonly [name: string, history: readonly HistoryRecord[], says?: RegExp]> = [
  ["a document as it becomes", [watches(1), verdict(1, "start"), one, two, told(4, { value: { sum: 6 } })]],
  ["a document that goes back", [watches(1), verdict(1, "start"), two, one], /was told 1 after 2/],
  ["a document of another position", [watches(1), verdict(1, "start"), told(2, { value: { sum: 1 } })], /as of 2 .*where the log makes/],
  ["a position with a value that has changed", [watches(1), verdict(1, "start"), one, told(2)], /as of 2 .*where the log makes/],
  ["a position alone, with a value that has not changed", [watches(1), verdict(1, "start"), told(3, { value: { sum: 6 } }), told(4)]],
  ["something before the verdict", [watches(1), one], /before it was told where it goes on/],
  ["a watch that goes on", [...again, verdict(2), told(4, { watch: 2, value: { sum: 6 } })]],
  ["a watch that goes on further back", [...again, verdict(2), told(1, { watch: 2, value: { sum: 1 } })], /was told 1 after 2/],
  ["a watch that goes on with what it has not", [...again, verdict(2), told(4, { watch: 2 })], /as of 4 .*where the log makes/],
  ["a watch that goes on, and did not ask for that", [watches(1), verdict(1)], /did not ask for that/],
  ["a watch that begins anew, for no reason", [...again, verdict(2, "history")], /to begin anew: history/],
  ["a watch whose cursor was not readable", [...again, verdict(2, "cursor")], /to begin anew: cursor/],
  ["a watch of a view that has one version", [...again, verdict(2, "version")], /to begin anew: version/],
  ["a page", [watches(1, query), verdict(1, "start"), page]],
  ["a page that lacks a document", [watches(1, query), verdict(1, "start"), { ...page, changed: [], keys: [] } as never], /a is undefined/],
  ["a page whose condition it does not meet", [watches(1, { ...query, where: { sum: 4 } }), verdict(1, "start"), page], /a is/],
  ["keys without values", [watches(1, query), verdict(1, "start"), { ...page, changed: [] } as never], /with 0 values/],
  ["a document that is gone and was not there", [watches(1, query), verdict(1, "start"), { ...page, gone: ["c"] } as never], /had none/],
  ["a state", [watches(1, state), verdict(1, "start"), told(4, { value: { sum: 6 }, version: 3 })]],
  [
    "a state of another version",
    [watches(1, state), verdict(1, "start"), told(2, { value: { sum: 6 }, version: 2 })],
    /where the log makes/,
  ],
  [
    "a state that lacks what is before it",
    [watches(1, state), verdict(1, "start"), told(4, { value: { sum: 3 }, version: 2 })],
    /there are 3/,
  ],
];

test.each(cases.map(([name, records, says]) => ({ name, records, says })))("$name", ({ records, says }) => {
  const found = checkHistory([lineage, ...records, ...log], services);
  if (!says) return expect(found).toEqual([]);
  expect(found.map(({ checker }) => checker)).toContain("watches");
  expect(found.map(({ message }) => message).join("\n")).toMatch(says);
});

test("who still watches when everything has come to rest was told of all that was committed", () => {
  const watched = [lineage, commit(1, 1, 2, 3, 4), watches(1), verdict(1, "start"), told(4, { value: { sum: 6 } })];
  const late = [lineage, commit(1, 1, 2, 3, 4), watches(1), verdict(1, "start"), two];
  const closed: HistoryRecord = { kind: "connection", t: 20, session: "s", connection: 1, what: "closed", code: 1001 };
  const messages = (...records: HistoryRecord[]): string =>
    checkHistory([...records, settled, ...log], services)
      .map((each) => each.message)
      .join();
  expect(messages(...watched)).toBe("");
  expect(messages(...late)).toMatch(/no more than 2 of 4/);
  expect(messages(...late, closed)).toBe("");
  expect(messages(...late, { kind: "unwatch", t: 20, watch: 1 })).toBe("");
});

test("in another history a watch begins anew, when what it had seen is gone from it", () => {
  const replaced: HistoryRecord = { kind: "lineage", t: 5, store: "purses", lineage: 1, kept: 1 };
  const epochs = {
    kind: "epochs",
    store: "purses",
    epochs: [
      { id: "x", first: 1 },
      { id: "y", first: 2 },
    ],
  } as never as HistoryRecord;
  const begun = [lineage, watches(1), verdict(1, "start"), told(2, { t: 4, value: { sum: 3 } }), event(1), event(2), replaced];
  const asks = watches(2, { t: 6, from: "c2" });
  const then = [told(3, { watch: 2, epoch: "y", value: { sum: 6 } }), event(2, 1), event(3, 1), epochs];
  const messages = (judged: HistoryRecord): string =>
    checkHistory([...begun, asks, { ...judged, t: 7 } as HistoryRecord, ...then], services)
      .map((each) => each.message)
      .join();
  expect(messages(verdict(2, "history"))).toBe("");
  expect(messages(verdict(2))).toMatch(/goes on in another history/);
});

test("what is called fresh holds what its session had written before it asked for the watch", () => {
  const wrote: HistoryRecord[] = [
    { kind: "invoke", t: 1, session: "s", op: 1, what: "command", name: "purse", key: "a", command: "fill", id: "k" },
    {
      kind: "ok",
      what: "command",
      t: 2,
      op: 1,
      state: { sum: 3 },
      version: 2,
      events: [{ id: "e2", type: "filled", version: 2, position: 2 }],
      repeated: false,
    },
  ];
  const found = (over: Partial<WatchTold>): string[] =>
    checkHistory(
      [lineage, ...wrote, watches(1, { t: 3, asked: true }), verdict(1, "start"), told(1, { value: { sum: 1 }, ...over }), ...log],
      services,
    ).map(({ checker }) => checker);
  expect(found({})).toEqual(["sessions"]);
  expect(found({ fresh: false })).toEqual([]);
});
