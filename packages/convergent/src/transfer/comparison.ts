/** Compares the logs of two stores from one position to another, both read page by page at the same pace. */
import { eventDigest } from "../log/digest.ts";
import type { StoredEvent } from "../log/event.ts";
import type { IdRecord, Store } from "../log/store.ts";
import { comparePositions, type Position } from "../position/position.ts";
import { LogDigest } from "./log-digest.ts";
import { type IdsByPosition, scan, type ScannedPage } from "./scan.ts";
import { differences, type Progress, type RangeDifference } from "./verify.ts";

export interface Comparison {
  readonly events: number;
  readonly ranges: number;
  readonly differing: readonly RangeDifference[];
  /** The first thing besides count and digest of a range that is not alike. */
  readonly problem: string | undefined;
}

/** `after` is the end of a range of positions, so that ranges are compared whole. */
export async function compareLogs(
  source: Store,
  copy: Store,
  range: { readonly after: Position; readonly upTo: Position },
  { onProgress }: { readonly onProgress?: (progress: Progress) => void },
): Promise<Comparison> {
  const [ours, theirs] = [new LogDigest(), new LogDigest()];
  const others = scan(copy, range);
  let problem: string | undefined;
  for await (const page of bothAhead(scan(source, range), others)) {
    for (const event of page[0].events) ours.add(event);
    for (const event of page[1]?.events ?? []) {
      theirs.add(event);
      if (event.digest !== eventDigest(event)) problem ??= `at position ${event.position}, whose content does not fit its digest`;
    }
    problem ??= missingId(page[0].ids, page[1]?.ids, range.after);
    onProgress?.({ done: (page[0].events.at(-1) as StoredEvent).position, of: range.upTo });
  }
  ours.end();
  theirs.end();
  return { events: theirs.events, ranges: theirs.ranges.length, differing: differences(ours, theirs), problem };
}

/** One page of each, asked for together. */
async function* bothAhead(
  one: AsyncGenerator<ScannedPage>,
  other: AsyncGenerator<ScannedPage>,
): AsyncGenerator<readonly [ScannedPage, ScannedPage | undefined]> {
  for (;;) {
    const [a, b] = await Promise.all([one.next(), other.next()]);
    if (a.done === true) return;
    yield [a.value, b.done === true ? undefined : b.value];
  }
}

// The source forgets ids as they grow old: the copy may remember more, and never less.
function missingId(ours: IdsByPosition, theirs: IdsByPosition | undefined, after: Position): string | undefined {
  for (const [position, records] of ours) {
    if (comparePositions(position, after) <= 0) continue;
    const there = new Set(theirs?.get(position)?.map(textOf));
    if (!records.every((record) => there.has(textOf(record)))) return `at position ${position}, in what is remembered of the append there`;
  }
  return undefined;
}

function textOf({ scope, id, digest, stream, firstVersion, lastVersion, at }: IdRecord): string {
  return JSON.stringify([scope, id, digest, stream, firstVersion, lastVersion, at]);
}
