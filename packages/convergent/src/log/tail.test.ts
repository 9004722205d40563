import { expect, test } from "vitest";
import { position } from "../position/position.ts";
import type { StoredEvent } from "./event.ts";
import { Tail, tailEventsMax } from "./tail.ts";

const event = (at: number): StoredEvent => ({
  position: position(at),
  id: `e${at}`,
  stream: "a/b",
  version: at,
  type: "a.b",
  at: 0,
  data: "1",
  metadata: "{}",
  digest: "",
});
const run = (from: number, to: number): StoredEvent[] => Array.from({ length: to - from + 1 }, (_, index) => event(from + index));

test("the tail answers only with an unbroken run that begins right after the position asked for", () => {
  const tail = new Tail();
  expect(tail.after(position(0), 10)).toBeUndefined();
  tail.push(run(5, 9));
  expect(tail.after(position(3), 10)).toBeUndefined();
  expect(tail.after(position(4), 2)?.map((kept) => kept.position)).toEqual([5, 6]);
  expect(tail.after(position(9), 10)).toBeUndefined();
  expect(tail.at(position(7))?.id).toBe("e7");
  expect(tail.at(position(4))).toBeUndefined();
});

test("a gap, left by another process's commits, begins the tail anew", () => {
  const tail = new Tail();
  tail.push(run(1, 3));
  tail.push(run(6, 7));
  expect(tail.after(position(0), 10)).toBeUndefined();
  expect(tail.after(position(3), 10)).toBeUndefined();
  expect(tail.after(position(5), 10)?.map((kept) => kept.position)).toEqual([6, 7]);
});

test("the tail keeps a bounded number of events, the newest", () => {
  const tail = new Tail();
  for (let at = 1; at <= 5 * tailEventsMax; at++) tail.push([event(at)]);
  expect(tail.newest()?.position).toBe(5 * tailEventsMax);
  expect(tail.at(position(5 * tailEventsMax - tailEventsMax + 1))).toBeDefined();
  expect(tail.at(position(2 * tailEventsMax))).toBeUndefined();
});
