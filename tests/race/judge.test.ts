// The judge of a race before a log that went well, and the same one with something wrong.
import { expect, test } from "vitest";
import { Follower } from "./follower.ts";
import { type Check, judge, type Row, type Seen, type Told } from "./judge.ts";

const rows: readonly Row[] = [
  { position: 1, id: "a", stream: "s/1", version: 1, at: 10, append: "x", index: 0, committedAt: 100n },
  { position: 2, id: "b", stream: "s/1", version: 2, at: 10, append: "x", index: 1, committedAt: 100n },
  { position: 3, id: "c", stream: "s/2", version: 1, at: 11, append: "y", index: 0, committedAt: 150n },
  { position: 4, id: "d", stream: "s/1", version: 3, at: 11, append: "z", index: 0, committedAt: 160n },
];
const told: readonly Told[] = [
  { append: "x", events: 2, outcome: "acknowledged", position: 2, start: 1, end: 2 },
  { append: "y", events: 1, outcome: "acknowledged", position: 3, start: 3, end: 9 },
  { append: "z", events: 1, outcome: "unknown" },
  { append: "refused", events: 1, outcome: "refused" },
  { append: "lost", events: 1, outcome: "unknown" },
];

function seenBy(pages: ReadonlyArray<readonly Row[]>): Seen {
  const follower = new Follower("reader");
  for (const page of pages) follower.page(page);
  return follower.seen();
}

function without<Item>(items: readonly Item[], index: number): Item[] {
  return items.filter((_, place) => place !== index);
}

function changed<Item>(items: readonly Item[], index: number, change: Partial<Item>): Item[] {
  return items.map((item, place) => (place === index ? { ...item, ...change } : item));
}

function found(wrong: { rows?: readonly Row[]; told?: readonly Told[]; seen?: Seen }): Check[] {
  const log = wrong.rows ?? rows;
  return judge(log, wrong.told ?? told, [wrong.seen ?? seenBy([log])]).map(({ check }) => check);
}

test("a log that went well has no violation, however readers cut it into pages", () => {
  expect(found({})).toEqual([]);
  expect(found({ seen: seenBy([rows.slice(0, 1), [], rows.slice(1)]) })).toEqual([]);
});

test.each<[Check, Parameters<typeof found>[0]]>([
  ["position missing or given twice", { rows: changed(rows, 3, { position: 5 }) }],
  ["position missing or given twice", { rows: changed(rows, 3, { position: 3 }) }],
  ["version missing or given twice", { rows: changed(rows, 2, { version: 2 }) }],
  ["time runs backwards", { rows: changed(rows, 3, { at: 10 }) }],
  ["committed after a later position", { rows: changed(rows, 2, { committedAt: 99n }) }],
  ["acknowledged and not there", { rows: without(rows, 2) }],
  ["acknowledged elsewhere", { told: changed(told, 1, { position: 4 }) }],
  ["refused and there", { told: changed(told, 2, { outcome: "refused" }) }],
  ["torn or doubled append", { rows: without(rows, 1) }],
  ["torn or doubled append", { rows: changed(rows, 3, { append: "y", index: 0 }) }],
  ["written by nobody", { told: without(told, 2) }],
  ["began after another had ended, and has the lower position", { told: changed(changed(told, 0, { start: 10, end: 11 }), 1, { end: 9 }) }],
  ["skipped by a reader", { seen: seenBy([rows.slice(0, 2), rows.slice(3)]) }],
  ["doubled by a reader", { seen: seenBy([rows, rows.slice(3)]) }],
  ["doubled by a reader", { seen: seenBy([[rows[1] as Row, rows[0] as Row], rows.slice(2)]) }],
  ["a reader saw another log", { seen: seenBy([changed(rows, 3, { id: "other" })]) }],
  ["a reader saw another log", { seen: seenBy([rows.slice(0, 3)]) }],
])("%s: found (%#)", (check, wrong) => {
  expect(found(wrong)).toContain(check);
});
