import fc from "fast-check";
import { expect, test } from "vitest";
import { position } from "./position.ts";
import { emptyToken, mergeTokens, parseToken, Token, type TokenEntry, tokenEntriesMax, withinHorizon } from "./token.ts";

const name = (max: number, min = 1): fc.Arbitrary<string> => fc.stringMatching(new RegExp(`^[A-Za-z0-9_-]{${min},${max}}$`));

const entries: fc.Arbitrary<TokenEntry> = fc.record({
  store: fc.oneof(fc.constantFrom("orders", "payments"), name(64)),
  epoch: fc.oneof(fc.constantFrom("e1", "e2"), name(32)),
  position: fc.oneof(fc.nat(3), fc.maxSafeNat()).map((value) => position(value)),
  time: fc.oneof(fc.nat(3), fc.maxSafeNat()),
  check: name(16, 0),
  mac: name(64, 0),
});

// A token as a store or a merge makes it: one entry a store and epoch, in order.
const tokens = fc.array(entries, { maxLength: 6 }).map((some) => mergeTokens(...some.map((entry) => new Token([entry]))));

test("a token is read back from its wire form as it was", () => {
  fc.assert(
    fc.property(tokens, (token) => {
      expect(parseToken(token.toString()).entries).toEqual(token.entries);
      expect(parseToken(JSON.parse(JSON.stringify(token)) as string).toString()).toBe(token.toString());
    }),
  );
});

test("an entry is signed when the token leaves the process, and reads the same", () => {
  fc.assert(
    fc.property(entries, (entry) => {
      const signedLate = new Token([{ ...entry, mac: () => entry.mac as string }]);
      expect(parseToken(signedLate.toString()).entries).toEqual([entry]);
    }),
  );
});

test("merging is commutative, associative and idempotent, and the empty token changes nothing", () => {
  fc.assert(
    fc.property(tokens, tokens, tokens, (a, b, c) => {
      const text = (...some: Token[]): string => mergeTokens(...some).toString();
      expect(text(a, b)).toBe(text(b, a));
      expect(text(mergeTokens(a, b), c)).toBe(text(a, mergeTokens(b, c)));
      expect(text(a, b, c)).toBe(text(mergeTokens(a, b), c));
      expect(text(a, a)).toBe(a.toString());
      expect(text(a, emptyToken)).toBe(a.toString());
    }),
  );
});

test("a merged token asks for the highest position of each store and epoch, and for nothing else", () => {
  fc.assert(
    fc.property(fc.array(tokens, { maxLength: 4 }), (some) => {
      const highest = new Map<string, number>();
      for (const { store, epoch, position: place } of some.flatMap((token) => token.entries)) {
        const key = `${store}.${epoch}`;
        highest.set(key, Math.max(place, highest.get(key) ?? 0));
      }
      const merged = mergeTokens(...some).entries.map((entry) => [`${entry.store}.${entry.epoch}`, entry.position] as const);
      expect(new Map(merged)).toEqual(highest);
      expect(merged).toHaveLength(highest.size);
    }),
  );
});

test("spaces and empty parts between entries are no mistake", () => {
  fc.assert(
    fc.property(tokens, (token) => {
      const wire = ` , ${token.entries.map(() => "%").join(" ,, ")} ,`;
      const spaced = token
        .toString()
        .split(",")
        .reduce((text, entry) => text.replace("%", () => entry), wire);
      expect(parseToken(spaced).toString()).toBe(token.toString());
    }),
  );
});

test.each([
  "x",
  "orders.e1.1.2.abcd",
  "orders.e1.1.2.abcd.mac.more",
  "orders.e1.-1.2.abcd.mac",
  "orders.e1.1.5.2.abcd.mac",
  "orders.e1.0x1.2.abcd.mac",
  "orders.e1.9007199254740993.2.abcd.mac",
  "orders.e1.1.9007199254740993.abcd.mac",
  "orders.e1..2.abcd.mac",
  ".e1.1.2.abcd.mac",
  "orders..1.2.abcd.mac",
  "or ders.e1.1.2.abcd.mac",
  "orders.e1.1.2.abcd.mac;orders.e1.1.2.abcd.mac",
  "orders.e1.1.2.äbcd.mac",
  `${"o".repeat(65)}.e1.1.2.abcd.mac`,
  `orders.e1.1.2.abcd.${"m".repeat(65)}`,
  `orders.e1.1.2.abcd.mac\n`.repeat(2),
])("%s is refused as no token", (wire) => {
  expect(() => parseToken(wire)).toThrow(expect.objectContaining({ code: "token_invalid" }));
});

test("whatever text comes in, it is a token that reads the same again, or it is refused in the catalogue's words", () => {
  const text = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.stringMatching(/^[a-z0-9., _-]{0,40}$/),
    fc.tuple(tokens, fc.nat(), fc.string({ maxLength: 1 })).map(([token, at, letter]) => {
      const wire = token.toString();
      const place = at % (wire.length + 1);
      return wire.slice(0, place) + letter + wire.slice(place + 1);
    }),
  );
  fc.assert(
    fc.property(text, (wire) => {
      let token: Token;
      try {
        token = parseToken(wire);
      } catch (error) {
        expect(error).toMatchObject({ code: "token_invalid" });
        return;
      }
      expect(parseToken(token.toString()).toString()).toBe(token.toString());
    }),
  );
});

test("a token names a bounded number of stores", () => {
  const wire = (count: number): string => Array.from({ length: count }, (_, index) => `s${index}.e.1.1.c.m`).join(",");
  expect(parseToken(wire(tokenEntriesMax)).entries).toHaveLength(tokenEntriesMax);
  expect(() => parseToken(wire(tokenEntriesMax + 1))).toThrow(expect.objectContaining({ code: "token_invalid" }));
});

test("entries older than the horizon are dropped, the others stay", () => {
  fc.assert(
    fc.property(tokens, fc.nat(1000), fc.nat(1000), (token, now, horizon) => {
      const kept = withinHorizon(token, now, horizon).entries;
      expect(kept).toEqual(token.entries.filter((entry) => now - entry.time <= horizon));
    }),
  );
});

test("of several epochs of one store the newest by time is its entry, and a token can be had without a store", () => {
  fc.assert(
    fc.property(tokens, (token) => {
      const mine = token.entries.filter((entry) => entry.store === "orders");
      const newest = token.entry("orders");
      expect(newest?.time).toBe(mine.length === 0 ? undefined : Math.max(...mine.map((entry) => entry.time)));
      expect(token.without("orders").entries).toEqual(token.entries.filter((entry) => entry.store !== "orders"));
    }),
  );
});
