// Each checker against a history that it must object to, and the same one without the fault. Histories are written by hand.
import { expect, test } from "vitest";
import { z } from "zod";
import { command, entity } from "../../entities/entity.ts";
import { eventDigest } from "../../log/digest.ts";
import type { StoredEvent } from "../../log/event.ts";
import { reaction } from "../../reactions/reaction.ts";
import { service } from "../../service/service.ts";
import { view } from "../../views/view.ts";
import type { Position } from "../../position/position.ts";
import type { HistoryRecord } from "../history.ts";
import { checkHistory } from "./check.ts";

const Amount = z.object({ amount: z.number() });
const purse = entity("purse", { initial: () => ({ sum: 0 }), events: { filled: Amount } })
  .evolve({ filled: (state, { amount }) => ({ sum: state.sum + amount }) })
  .commands({ fill: command(Amount, (_, input, emit) => emit.filled(input)) });
const sums = view("sums", { from: [purse], document: z.object({ sum: z.number() }), key: (event) => event.entityId }).on({
  "purse.filled": (document, event) => ({ sum: (document?.sum ?? 0) + event.data.amount }),
});

const Copied = z.object({ of: z.string() });
const copy = entity("copy", { initial: () => ({ count: 0 }), events: { made: Copied } })
  .evolve({ made: ({ count }) => ({ count: count + 1 }) })
  .commands({ make: command(Copied, (_, input, emit) => emit.made(input)) });
const counts = view("counts", { from: [copy], document: z.object({ count: z.number() }), key: (event) => event.entityId }).on({
  "copy.made": (document) => ({ count: (document?.count ?? 0) + 1 }),
});
const copying = reaction("copying", { from: [purse], to: { copy } }).on({
  "purse.filled": (event, { commands }) => commands.copy(event.entityId).make({ of: event.id }),
});

const services = [service("purses", { parts: { purse, sums } }), service("copies", { parts: { copy, counts, copying } })];

const lineage: HistoryRecord = { kind: "lineage", t: 0, store: "purses", lineage: 0, kept: 0 };

function event(position: number, over: Partial<StoredEvent> = {}): HistoryRecord {
  const content = {
    id: `e${position}`,
    stream: "purse/a",
    type: "purse.filled",
    data: `{"amount":${position}}`,
    metadata: `{"cause":"c${position}"}`,
    ...over,
  };
  const stored = {
    position: position as Position,
    version: position,
    at: 1000 + position,
    ...content,
    digest: eventDigest(content),
    ...over,
  };
  return { kind: "event", store: "purses", lineage: 0, event: stored };
}

function asked(op: number, t: number, over: Partial<Extract<HistoryRecord, { kind: "invoke" }>> = {}): HistoryRecord {
  return { kind: "invoke", t, session: "s", op, what: "command", name: "purse", key: "a", command: "fill", id: `c${op}`, ...over };
}

function done(op: number, t: number, position = op): HistoryRecord {
  const events = [{ id: `e${position}`, type: "filled", version: position, position }];
  return {
    kind: "ok",
    what: "command",
    t,
    op,
    state: { sum: (position * (position + 1)) / 2 },
    version: position,
    events,
    repeated: false,
  };
}

const reads = { what: "document", name: "sums", asked: true, id: undefined, command: undefined } as never;

function read(op: number, t: number, answer: { sum: number; asOf: number; fresh?: boolean }): HistoryRecord {
  return { kind: "ok", what: "document", t, op, value: { sum: answer.sum }, asOf: answer.asOf, fresh: answer.fresh ?? true, parked: false };
}

function checkpoint(position: number, t = 1): HistoryRecord {
  return { kind: "checkpoint", t, store: "purses", reader: "sums", version: 1, slot: 0, source: "purses", position };
}

function lease(owner: string, fence: number): HistoryRecord {
  return { kind: "lease", t: 1, store: "purses", reader: "sums", version: 1, slot: 0, source: "purses", owner, fence };
}

const cut: HistoryRecord = { kind: "power", t: 8, store: "purses" };

function remembered(op: number, over: Partial<Extract<HistoryRecord, { kind: "id" }>> = {}): HistoryRecord {
  const at = { stream: "purse/a", firstVersion: op, lastVersion: op, position: op };
  return { kind: "id", store: "purses", lineage: 0, scope: "s", id: `c${op}`, ...at, ...over };
}

function held(sum: number, position: number, parked: Record<string, number> = {}): HistoryRecord {
  const at = { kind: "held", t: 9, store: "purses", lineage: 0, view: "sums", version: 1, state: "active", head: 3 } as const;
  return { ...at, slots: [position], parked, documents: { a: { sum } } };
}

const good: readonly HistoryRecord[] = [
  lineage,
  asked(1, 1),
  done(1, 2),
  asked(2, 3),
  done(2, 4),
  asked(3, 5),
  event(1),
  event(2),
  event(3),
];

const cases: ReadonlyArray<{ name: string; checker?: string; history: readonly HistoryRecord[]; says?: RegExp }> = [
  { name: "nothing wrong; one outcome is unknown and took effect", history: good },
  { name: "an acknowledged append is missing", checker: "acknowledged", history: [...good.slice(0, -2)], says: /acknowledged at 2/ },
  {
    name: "it lies elsewhere than it was said to",
    checker: "acknowledged",
    history: [
      lineage,
      asked(1, 1),
      { ...done(1, 2, 2), events: [{ id: "e1", type: "filled", version: 2, position: 2 }] } as HistoryRecord,
      event(1),
      event(2),
    ],
  },
  {
    name: "a command took effect twice",
    checker: "acknowledged",
    history: [lineage, asked(1, 1), done(1, 2), event(1), event(2), event(3, { metadata: '{"cause":"c1"}' })],
    says: /2 times/,
  },
  {
    name: "a refused command took effect",
    checker: "acknowledged",
    history: [lineage, asked(1, 1), { kind: "fail", t: 2, op: 1, code: "rejected", arrivals: 1 }, event(1)],
    says: /was refused/,
  },
  {
    name: "a refused command that came twice may take effect",
    history: [lineage, asked(1, 1), { kind: "fail", t: 2, op: 1, code: "rejected", arrivals: 2 }, event(1)],
  },
  {
    name: "a later command comes before an acknowledged one",
    checker: "acknowledged",
    history: [lineage, asked(2, 1), done(2, 2), asked(1, 3), done(1, 4), event(1), event(2)],
    says: /came before it/,
  },
  { name: "a gap in the positions", checker: "log", history: [lineage, event(1), event(3)] },
  { name: "a gap in the versions", checker: "log", history: [lineage, event(1), event(2, { version: 3 })] },
  { name: "time goes back", checker: "log", history: [lineage, event(1), event(2, { at: 10 })] },
  { name: "bytes changed", checker: "log", history: [lineage, event(1, { digest: "another" })] },
  {
    name: "a fresh read lacks what its session wrote",
    checker: "sessions",
    history: [...good, asked(4, 6, reads), read(4, 7, { sum: 1, asOf: 1 })],
    says: /wrote position 2/,
  },
  {
    name: "a read that says it is not fresh may lack it",
    history: [...good, asked(4, 6, reads), read(4, 7, { sum: 1, asOf: 1, fresh: false })],
  },
  {
    name: "a read that was given no token may lack it",
    history: [...good, asked(4, 6, { ...(reads as object), asked: false }), read(4, 7, { sum: 1, asOf: 1 })],
  },
  {
    name: "a view shows less than before",
    checker: "sessions",
    history: [
      ...good,
      asked(4, 6, { ...(reads as object), session: "r" }),
      read(4, 7, { sum: 6, asOf: 3 }),
      asked(5, 8, { ...(reads as object), session: "r" }),
      read(5, 9, { sum: 3, asOf: 2 }),
    ],
    says: /read position 3/,
  },
  { name: "a read is no fold of the log", checker: "folds", history: [...good, asked(4, 6, reads), read(4, 7, { sum: 4, asOf: 3 })] },
  {
    name: "a state is no fold of the log",
    checker: "folds",
    history: good.map((each) => (each.kind === "ok" && each.what === "command" ? { ...each, state: { sum: 99 } } : each)),
  },
  { name: "an event was applied twice", checker: "folds", history: [...good, held(5, 2)] },
  { name: "an event was left out", checker: "folds", history: [...good, held(1, 2)] },
  { name: "the fold up to the slot's position", history: [...good, held(3, 2)] },
  { name: "a parked key stands still while its slot goes on", history: [...good, held(1, 3, { a: 2 })] },
  { name: "a parked event was skipped", checker: "folds", history: [...good, held(4, 3, { a: 2 })] },
  { name: "a slot changes hands under another fence", history: [...good, lease("p", 5), lease("q", 6), lease("p", 7)] },
  { name: "two owners under one fence", checker: "leases", history: [...good, lease("p", 5), lease("q", 5)], says: /from p to q/ },
  { name: "a power cut takes back who owned a slot", history: [...good, lease("p", 5), cut, lease("q", 5)] },
  {
    name: "a checkpoint goes back",
    checker: "readers",
    history: [...good, checkpoint(3), checkpoint(2)],
  },
  {
    name: "a power cut takes back a checkpoint that no append came after",
    history: [...good, checkpoint(1), checkpoint(2), cut, checkpoint(1), checkpoint(2)],
  },
  {
    name: "a power cut takes back a checkpoint, and not the append that was acknowledged after it",
    checker: "readers",
    history: [...good.slice(0, 3), checkpoint(2), asked(2, 3), done(2, 4), checkpoint(3), cut, checkpoint(1), event(1), event(2)],
    says: /went back from 2 to 1/,
  },
  {
    name: "an append that was under way when the checkpoint was seen keeps it for nobody",
    history: [...good.slice(0, 4), checkpoint(2), done(2, 4), cut, checkpoint(1), event(1), event(2)],
  },
  { name: "the ids of all appends are remembered", history: [...good, remembered(1), remembered(2), remembered(3)] },
  {
    name: "the id of an acknowledged append is not remembered",
    checker: "ids",
    history: [...good, remembered(1)],
    says: /c2\) is not remembered/,
  },
  {
    name: "an id is remembered at another position than was answered",
    checker: "ids",
    history: [...good, remembered(1), remembered(2, { position: 3 })],
    says: /c2\) is remembered at 3/,
  },
  {
    name: "an id is remembered of an append that is not in the log",
    checker: "ids",
    history: [...good, remembered(1), remembered(2), remembered(9)],
    says: /no event 9/,
  },
  {
    name: "a reader does not come to head",
    checker: "liveness",
    history: [...good, { kind: "settled", t: 1, withinMs: 5, behind: ["sums is idle at 2 of 3"] }],
  },
];

test.each(cases)("$name", ({ checker, history, says }) => {
  const found = checkHistory(history, services);
  if (checker === undefined) return expect(found).toEqual([]);
  expect(found.map((violation) => violation.checker)).toContain(checker);
  if (says) expect(found.map(({ message }) => message).join("\n")).toMatch(says);
});

test("what an older copy took away is missed by nobody, and what it kept is", () => {
  const replaced: HistoryRecord = { kind: "lineage", t: 10, store: "purses", lineage: 1, kept: 1 };
  const later = { ...event(2, { id: "f2", metadata: '{"cause":"c9"}' }), lineage: 1 } as HistoryRecord;
  const history = [...good.slice(0, -3), event(1), event(2), event(3), replaced, later];
  expect(checkHistory(history, services)).toEqual([]);
  const tooFar = [...good.slice(0, -3), event(1), event(2), event(3), { ...replaced, kept: 3 }, later] as HistoryRecord[];
  expect(checkHistory(tooFar, services).map(({ checker }) => checker)).toContain("log");
});

test("a view of another service that is called fresh holds what its session's writes caused", () => {
  const begun = { ...lineage, store: "copies" };
  const asks = asked(9, 6, { what: "document", name: "counts", asked: true, id: undefined, command: undefined } as never);
  const made = (position: number, cause: string): HistoryRecord => {
    const effect = event(position, { stream: "copy/a", type: "copy.made", data: '{"of":"x"}', metadata: JSON.stringify({ cause }) });
    return { ...effect, store: "copies" } as HistoryRecord;
  };
  const answered = (count: number, asOf: number, fresh = true): HistoryRecord => {
    const value = count === 0 ? null : { count };
    return { kind: "ok", what: "document", t: 7, op: 9, value, asOf, fresh, parked: false };
  };
  const first = [lineage, begun, ...good.slice(1, 5)];
  const rest = [event(1), event(2), made(1, "e1"), made(2, "e2")];
  const checkers = (...answer: HistoryRecord[]): string[] =>
    checkHistory([...first, asks, ...answer, ...rest], services).map(({ checker }) => checker);
  expect(checkers(answered(2, 2))).toEqual([]);
  expect(checkers(answered(1, 1))).toEqual(["caused"]);
  expect(checkers(answered(1, 1, false))).toEqual([]);
  // Whoever asks without what it wrote is promised nothing.
  const unasked = { ...asks, asked: false } as HistoryRecord;
  expect(checkHistory([...first, unasked, answered(1, 1), ...rest], services)).toEqual([]);
  const without = checkHistory([...first, asks, answered(1, 1), event(1), event(2), made(1, "e1")], services);
  expect(without.map(({ message }) => message).join()).toContain("not there at all");
});
