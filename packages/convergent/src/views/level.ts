/** The level that a read asks for, and whether an answer meets it. */
import { horizonMs } from "../log/token-issuer.ts";
import { comparePositions, origin, type Position } from "../position/position.ts";
import type { Reading, ReadOptions } from "../protocol/reading.ts";

/** A read's options, and the order key it asks for: of a reader's slots, that of the key then counts. */
export interface Asked extends ReadOptions {
  readonly key?: string;
}

/** What a read asks for, as positions of this log. */
export interface Level {
  readonly position: Position;
  /** A position was asked for, so `fresh` speaks of that and not of head. */
  readonly asked: boolean;
  /** The oldest missing event may be this old. */
  readonly maxAgeMs: number | undefined;
  /** Other stores whose entries were not covered in time, and those of which nothing is known here. */
  readonly unmet: readonly string[];
  readonly unchecked: readonly string[];
}

/** An answer but for its value. */
export type Label = Omit<Reading<never>, "value">;
/** Nothing was asked for, and nothing is waited for. */
export const nothing: Level = { position: origin, asked: false, maxAgeMs: undefined, unmet: [], unchecked: [] };

/** A read that would rather fail than be stale and names no level asks for the head at its arrival: else it would fail whenever anything is on its way. */
export function named(asked: Asked): Asked {
  const { after, strong, maxAge, stale } = asked;
  return stale !== "error" || strong || after !== undefined || maxAge !== undefined ? asked : { ...asked, strong: true };
}

/** Whether waiting helps: of what reached this store, something is missing that was asked for. */
export function isShort(level: Level, asOf: Position, behind: Reading<never>["behind"]): boolean {
  return comparePositions(asOf, level.position) < 0 || behind.ms > oldestMs(level);
}

/** How old the oldest missing event may be: whoever asks for a position is never told that a reader beyond the horizon is fresh. */
export function oldestMs({ asked, maxAgeMs = Number.POSITIVE_INFINITY }: Level): number {
  return asked ? Math.min(maxAgeMs, horizonMs) : maxAgeMs;
}

/** With nothing asked for, nothing may be missing. */
export function isMet(level: Level, asOf: Position, behind: Reading<never>["behind"]): boolean {
  const { asked, maxAgeMs } = level;
  if (!asked && maxAgeMs === undefined) return behind.positions === 0;
  if (level.unmet.length > 0 || level.unchecked.length > 0 || comparePositions(asOf, level.position) < 0) return false;
  return behind.ms <= oldestMs(level);
}
