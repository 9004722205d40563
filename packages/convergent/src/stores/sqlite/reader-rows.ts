/** Members, leases, parked events and discards in SQLite. */
import type { CheckpointKey } from "../../log/store.ts";
import type { Discard, Holdings, Lease, Member, OwnershipWrites, ParkedEvent, ParkedKey, ParkingWrites } from "../../log/reader-rows.ts";
import type { Position } from "../../position/position.ts";
import { discardOf, leaseOf, memberOf, parkedKeyOf, parkedOf, valuesOfDiscard, valuesOfParked } from "../rows.ts";
import type { Database } from "./database.ts";
import * as sql from "./reader-queries.ts";

/** What statements change: rows, also such as writes remember the answers about (`write-memory.ts`). */
export type Changes = "changes" | "changes-remembered";

/** Runs statements in the open transaction; marks it as one that changes something when told so. */
type Run = <T>(statements: (database: Database) => T, changes?: Changes) => T;

/** Asks what writes may remember. */
type Lasting = <T>(name: string, read: (database: Database) => T[]) => T[];

export class SqliteOwnership implements OwnershipWrites {
  readonly #run: Run;
  readonly #lasting: Lasting;

  constructor(run: Run, lasting: Lasting) {
    this.#run = run;
    this.#lasting = lasting;
  }

  async members(): Promise<Member[]> {
    return this.#run((database) => database.all(sql.readMembers).map(memberOf));
  }

  async leases(key?: CheckpointKey): Promise<Lease[]> {
    if (!key) return this.#run((database) => database.all(sql.readAllLeases).map(leaseOf));
    const { reader, version, source } = key;
    return this.#lasting(`leases\u0000${reader}\u0000${version}\u0000${source}`, (database) =>
      database.all(sql.readLeases, reader, version, source).map(leaseOf),
    );
  }

  async held(owner: string): Promise<Holdings> {
    const [leases = 0, fences = 0] = this.#run((database) => database.get(sql.readHeld, owner)) ?? [];
    return { leases: leases as number, fences: fences as number };
  }

  async saveMember({ id, place, process, beat, readers }: Member): Promise<void> {
    this.#run((database) => database.run(sql.saveMember, id, place, process, beat, JSON.stringify(readers)), "changes");
  }

  async removeMember(id: string): Promise<void> {
    this.#run((database) => database.run(sql.removeMember, id), "changes");
  }

  async saveLeases(leases: readonly Lease[]): Promise<void> {
    this.#run((database) => {
      for (const row of leases) database.run(sql.saveLease, row.reader, row.version, row.source, row.slot, row.owner, row.fence);
    }, "changes-remembered");
  }
}

export class SqliteParking implements ParkingWrites {
  readonly #run: Run;
  readonly #once: <T>(question: string, read: (database: Database) => T) => T;

  /** `once` may remember answers. */
  constructor(run: Run, once: <T>(question: string, read: (database: Database) => T) => T) {
    this.#run = run;
    this.#once = once;
  }

  async events(of: CheckpointKey, key: string, limit: number): Promise<ParkedEvent[]> {
    // Each read of a document asks this, and nearly always nothing is parked of the whole reader.
    const { reader, version, source } = of;
    const some = this.#once(`parked ${reader} ${version} ${source}`, (database) => database.get(sql.hasParked, reader, version, source));
    if (!some) return [];
    return this.#run((database) => database.all(sql.readParkedOfKey, of.reader, of.version, of.source, key, limit).map(parkedOf));
  }

  async keys(of?: CheckpointKey): Promise<ParkedKey[]> {
    return this.#run((database) =>
      (of ? database.all(sql.readParkedKeys, of.reader, of.version, of.source) : database.all(sql.readAllParkedKeys)).map(parkedKeyOf),
    );
  }

  async count(of: CheckpointKey): Promise<{ keys: number; events: number; first: Position | undefined }> {
    const [keys, events, first] = this.#run((database) => database.get(sql.countParked, of.reader, of.version, of.source)) ?? [];
    return { keys: keys as number, events: events as number, first: (first ?? undefined) as Position | undefined };
  }

  async requested(): Promise<ParkedKey[]> {
    return this.#run((database) => database.all(sql.readRequestedKeys).map(parkedKeyOf));
  }

  async discards(of?: { readonly reader: string; readonly source: string }): Promise<Discard[]> {
    return this.#run((database) =>
      (of ? database.all(sql.readDiscards, of.reader, of.source) : database.all(sql.readAllDiscards)).map(discardOf),
    );
  }

  async discarded(): Promise<number> {
    return this.#run((database) => database.get(sql.countDiscards)?.[0] as number);
  }

  async saveEvents(rows: readonly ParkedEvent[]): Promise<void> {
    this.#run((database) => {
      for (const row of rows) database.run(sql.saveParked, ...valuesOfParked(row));
    }, "changes");
  }

  async removeEvents(of: CheckpointKey, key: string, positions: readonly Position[]): Promise<void> {
    this.#run((database) => {
      for (const position of positions) database.run(sql.removeParked, of.reader, of.version, of.source, key, position);
    }, "changes");
  }

  async saveDiscards(rows: readonly Discard[]): Promise<void> {
    this.#run((database) => {
      for (const row of rows) database.run(sql.saveDiscard, ...valuesOfDiscard(row));
    }, "changes");
  }
}

/** Drops leases and parked events of a reader's versions between two bounds. */
export function dropReaderRows(database: Database, reader: string, lowest: number, highest: number): void {
  database.run(sql.dropLeases, reader, lowest, highest);
  database.run(sql.dropParked, reader, lowest, highest);
}
