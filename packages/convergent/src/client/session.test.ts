import { expect, test } from "vitest";
import { emptyToken, parseToken, tokenEntriesMax } from "../position/token.ts";
import { SessionMemory } from "./session.ts";

const hour = 3_600_000;

function entry(store: string, position: number, time = 1_000_000): string {
  return `${store}.e1.${position}.${time}.abcd.mac`;
}

function text(token: { toString(): string }): string {
  return String(token);
}

test("writes raise what every later read asks for", () => {
  const session = new SessionMemory({ causal: false });
  session.wrote(parseToken(entry("orders", 3)));
  session.wrote(parseToken(entry("orders", 2)));
  session.wrote(parseToken(entry("stock", 9)));
  expect(text(session.demand("summary", undefined))).toBe(`${entry("orders", 3)},${entry("stock", 9)}`);
  expect(text(session.token)).toBe(text(session.demand(undefined, undefined)));
});

test("a read raises what later reads of the same view ask for, and of no other", () => {
  const session = new SessionMemory({ causal: false });
  session.read(parseToken(entry("orders", 7)), "summary");
  session.read(parseToken(entry("orders", 5)), "summary");
  expect(text(session.demand("summary", undefined))).toBe(entry("orders", 7));
  expect(session.demand("other", undefined).entries).toEqual([]);
  expect(session.token.entries).toEqual([]);
});

test("in a causal session a read raises what reads of every view ask for", () => {
  const session = new SessionMemory({ causal: true });
  session.read(parseToken(entry("orders", 7)), "summary");
  session.read(parseToken(entry("stock", 2)));
  expect(text(session.demand("other", undefined))).toBe(`${entry("orders", 7)},${entry("stock", 2)}`);
});

test("a named token replaces the session's writes and not what the view has shown", () => {
  const session = new SessionMemory({ causal: false });
  session.wrote(parseToken(entry("orders", 9)));
  session.read(parseToken(entry("orders", 4)), "summary");
  expect(text(session.demand("summary", entry("orders", 2)))).toBe(entry("orders", 4));
  expect(text(session.demand("summary", entry("orders", 6)))).toBe(entry("orders", 6));
  expect(session.demand("summary", null)).toBe(emptyToken);
});

test("a session that sends no token asks for nothing, unless the caller names it, and forgets nothing", () => {
  const session = new SessionMemory({ causal: false });
  session.wrote(parseToken(entry("orders", 3)));
  session.sendsToken = false;
  session.wrote(parseToken(entry("orders", 4)));
  session.read(parseToken(entry("orders", 7)), "summary");
  expect(session.demand("summary", undefined)).toBe(emptyToken);
  expect(text(session.demand("summary", entry("orders", 2)))).toBe(entry("orders", 2));
  expect(text(session.token)).toBe(entry("orders", 4));
  session.sendsToken = true;
  expect(text(session.demand("summary", undefined))).toBe(entry("orders", 7));
});

test("a token handed over as text goes on where the other page stopped", () => {
  const one = new SessionMemory({ causal: false });
  one.wrote(parseToken(entry("orders", 3)));
  const other = new SessionMemory({ causal: false, token: JSON.parse(JSON.stringify(one.token)) as string });
  other.merge(entry("stock", 1));
  expect(text(other.token)).toBe(`${entry("orders", 3)},${entry("stock", 1)}`);
  other.merge({ entries: [], toString: () => entry("stock", 2) } as never);
  expect(text(other.token)).toBe(`${entry("orders", 3)},${entry("stock", 2)}`);
  expect(() => other.merge("nonsense")).toThrow("no token entry");
  expect(() => other.merge(7 as never)).toThrow("no token entry");
});

test("dropping a history forgets it in writes and in views, and what its store wrote since stays", () => {
  const session = new SessionMemory({ causal: false });
  session.wrote(parseToken(`${entry("orders", 3)},${entry("stock", 1)}`));
  session.read(parseToken(entry("orders", 4)), "summary");
  session.wrote(parseToken("orders.e2.2.1000000.abcd.mac"));
  expect(session.drop(parseToken(entry("orders", 2)))).toBe(true);
  expect(text(session.demand("summary", undefined))).toBe(`orders.e2.2.1000000.abcd.mac,${entry("stock", 1)}`);
  expect(session.drop(parseToken(entry("orders", 2)))).toBe(false);
});

test("clearing forgets everything", () => {
  const session = new SessionMemory({ causal: false, token: entry("orders", 3) });
  session.read(parseToken(entry("orders", 4)), "summary");
  session.clear();
  expect(session.demand("summary", undefined).entries).toEqual([]);
});

test("entries past the horizon are dropped, measured by the newest entry and by no clock", () => {
  const session = new SessionMemory({ causal: false });
  session.wrote(parseToken(entry("orders", 3, 1000)));
  session.wrote(parseToken(entry("stock", 3, 1000 + hour)));
  expect(session.token.entries).toHaveLength(2);
  session.wrote(parseToken(entry("stock", 4, 1001 + hour)));
  expect(text(session.token)).toBe(entry("stock", 4, 1001 + hour));
});

test("a token never names more stores than a gateway accepts: the oldest entries go", () => {
  const session = new SessionMemory({ causal: false });
  for (let index = 0; index <= tokenEntriesMax; index++) session.wrote(parseToken(entry(`s${index}`, 1, 1000 + index)));
  expect(session.token.entries).toHaveLength(tokenEntriesMax);
  expect(session.token.entry("s0")).toBeUndefined();
  expect(session.token.entry(`s${tokenEntriesMax}`)).toBeDefined();
});

test("what is remembered of views is bounded: the view that was read longest ago is forgotten first", () => {
  const session = new SessionMemory({ causal: false });
  for (let index = 0; index < 1000; index++) session.read(parseToken(entry("orders", 1)), `view-${index}`);
  session.read(parseToken(entry("orders", 1)), "view-0");
  session.read(parseToken(entry("orders", 1)), "one-more");
  expect(session.demand("view-0", undefined).entries).toHaveLength(1);
  expect(session.demand("view-1", undefined).entries).toHaveLength(0);
});
