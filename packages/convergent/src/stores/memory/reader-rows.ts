/** Members, leases, parked events and discards in memory: small tables that are looked through. */
import type { CheckpointKey } from "../../log/store.ts";
import type { Discard, Holdings, Lease, Member, OwnershipWrites, ParkedEvent, ParkedKey, ParkingWrites } from "../../log/reader-rows.ts";
import type { Position } from "../../position/position.ts";
import type { Draft, TableView } from "./table.ts";

/** The rows of an open transaction; a read sets none. */
interface OpenRows {
  readonly view: TableView;
  /** Throws `closed` when the transaction has ended. */
  check(): void;
  set(table: string, key: string, row: unknown): void;
}

const separator = "\u0000";

export class MemoryOwnership implements OwnershipWrites {
  readonly #rows: OpenRows;

  constructor(rows: OpenRows) {
    this.#rows = rows;
  }

  async members(): Promise<Member[]> {
    return all<Member>(this.#rows, "members").sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  async leases(key?: CheckpointKey): Promise<Lease[]> {
    return all<Lease>(this.#rows, "leases")
      .filter((row) => !key || isOf(row, key))
      .sort((a, b) => a.slot - b.slot);
  }

  async held(owner: string): Promise<Holdings> {
    const held = all<Lease>(this.#rows, "leases").filter((row) => row.owner === owner);
    return { leases: held.length, fences: held.reduce((sum, row) => sum + row.fence, 0) };
  }

  async saveMember(member: Member): Promise<void> {
    this.#rows.check();
    this.#rows.set("members", member.id, member);
  }

  async removeMember(id: string): Promise<void> {
    this.#rows.check();
    this.#rows.set("members", id, undefined);
  }

  async saveLeases(leases: readonly Lease[]): Promise<void> {
    this.#rows.check();
    for (const row of leases) this.#rows.set("leases", [nameOf(row), row.slot].join(separator), row);
  }
}

export class MemoryParking implements ParkingWrites {
  readonly #rows: OpenRows;

  constructor(rows: OpenRows) {
    this.#rows = rows;
  }

  async events(of: CheckpointKey, key: string, limit: number): Promise<ParkedEvent[]> {
    return this.#parked()
      .filter((row) => isOf(row, of) && row.key === key)
      .slice(0, limit);
  }

  async keys(of?: CheckpointKey): Promise<ParkedKey[]> {
    const rows = this.#parked().filter((row) => !of || isOf(row, of));
    return [...Map.groupBy(rows, (row) => nameOf(row) + separator + row.key).values()].map((events) => ({
      ...(events[0] as ParkedEvent),
      events: events.length,
    }));
  }

  async count(of: CheckpointKey): Promise<{ keys: number; events: number; first: Position | undefined }> {
    const rows = this.#parked().filter((row) => isOf(row, of));
    return { keys: new Set(rows.map((row) => row.key)).size, events: rows.length, first: rows[0]?.position };
  }

  async requested(): Promise<ParkedKey[]> {
    const rows = this.#parked();
    const keys = new Set(rows.filter((row) => row.request).map((row) => nameOf(row) + separator + row.key));
    return (await this.keys()).filter((row) => keys.has(nameOf(row) + separator + row.key));
  }

  async discards(of?: { readonly reader: string; readonly source: string }): Promise<Discard[]> {
    return all<Discard>(this.#rows, "discards")
      .filter((row) => !of || (row.reader === of.reader && row.source === of.source))
      .sort((a, b) => a.at - b.at || a.position - b.position);
  }

  async discarded(): Promise<number> {
    return all<Discard>(this.#rows, "discards").length;
  }

  async saveEvents(rows: readonly ParkedEvent[]): Promise<void> {
    this.#rows.check();
    for (const row of rows) this.#rows.set("parked", parkedName(row, row.key, row.position), row);
  }

  async removeEvents(of: CheckpointKey, key: string, positions: readonly Position[]): Promise<void> {
    this.#rows.check();
    for (const position of positions) this.#rows.set("parked", parkedName(of, key, position), undefined);
  }

  async saveDiscards(rows: readonly Discard[]): Promise<void> {
    this.#rows.check();
    for (const row of rows) this.#rows.set("discards", [row.reader, row.source, row.eventId].join(separator), row);
  }

  #parked(): ParkedEvent[] {
    return all<ParkedEvent>(this.#rows, "parked").sort((a, b) => a.position - b.position);
  }
}

/** Drops leases and parked events of readers that `dropped` names. */
export function dropReaderRows(draft: Draft, dropped: (reader: string, version: number) => boolean): void {
  for (const table of ["leases", "parked"])
    for (const [key, row] of [...draft.rows(table)]) {
      const { reader, version } = row as CheckpointKey;
      if (dropped(reader, version)) draft.set(table, key, undefined);
    }
}

function all<Row>(rows: OpenRows, table: string): Row[] {
  rows.check();
  return [...rows.view.rows(table)].map(([, row]) => row as Row);
}

function isOf(row: CheckpointKey, key: CheckpointKey): boolean {
  return row.reader === key.reader && row.version === key.version && row.source === key.source;
}

function nameOf(key: CheckpointKey): string {
  return [key.reader, key.version, key.source].join(separator);
}

function parkedName(of: CheckpointKey, key: string, position: Position): string {
  return [nameOf(of), position, key].join(separator);
}
