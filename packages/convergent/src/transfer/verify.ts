/**
 * Verifies a store: positions without gaps (L1), versions of each stream without gaps and in order (L3), times that never
 * decrease, digests that fit the stored bytes, and remembered appends that name events which are there (L4). In pages, with
 * flat memory, beside writers.
 */
import { eventDigest } from "../log/digest.ts";
import type { StoredEvent } from "../log/event.ts";
import type { IdRecord, ReadTransaction, Store } from "../log/store.ts";
import { comparePositions, origin, type Position } from "../position/position.ts";
import { firstOfRange, LogDigest, type RangeDigest } from "./log-digest.ts";
import { type Problem, Problems } from "./problems.ts";
import { scan } from "./scan.ts";

/** How a store is looked through. */
export interface VerifyOptions {
  /** Told after each page. */
  readonly onProgress?: (progress: Progress) => void;
}

/** How far a walk over a log has come. */
export interface Progress {
  readonly done: number;
  readonly of: number;
}

/** What is in a store, and what is wrong with it. */
export interface Verification {
  readonly store: string;
  readonly events: number;
  readonly last: Position;
  /** Of the whole log. */
  readonly digest: string;
  readonly ranges: readonly RangeDigest[];
  /** Remembered appends. */
  readonly ids: number;
  /** The first ones; `at` is a position. */
  readonly problems: readonly Problem[];
  readonly problemCount: number;
}

/** Reads a whole store and says what is in it and what is wrong with it. */
export async function verifyStore(store: Store, options: VerifyOptions = {}): Promise<Verification> {
  const last = (await store.read((tx) => tx.head())).position;
  const problems = new Problems();
  const digest = new LogDigest();
  let ids = 0;
  let before: StoredEvent | undefined;
  const look = (tx: ReadTransaction, events: readonly StoredEvent[]): Promise<void> => checkVersions(tx, events, problems);
  for await (const page of scan(store, { after: origin, upTo: last }, look)) {
    for (const event of page.events) {
      checkEvent(event, before, problems);
      for (const record of page.ids.get(event.position) ?? []) checkId(event, record, problems);
      digest.add(event);
      before = event;
    }
    const known = new Set(page.events.map((event) => event.position));
    for (const [position, records] of page.ids) {
      if (!known.has(position)) problems.add(position, "an id is remembered of an append whose event is missing");
      ids += records.length;
    }
    options.onProgress?.({ done: before?.position ?? 0, of: last });
  }
  if ((before?.position ?? 0) < last) problems.add(last, `the log ends at ${before?.position ?? 0}, before its head`);
  const whole = digest.end();
  const { told, count } = problems;
  const name = store.identity.store;
  return { store: name, events: digest.events, last, digest: whole, ranges: digest.ranges, ids, problems: told, problemCount: count };
}

/** A range of positions that two stores do not hold alike. */
export interface RangeDifference {
  readonly first: number;
  readonly last: number;
  /** Events there, here and in the other store. */
  readonly events: readonly [number, number];
}

/** The ranges in which two logs differ that were read from the same position on; none when one is a copy of the other. */
export function differences(
  one: { readonly ranges: readonly RangeDigest[] },
  other: { readonly ranges: readonly RangeDigest[] },
): RangeDifference[] {
  const count = Math.max(one.ranges.length, other.ranges.length);
  const found: RangeDifference[] = [];
  for (let index = 0; index < count; index++) {
    const [a, b] = [one.ranges[index], other.ranges[index]];
    if (a?.digest === b?.digest) continue;
    const last = Math.max(a?.last ?? 0, b?.last ?? 0);
    found.push({ first: firstOfRange(last), last, events: [a?.events ?? 0, b?.events ?? 0] });
  }
  return found;
}

function checkEvent(event: StoredEvent, before: StoredEvent | undefined, problems: Problems): void {
  const { position } = event;
  const expected = (before?.position ?? 0) + 1;
  if (position !== expected) problems.add(expected, `positions ${expected} to ${position - 1} are missing`);
  if (before && event.at < before.at) problems.add(position, `its time ${event.at} lies before that of the event before it, ${before.at}`);
  if (event.digest !== eventDigest(event)) problems.add(position, `the event ${event.id} of ${event.stream} does not fit its digest`);
}

// Each version's predecessor lies before it; so by induction a stream has all of its versions, in order.
async function checkVersions(tx: ReadTransaction, events: readonly StoredEvent[], problems: Problems): Promise<void> {
  const seen = new Map<string, number>();
  for (const { stream, version, position } of events) {
    const known = seen.get(stream);
    seen.set(stream, version);
    if (known === undefined ? version === 1 || (await follows(tx, { stream, version, position })) : version === known + 1) continue;
    problems.add(position, `version ${version} of ${stream} does not follow the version before it`);
  }
}

async function follows(tx: ReadTransaction, event: { stream: string; version: number; position: Position }): Promise<boolean> {
  const [before] = await tx.streamEvents(event.stream, { after: event.version - 2, upTo: event.version - 1, limit: 1 });
  return before !== undefined && before.version === event.version - 1 && comparePositions(before.position, event.position) < 0;
}

function checkId(event: StoredEvent, record: IdRecord, problems: Problems): void {
  const fits = record.stream === event.stream && record.lastVersion === event.version && record.firstVersion >= 1;
  if (!fits || record.firstVersion > record.lastVersion)
    problems.add(
      event.position,
      `the id ${record.id} is remembered with versions ${record.firstVersion} to ${record.lastVersion} of ${record.stream}, which is not this event`,
    );
}
