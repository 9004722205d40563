/** Members, leases, parked events and discards in PostgreSQL. */
import type { CheckpointKey } from "../../log/store.ts";
import type { Discard, Holdings, Lease, Member, OwnershipWrites, ParkedEvent, ParkedKey, ParkingWrites } from "../../log/reader-rows.ts";
import type { Position } from "../../position/position.ts";
import { discardOf, leaseOf, memberOf, parkedKeyOf, parkedOf, valuesOfDiscard, valuesOfParked } from "../rows.ts";
import * as sql from "./queries.ts";
import type { Statements } from "./statements.ts";

export class PostgresOwnership implements OwnershipWrites {
  readonly #statements: Statements;

  constructor(statements: Statements) {
    this.#statements = statements;
  }

  async members(): Promise<Member[]> {
    return (await this.#statements.rows(sql.readMembers)).map(memberOf);
  }

  async leases(key?: CheckpointKey): Promise<Lease[]> {
    const rows = key
      ? this.#statements.rows(sql.readLeases, [key.reader, key.version, key.source])
      : this.#statements.rows(sql.readAllLeases);
    return (await rows).map(leaseOf);
  }

  async held(owner: string): Promise<Holdings> {
    const [row] = await this.#statements.rows(sql.readHeld, [owner]);
    return { leases: row?.[0] as number, fences: row?.[1] as number };
  }

  async saveMember({ id, place, process, beat, readers }: Member): Promise<void> {
    await this.#statements.change(sql.saveMember, [id, place, process, beat, JSON.stringify(readers)]);
  }

  async removeMember(id: string): Promise<void> {
    await this.#statements.change(sql.removeMember, [id]);
  }

  async saveLeases(leases: readonly Lease[]): Promise<void> {
    if (leases.length === 0) return;
    await this.#statements.change(sql.saveLeases, [
      leases.map((row) => row.reader),
      leases.map((row) => row.version),
      leases.map((row) => row.source),
      leases.map((row) => row.slot),
      leases.map((row) => row.owner),
      leases.map((row) => row.fence),
    ]);
  }
}

export class PostgresParking implements ParkingWrites {
  readonly #statements: Statements;

  constructor(statements: Statements) {
    this.#statements = statements;
  }

  async events(of: CheckpointKey, key: string, limit: number): Promise<ParkedEvent[]> {
    return (await this.#statements.rows(sql.readParkedOfKey, [of.reader, of.version, of.source, key, limit])).map(parkedOf);
  }

  async keys(of?: CheckpointKey): Promise<ParkedKey[]> {
    const rows = of
      ? this.#statements.rows(sql.readParkedKeys, [of.reader, of.version, of.source])
      : this.#statements.rows(sql.readAllParkedKeys);
    return (await rows).map(parkedKeyOf);
  }

  async count(of: CheckpointKey): Promise<{ keys: number; events: number; first: Position | undefined }> {
    const [row] = await this.#statements.rows(sql.countParked, [of.reader, of.version, of.source]);
    return { keys: row?.[0] as number, events: row?.[1] as number, first: (row?.[2] ?? undefined) as Position | undefined };
  }

  async requested(): Promise<ParkedKey[]> {
    return (await this.#statements.rows(sql.readRequestedKeys)).map(parkedKeyOf);
  }

  async discards(of?: { readonly reader: string; readonly source: string }): Promise<Discard[]> {
    const rows = of ? this.#statements.rows(sql.readDiscards, [of.reader, of.source]) : this.#statements.rows(sql.readAllDiscards);
    return (await rows).map(discardOf);
  }

  async discarded(): Promise<number> {
    return (await this.#statements.rows(sql.countDiscards))[0]?.[0] as number;
  }

  async saveEvents(rows: readonly ParkedEvent[]): Promise<void> {
    await Promise.all(rows.map((row) => this.#statements.change(sql.saveParked, valuesOfParked(row))));
  }

  async removeEvents(of: CheckpointKey, key: string, positions: readonly Position[]): Promise<void> {
    await this.#statements.change(sql.removeParked, [of.reader, of.version, of.source, key, positions]);
  }

  async saveDiscards(rows: readonly Discard[]): Promise<void> {
    await Promise.all(rows.map((row) => this.#statements.change(sql.saveDiscard, valuesOfDiscard(row))));
  }
}
