/**
 * What a build has consumed, per range of positions: how many events, and two sums of their digests that no order
 * changes. The reader adds to it in the transaction of each batch; a scan of the log that knows nothing of the reader
 * must come to the same, or the build is not used.
 */
import type { ConsumedRange } from "../log/store.ts";
import type { Position } from "../position/position.ts";

/** Positions of one range: a mismatch is named this exactly, and so much is read again after a crash. */
export const rangePositions = 10_000;

/** An event as it is counted. */
export interface Counted {
  readonly position: Position;
  /** `eventDigest` as it is stored. */
  readonly digest: string;
}

export interface Sums {
  readonly events: number;
  readonly sumA: number;
  readonly sumB: number;
}

export const noSums: Sums = { events: 0, sumA: 0, sumB: 0 };

export function rangeOf(position: Position): number {
  return Math.floor((position - 1) / rangePositions);
}

/** The last position of a range. */
export function rangeEnd(range: number): Position {
  return ((range + 1) * rangePositions) as Position;
}

/** The sums with these events added. */
export function summed(sums: Sums, events: Iterable<Counted>): Sums {
  let { events: count, sumA, sumB } = sums;
  for (const { position, digest } of events) {
    count++;
    sumA = (sumA + mixed(digest, 0, position)) >>> 0;
    sumB = (sumB + mixed(digest, partLength, position)) >>> 0;
  }
  return { events: count, sumA, sumB };
}

export function sameSums(a: Sums, b: Sums): boolean {
  return a.events === b.events && a.sumA === b.sumA && a.sumB === b.sumB;
}

/** A batch as additions to the ranges it lies in. */
export function consumedOf(of: { readonly reader: string; readonly version: number }, events: readonly Counted[]): ConsumedRange[] {
  const ranges = Map.groupBy(events, (event) => rangeOf(event.position));
  return [...ranges].map(([range, some]) => ({ ...of, range, ...summed(noSums, some), verified: false }));
}

/** Letters of a digest that go into one sum: 60 bits of it. */
const partLength = 10;

/** FNV-1a over a part of the digest, begun with the position. */
function mixed(digest: string, from: number, position: number): number {
  let hash = 0x811c9dc5 ^ position;
  for (let index = from; index < from + partLength; index++) {
    hash ^= digest.charCodeAt(index);
    hash = Math.imul(hash, 0x01000193);
  }
  return hash >>> 0;
}
