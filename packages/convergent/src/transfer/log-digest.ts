/**
 * Digests of a log: one of the whole and one a range of positions, over what must be equal in every copy: position,
 * stream version, time, and the event's own digest.
 */
import { createHash } from "node:crypto";
import type { StoredEvent } from "../log/event.ts";
import type { Position } from "../position/position.ts";

/** Positions of one range: the first holds 1 to 10,000. */
const rangePositions = 10_000;

/** What a range of positions holds. */
export interface RangeDigest {
  readonly first: Position;
  readonly last: Position;
  readonly events: number;
  /** SHA-256, base64url. */
  readonly digest: string;
}

type Hash = ReturnType<typeof createHash>;

export class LogDigest {
  readonly ranges: RangeDigest[] = [];
  readonly #whole: Hash = createHash("sha256");
  #range: { hash: Hash; first: Position; last: Position; events: number } | undefined;
  #events = 0;

  get events(): number {
    return this.#events;
  }

  /** Adds events, in the order of the log. */
  add(event: StoredEvent): void {
    const line = `${event.position} ${event.version} ${event.at} ${event.digest}\n`;
    this.#whole.update(line);
    this.#events++;
    if (this.#range && rangeOf(event.position) !== rangeOf(this.#range.first)) this.#endRange();
    this.#range ??= { hash: createHash("sha256"), first: event.position, last: event.position, events: 0 };
    this.#range.hash.update(line);
    this.#range.last = event.position;
    this.#range.events++;
  }

  /** Ends it and returns the digest of the whole; nothing may be added any more. */
  end(): string {
    this.#endRange();
    return this.#whole.digest("base64url");
  }

  #endRange(): void {
    if (!this.#range) return;
    const { hash, first, last, events } = this.#range;
    this.ranges.push({ first, last, events, digest: hash.digest("base64url") });
    this.#range = undefined;
  }
}

/** The first position of the range that a position lies in. */
export function firstOfRange(position: number): Position {
  return (Math.floor((position - 1) / rangePositions) * rangePositions + 1) as Position;
}

function rangeOf(position: Position): number {
  return Math.floor((position - 1) / rangePositions);
}
