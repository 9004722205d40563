import fc from "fast-check";
import { expect, test } from "vitest";
import { isConvergentError } from "../errors/error.ts";
import { advance, comparePositions, earlierPosition, laterPosition, origin, type Position, position } from "./position.ts";

const positions = fc.maxSafeNat().map((value) => position(value));

test("a position is any whole number from 0 to 2^53 - 1, and nothing else", () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), (value) => {
      expect(position(value)).toBe(value);
    }),
  );
  const others = fc.oneof(
    fc.double().filter((value) => !Number.isSafeInteger(value) || value < 0),
    fc.integer({ max: -1 }),
    fc.constantFrom(2 ** 53, Number.NaN, Number.POSITIVE_INFINITY),
  );
  fc.assert(
    fc.property(others, (value) => {
      expect(() => position(value)).toThrow(expect.objectContaining({ code: "invalid_input" }));
    }),
  );
});

test("positions are ordered as numbers are, and the later and the earlier of two are those two", () => {
  fc.assert(
    fc.property(positions, positions, (a, b) => {
      expect(Math.sign(comparePositions(a, b))).toBe(Math.sign(a - b));
      expect([earlierPosition(a, b), laterPosition(a, b)]).toEqual([a, b].sort(comparePositions));
    }),
  );
});

test("advancing counts on from a position, and never past the last one", () => {
  expect(advance(origin, 1)).toBe(1);
  fc.assert(
    fc.property(positions, fc.nat(), (from, count) => {
      let reached: Position | undefined;
      try {
        reached = advance(from, count);
      } catch (error) {
        expect(isConvergentError(error, "invalid_input")).toBe(true);
      }
      expect(reached).toBe(from + count > Number.MAX_SAFE_INTEGER ? undefined : from + count);
    }),
  );
});
