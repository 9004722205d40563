/**
 * Reads of the log over one SQLite connection and, where events have been archived, the archive. Positions and versions are
 * dense (L1, L3): a page that has as many rows as numbers lacks nothing, and the archive is asked only for what is lacking.
 */
import type { StoredEvent } from "../../log/event.ts";
import type { IdKey, IdRecord } from "../../log/store.ts";
import type { Position } from "../../position/position.ts";
import { eventOf } from "../rows.ts";
import type { Archive } from "./archive.ts";
import type { Database, Row } from "./database.ts";
import * as sql from "./queries.ts";

/** Rows read or deleted in one go: 3 to 4 ms. Between two steps the event loop turns. */
export const rowsPerStepMax = 4096;

/** The open transaction. */
export interface LogReadsOn {
  readonly archive: Archive | undefined;
  ask<T>(run: (database: Database) => T): T;
  turn(): Promise<void>;
}

interface Range {
  readonly after: number;
  readonly upTo: number;
  readonly limit: number;
}

/** Columns that number the rows of a page. */
const byPosition = 0;
const byVersion = 3;

export class LogReads {
  readonly #on: LogReadsOn;

  constructor(on: LogReadsOn) {
    this.#on = on;
  }

  /** Events by position; `range.upTo` is at most the head. */
  events(range: Range, types?: readonly string[]): Promise<StoredEvent[]> {
    const text = types ? sql.readEventsOfTypes(types.length) : sql.readEvents;
    return this.#steps(range, (after, upTo, count) => {
      const rows = this.#on.ask((database) => database.all(text, after, upTo, ...(types ?? []), count));
      const { archive } = this.#on;
      if (!archive || (!types && isDense(rows, byPosition, { after, upTo, limit: count }))) return rows;
      return merged(rows, this.#only(archive.events(after, upTo, count, types)), byPosition, count);
    });
  }

  /** Events of a stream by version; `range.upTo` is at most its last version. */
  streamEvents(stream: string, range: Range): Promise<StoredEvent[]> {
    return this.#steps(range, (after, upTo, count) => {
      const rows = this.#on.ask((database) => database.all(sql.readStreamEvents, stream, after, upTo, count));
      const { archive } = this.#on;
      if (!archive || isDense(rows, byVersion, { after, upTo, limit: count })) return rows;
      return merged(rows, archive.streamEvents(stream, after, upTo, count), byVersion, count);
    });
  }

  /** A remembered append; the columns are those of `readId`. */
  id(key: IdKey, row: Row): IdRecord {
    const position = row[3] as Position;
    const isDone = (row[0] as number) >= 0;
    const archived = isDone && row[5] === null ? this.#on.archive?.at(position) : undefined;
    return {
      scope: key.scope,
      id: key.id,
      digest: row[1] as string,
      state: isDone ? "done" : "void",
      stream: (row[5] ?? archived?.[2] ?? "") as string,
      firstVersion: row[2] as number,
      lastVersion: (row[6] ?? archived?.[3] ?? 0) as number,
      position,
      at: row[4] as number,
    };
  }

  /** Of archived events, those that the store itself does not hold: an archive may know a history that is gone. */
  #only(rows: readonly Row[]): Row[] {
    return this.#on.ask((database) => rows.filter((row) => !database.get(sql.hasEvent, row[byPosition] as number)));
  }

  // A range of numbers is a bound on rows.
  async #steps(range: Range, read: (after: number, upTo: number, count: number) => readonly Row[]): Promise<StoredEvent[]> {
    const events: StoredEvent[] = [];
    let after = range.after;
    while (after < range.upTo && events.length < range.limit) {
      if (after > range.after) await this.#on.turn();
      const upTo = Math.min(range.upTo, after + rowsPerStepMax);
      for (const row of read(after, upTo, range.limit - events.length)) events.push(eventOf(row));
      after = upTo;
    }
    return events;
  }
}

function isDense(rows: readonly Row[], column: number, { after, upTo, limit }: Range): boolean {
  const wanted = Math.min(limit, upTo - after);
  return rows.length === wanted && (wanted === 0 || rows.at(-1)?.[column] === after + wanted);
}

/** Two lists in order as one; where both have a number, the first list's row. */
function merged(rows: readonly Row[], archived: readonly Row[], column: number, limit: number): Row[] {
  const known = new Set(rows.map((row) => row[column]));
  const others = archived.filter((row) => !known.has(row[column]));
  return [...rows, ...others].sort((a, b) => (a[column] as number) - (b[column] as number)).slice(0, limit);
}
