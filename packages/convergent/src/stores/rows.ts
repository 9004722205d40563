/**
 * Rows of tables as the objects they stand for. Every store that speaks SQL selects the same columns in the same order, but for the events
 * that PostgreSQL answers (`postgres/event-texts.ts`); the names of its tables and the rest of its statements are its own.
 */
import type { StoredEvent } from "../log/event.ts";
import type { Discard, Lease, Member, ParkedEvent, ParkedKey, ParkedRequest, ParkedState } from "../log/reader-rows.ts";
import type { Checkpoint, CheckpointKey, ConsumedRange, DefinitionRow } from "../log/store.ts";
import type { Position } from "../position/position.ts";

/** The values of a row, in the order of its columns. */
export type Values = readonly unknown[];

export const eventColumns = "position, id, stream, version, type, at, data, metadata, digest";

export function eventOf(row: Values): StoredEvent {
  return {
    position: row[0] as Position,
    id: row[1] as string,
    stream: row[2] as string,
    version: row[3] as number,
    type: row[4] as string,
    at: row[5] as number,
    data: row[6] as string,
    metadata: row[7] as string,
    digest: row[8] as string,
  };
}

export const checkpointColumns = `reader, version, source, slot, epoch, position, reached, seen, "check"`;

/** A slot's checkpoint. */
export function checkpointOf(row: Values): Checkpoint {
  return {
    ...keyOf(row),
    slot: row[3] as number,
    epoch: row[4] as string,
    position: row[5] as Position,
    reached: row[6] as Position,
    seen: row[7] as string,
    check: row[8] as string,
  };
}

export const definitionColumns = "kind, name, version, fingerprint, state, reason";

export function definitionOf(row: Values): DefinitionRow {
  return {
    kind: row[0] as DefinitionRow["kind"],
    name: row[1] as string,
    version: row[2] as number,
    fingerprint: row[3] as string,
    state: row[4] as DefinitionRow["state"],
    reason: row[5] as string,
  };
}

export const consumedColumns = "range, events, sum_a, sum_b, verified";

/** `verified` is a truth value, or 1. */
export function consumedOf(reader: string, version: number, row: Values): ConsumedRange {
  return {
    reader,
    version,
    range: row[0] as number,
    events: row[1] as number,
    sumA: row[2] as number,
    sumB: row[3] as number,
    verified: row[4] === 1 || row[4] === true,
  };
}

export const memberColumns = "id, place, process, beat, readers";

export function memberOf(row: Values): Member {
  return {
    id: row[0] as string,
    place: row[1] as string,
    process: row[2] as string,
    beat: row[3] as number,
    readers: readersOf(row[4] as string),
  };
}

/** Texts whose list is kept: of as many processes as share one store. */
const readersKnownMax = 64;
const readersKnown = new Map<string, readonly CheckpointKey[]>();

// Every process looks at all members twice a second, and they change when one comes or goes: parsing a thousand readers
// stood in everybody's way for 0.8 ms. The same text gives the same list, which others may compare by identity.
function readersOf(text: string): readonly CheckpointKey[] {
  const known = readersKnown.get(text);
  if (known) return known;
  if (readersKnown.size >= readersKnownMax) readersKnown.clear();
  const readers = JSON.parse(text) as CheckpointKey[];
  readersKnown.set(text, readers);
  return readers;
}

export const leaseColumns = "reader, version, source, slot, owner, fence";

export function leaseOf(row: Values): Lease {
  return { ...keyOf(row), slot: row[3] as number, owner: row[4] as string, fence: row[5] as number };
}

export const parkedColumns = "reader, version, source, position, slot, order_key, event_id, type, state, error, attempts, since, request";

/** A parked event's values, in the order of its columns. */
export function valuesOfParked(e: ParkedEvent): Array<string | number> {
  const request = e.request ? JSON.stringify(e.request) : "";
  return [e.reader, e.version, e.source, e.position, e.slot, e.key, e.eventId, e.type, e.state, e.error, e.attempts, e.since, request];
}

export function parkedOf(row: Values): ParkedEvent {
  const request = row[12] as string;
  return {
    ...keyOf(row),
    position: row[3] as Position,
    slot: row[4] as number,
    key: row[5] as string,
    eventId: row[6] as string,
    type: row[7] as string,
    state: row[8] as ParkedState,
    error: row[9] as string,
    attempts: row[10] as number,
    since: row[11] as number,
    ...(request === "" ? {} : { request: JSON.parse(request) as ParkedRequest }),
  };
}

/** The columns of a parked event, and how many there are of its key. */
export function parkedKeyOf(row: Values): ParkedKey {
  return { ...parkedOf(row), events: row[13] as number };
}

export const discardColumns = `reader, source, event_id, position, type, order_key, error, reason, "by", at`;

/** A discard's values, in the order of its columns. */
export function valuesOfDiscard(d: Discard): Array<string | number> {
  return [d.reader, d.source, d.eventId, d.position, d.type, d.key, d.error, d.reason, d.by, d.at];
}

export function discardOf(row: Values): Discard {
  return {
    reader: row[0] as string,
    source: row[1] as string,
    eventId: row[2] as string,
    position: row[3] as Position,
    type: row[4] as string,
    key: row[5] as string,
    error: row[6] as string,
    reason: row[7] as string,
    by: row[8] as string,
    at: row[9] as number,
  };
}

function keyOf(row: Values): CheckpointKey {
  return { reader: row[0] as string, version: row[1] as number, source: row[2] as string };
}
