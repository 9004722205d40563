/**
 * A position: the number of an event in its store's log. Positions are 1..N without gaps, in commit order (L1);
 * 0 stands before the first event. One branded type and one comparison, so that no other number is mistaken for one.
 */
import { ConvergentError } from "../errors/error.ts";

declare const brand: unique symbol;

/** A place in one store's log: 0 before the first event, then 1, 2, 3 … */
export type Position = number & { readonly [brand]: "position" };

/** The position before the first event. */
export const origin: Position = 0 as Position;

/** Makes a position of a number. Throws `invalid_input` unless it is a whole number from 0 to 2^53 - 1. */
export function position(value: number): Position {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new ConvergentError("invalid_input", `a position is a whole number from 0 on, not ${String(value)}`);
  }
  return value as Position;
}

/** Negative when `a` lies before `b`, 0 when they are the same, positive when `a` lies after `b`. */
export function comparePositions(a: Position, b: Position): number {
  return a - b;
}

/** The later of two positions. */
export function laterPosition(a: Position, b: Position): Position {
  return comparePositions(a, b) >= 0 ? a : b;
}

/** The earlier of two positions. */
export function earlierPosition(a: Position, b: Position): Position {
  return comparePositions(a, b) <= 0 ? a : b;
}

/** The position `count` places after `from`. */
export function advance(from: Position, count: number): Position {
  return position(from + count);
}
