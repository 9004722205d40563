// The checkers of sagas against histories that they must object to, and the same ones without the fault. Histories are written by hand.
import { expect, test } from "vitest";
import { z } from "zod";
import { eventDigest } from "../../log/digest.ts";
import type { StoredEvent } from "../../log/event.ts";
import { command, entity } from "../../entities/entity.ts";
import type { Position } from "../../position/position.ts";
import { saga } from "../../sagas/saga.ts";
import { service } from "../../service/service.ts";
import type { HistoryRecord, Invoked, ShownSaga } from "../history.ts";
import { checkHistory, marksIn } from "./check.ts";

const Sum = z.object({ sum: z.number() });
const till = entity("till", { initial: () => ({ sum: 0 }), events: { filled: Sum, emptied: Sum } })
  .evolve({ filled: ({ sum }, by) => ({ sum: sum + by.sum }), emptied: ({ sum }, by) => ({ sum: sum - by.sum }) })
  .commands({ fill: command(Sum, (_, input, emit) => emit.filled(input)) });
const pay = saga("pay", { input: Sum }, async () => undefined);
const services = [service("shop", { parts: { till, pay } }), service("depot", { parts: {} })];

type Line = readonly [type: string, data: object, cause?: string];

const input = { sum: 5 };
const run = { owner: "m-1", run: "r" };
const step = (name: string, more: object = {}): object => ({ step: name, ...more });
const begun = (name: string, undo = true): Line => ["begun", step(name, { kind: "step", undo })];
const started: Line = ["started", { input, version: 1, ...run }];
const effect = (name: string): Line => ["till.filled", input, `pay/p-1/${name}`];

const completed: readonly Line[] = [
  started,
  begun("a"),
  effect("a"),
  ["done", step("a")],
  begun("b"),
  ["done", step("b")],
  ["completed", {}],
];
const compensated: readonly Line[] = [
  ...completed.slice(0, -1),
  begun("c"),
  ["failed", step("c", { error: "e", outcome: "unknown" })],
  ["undoing", { error: "e" }],
  ["undo-begun", step("c")],
  ["undone", step("c", { how: "void" })],
  ["undo-begun", step("b")],
  ["undone", step("b", { how: "undone" })],
  ["undo-begun", step("a")],
  ["till.emptied", input, "pay/p-1/a/undo"],
  ["undone", step("a", { how: "undone" })],
  ["compensated", { error: "e" }],
];
const parked: readonly Line[] = [...compensated.slice(0, 14), ["parked", step("a", { error: "e" })]];

/** The lines with some of them replaced, or followed by others. */
function changed(lines: readonly Line[], changes: Readonly<Record<number, readonly Line[]>>): Line[] {
  return lines.flatMap((line, index) => changes[index] ?? [line]);
}

const lineage = (number = 0, t = 0, kept = 0, store = "shop"): HistoryRecord => ({ kind: "lineage", t, store, lineage: number, kept });

function eventsOf(lines: readonly Line[], of = { store: "shop", lineage: 0, from: 0 }): HistoryRecord[] {
  const versions = new Map<string, number>();
  return lines.map(([name, data, cause], index): HistoryRecord => {
    const isEffect = name.startsWith("till.");
    const stream = isEffect ? "till/t" : "pay/p-1";
    const version = (versions.get(stream) ?? 0) + 1;
    versions.set(stream, version);
    const position = of.from + index + 1;
    const metadata = JSON.stringify(cause === undefined ? {} : { cause });
    const content = {
      id: `e${of.store}${of.lineage}${position}`,
      stream,
      type: isEffect ? name : `pay.${name}`,
      data: JSON.stringify(data),
      metadata,
    };
    const event: StoredEvent = { ...content, position: position as Position, version, at: 1000 + position, digest: eventDigest(content) };
    return { kind: "event", store: of.store, lineage: of.lineage, event };
  });
}

const whole = (lines: readonly Line[], ...more: readonly HistoryRecord[]): HistoryRecord[] => [
  lineage(),
  lineage(0, 0, 0, "depot"),
  ...more,
  ...eventsOf(lines),
];

function found(history: readonly HistoryRecord[]): string[] {
  return checkHistory(history, services).map(({ checker, message }) => `${checker}: ${message}`);
}

test.each([
  ["one that completed", completed],
  ["one that was undone", compensated],
  ["one that is parked", parked],
  [
    "one whose undo was resolved by an operator",
    [...parked, ["undone", step("a", { how: "resolved" })], ["resumed", run], ["compensated", {}]] as Line[],
  ],
  [
    "one that was taken over",
    changed(completed, {
      3: [
        ["taken", run],
        ["retried", step("a")],
        ["done", step("a")],
      ],
    }),
  ],
  [
    "one that was cancelled",
    changed(compensated, {
      8: [
        ["cancelled", { reason: "r" }],
        ["undoing", {}],
      ],
    }),
  ],
])("%s is sound", (_, lines) => {
  expect(found(whole(lines))).toEqual([]);
});

test.each<readonly [string, readonly Line[], RegExp]>([
  ["it was started twice", [started, ...completed], /sagas: .*it was started before/],
  ["it was not started", completed.slice(1), /sagas: .*it was not started/],
  ["it has two ends", [...completed, ["completed", {}]], /sagas: .*it had ended/],
  ["it goes on after its end", [...compensated, ["taken", run]], /sagas: .*it had ended/],
  ["it goes on while it is parked", [...parked, ["undo-begun", step("a")]], /sagas: .*parked, and nobody had it go on/],
  [
    "it is resumed and was not parked",
    changed(completed, {
      3: [
        ["resumed", run],
        ["done", step("a")],
      ],
    }),
    /sagas: .*it was not parked/,
  ],
  [
    "it hears a signal while it is undone",
    changed(compensated, { 9: [["signalled", {}], compensated[9] as Line] }),
    /sagas: .*hears of nothing/,
  ],
  [
    "it completed after it was cancelled",
    changed(completed, {
      6: [
        ["cancelled", {}],
        ["completed", {}],
      ],
    }),
    /sagas: .*it was cancelled before/,
  ],
  ["it completed while it was undone", changed(compensated, { 16: [["completed", {}]] }), /sagas: .*it was being undone/],
  [
    "it compensated, and nothing says that it is undone",
    changed(completed, { 6: [["compensated", {}]] }),
    /sagas: .*nothing was being undone/,
  ],
  ["a step had not ended when it completed", changed(completed, { 5: [] }), /sagas: .*"b" had not ended/],
  ["a step was begun twice", changed(completed, { 4: [begun("a"), begun("b")] }), /sagas: .*"a" was begun before/],
  [
    "a step ended twice",
    changed(completed, {
      5: [
        ["done", step("b")],
        ["done", step("b")],
      ],
    }),
    /sagas: .*"b" had ended/,
  ],
  ["a step ended that was not begun", changed(completed, { 4: [] }), /sagas: .*"b" was not begun/],
  ["a step is begun while it is undone", changed(compensated, { 9: [begun("d"), compensated[9] as Line] }), /sagas: .*is begun while/],
  ["an undo begins without its intent", changed(compensated, { 11: [] }), /sagas: .*nothing says that "b" will be undone/],
  ["a step without an undo is undone", changed(compensated, { 4: [begun("b", false)] }), /sagas: .*begun without an undo/],
  ["a refused step is undone", changed(compensated, { 7: [["failed", step("c", { outcome: "refused" })]] }), /sagas: .*"c" had no effect/],
  ["a step was not undone", changed(compensated, { 11: [], 12: [] }), /sagas: .*"b" came after "a" and is not undone yet/],
  ["the first step was not undone", changed(compensated, { 13: [], 14: [], 15: [] }), /sagas: .*"a" was not undone/],
  [
    "a step was undone twice",
    changed(compensated, { 12: [compensated[12] as Line, compensated[12] as Line] }),
    /sagas: .*"b" was undone before/,
  ],
  [
    "a step was voided that was done",
    changed(compensated, { 12: [["undone", step("b", { how: "void" })]] }),
    /sagas: .*"b" was voided, and known to be over/,
  ],
  [
    "a wait was cut short",
    changed(completed, { 4: [["begun", step("b", { kind: "timer", undo: false, until: 5000 })]] }),
    /sagas: .*"b" was to last until 5000/,
  ],
  [
    "a step takes effect twice",
    changed(completed, { 3: [["done", step("a")], begun("x", false), effect("a"), ["done", step("x")]] }),
    /saga effects: .*"a" took effect 2 times/,
  ],
  [
    "an undo takes effect twice",
    changed(compensated, {
      15: [
        ["undone", step("a", { how: "undone" })],
        ["till.emptied", input, "pay/p-1/a/undo"],
      ],
    }),
    /saga effects: .*the undo of "a" took effect 2 times/,
  ],
  ["a voided step takes effect", [...compensated, effect("c")], /saga effects: .*"c" was voided, and it is there/],
  [
    "a refused step takes effect",
    changed(compensated, { 7: [effect("c"), ["failed", step("c", { outcome: "refused" })]] }),
    /saga effects: .*"c" was refused/,
  ],
  [
    "a step arrives after its undo",
    changed(compensated, { 2: [], 15: [effect("a"), compensated[15] as Line] }),
    /saga effects: .*"a" arrived after its undo/,
  ],
  [
    "a step runs before its intent is there",
    changed(completed, { 1: [effect("a"), begun("a")], 2: [] }),
    /saga effects: .*"a" was not said to run/,
  ],
  ["a step runs that nobody said", [...completed, effect("a/2")], /saga effects: .*"a\/2" was not said to run/],
  [
    "an undo runs before its intent is there",
    changed(compensated, {
      13: [
        ["till.emptied", input, "pay/p-1/a/undo"],
        ["undo-begun", step("a")],
      ],
      14: [],
    }),
    /saga effects: .*"a\/undo" was not said/,
  ],
])("it is seen that %s", (_, lines, says) => {
  expect(found(whole(lines)).join("\n")).toMatch(says);
});

test("what took effect at another service is judged as well, unless an older copy took the place of either store", () => {
  const there = (lines: readonly Line[]): HistoryRecord[] => eventsOf(lines, { store: "depot", lineage: 0, from: 0 });
  const late = [...whole(compensated), ...there([effect("c")])];
  expect(found(late).join()).toMatch(/saga effects: .*"c" was voided, and it is there at 1 of depot/);
  expect(found([...late, lineage(1, 50, 0, "depot")])).toEqual([]);
  expect(found([...late, lineage(1, 50, 20)])).toEqual([]);
});

test("whoever lost a saga writes nothing any more; what others tell it and what nobody lived to see is nobody's fault", () => {
  const lines = changed(completed, {
    3: [
      ["taken", run],
      ["signalled", {}],
      ["done", step("a")],
    ],
  });
  const events = eventsOf(lines);
  const by = (...writers: readonly string[]): HistoryRecord[] =>
    events.flatMap((record, index): HistoryRecord[] => {
      const process = writers[index] ?? "";
      if (record.kind !== "event" || process === "") return [];
      return [{ kind: "commit", t: index, store: "shop", process, events: [record.event.id] }];
    });
  const judged = (...writers: readonly string[]): string[] => found([lineage(), ...by(...writers), ...events]);
  expect(judged("s-1", "s-1", "s-1", "s-2", "s-3", "s-2", "s-2")).toEqual([]);
  expect(judged("s-1", "s-1", "s-1", "", "s-3", "s-2", "s-2")).toEqual([]);
  expect(judged("s-1", "s-1", "s-1", "s-2", "s-3", "s-1").join()).toMatch(
    /sagas: pay p-1: version 5, "done": s-1 wrote it, and the saga is s-2's/,
  );
});

const asked = (op: number, t: number, over: Partial<Invoked> = {}): HistoryRecord => ({
  kind: "invoke",
  t,
  session: "s",
  op,
  what: "tell",
  name: "pay",
  key: "p-1",
  command: "start",
  input: JSON.stringify(input),
  ...over,
});
const told = (op: number, t: number, position: number, repeated = false): HistoryRecord => ({
  kind: "ok",
  what: "tell",
  t,
  op,
  position,
  repeated,
});
const refused = (op: number, t: number, code: string): HistoryRecord => ({ kind: "fail", t, op, code, arrivals: 1 });
const looks = (op: number, t: number, known?: number): HistoryRecord => {
  const { command: _c, input: _i, ...rest } = asked(op, t, { what: "saga", ...(known === undefined ? {} : { known }) }) as Invoked;
  return rest;
};
const running = (state: "begun" | "done"): ShownSaga => ({
  status: "running",
  input,
  steps: [{ name: "a", kind: "step", state, retries: 0 }],
});
const shows = (op: number, t: number, version: number, state: ShownSaga): HistoryRecord => ({
  kind: "ok",
  what: "saga",
  t,
  op,
  version,
  state,
});

test.each<readonly [string, readonly HistoryRecord[]]>([
  ["a start, and the same one again", [asked(1, 1), told(1, 2, 1), asked(2, 3), told(2, 4, 4, true)]],
  ["another input is refused", [asked(1, 1), told(1, 2, 1), asked(2, 3, { input: '{"sum":6}' }), refused(2, 4, "saga_exists")]],
  ["one that is not found before its start is answered", [asked(1, 1), looks(2, 2), refused(2, 3, "saga_not_found"), told(1, 4, 1)]],
  [
    "a watcher who is shown each stage once",
    [looks(1, 1), shows(1, 2, 2, running("begun")), looks(2, 3, 2), shows(2, 4, 3, running("done"))],
  ],
  ["two looks under way at once", [looks(1, 1), looks(2, 1), shows(1, 2, 3, running("done")), shows(2, 3, 2, running("begun"))]],
])("answers are sound: %s", (_, records) => {
  expect(found(whole(completed, ...records))).toEqual([]);
});

test.each<readonly [string, readonly HistoryRecord[], RegExp]>([
  ["an acknowledged start is not there", [asked(1, 1, { key: "p-2" }), told(1, 2, 1)], /its stream has nothing of it there/],
  ["it was started twice", [asked(1, 1), told(1, 2, 1), asked(2, 3), told(2, 4, 1)], /it was started by operation 1, and once more/],
  ["a start was answered by a saga of another input", [asked(1, 1, { input: '{"sum":6}' }), told(1, 2, 1, true)], /it has another input/],
  ["a start was refused for nothing", [asked(1, 1), refused(1, 2, "saga_exists")], /there is none with another input/],
  ["a started one is not found", [asked(1, 1), told(1, 2, 1), looks(2, 3), refused(2, 4, "saga_not_found")], /it is not found/],
  ["an acknowledged signal is not there", [asked(1, 1, { command: "signal" }), told(1, 2, 1)], /its stream has nothing of it there/],
  ["it is shown as it never was", [looks(1, 1), shows(1, 2, 2, running("done"))], /where its stream makes/],
  [
    "it is shown as it was before",
    [looks(1, 1), shows(1, 2, 3, running("done")), looks(2, 3), shows(2, 4, 2, running("begun"))],
    /version 2, after version 3/,
  ],
  [
    "a watcher is shown a stage twice",
    [looks(1, 1), shows(1, 2, 2, running("begun")), looks(2, 3, 2), shows(2, 4, 2, running("begun"))],
    /version 2 was news to who knew version 2/,
  ],
])("it is seen of answers that %s", (_, records, says) => {
  expect(found(whole(completed, ...records)).join("\n")).toMatch(says);
});

test("what came under one id was told once", () => {
  const signalled: Line = ["signalled", { signal: "go" }, "k-1"];
  const asks = asked(1, 1, { command: "signal", id: "k-1" });
  expect(found(whole(changed(completed, { 3: [signalled, completed[3] as Line] }), asks))).toEqual([]);
  expect(found(whole(changed(completed, { 3: [signalled, signalled, completed[3] as Line] }), asks)).join()).toMatch(
    /saga answers: pay p-1 was told 2 times/,
  );
});

test("what happened to sagas is counted", () => {
  const marks = marksIn(whole([...parked, ["undone", step("a", { how: "resolved" })], ["resumed", run], ["compensated", {}]]), services);
  expect(marks.toSorted()).toEqual([
    "parked saga resumed",
    "saga compensated",
    "saga compensated after it was parked",
    "saga parked",
    "step undone",
    "step voided",
    "undo resolved by an operator",
  ]);
});
