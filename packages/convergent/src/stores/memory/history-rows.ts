/** Types of events, snapshots and persons in memory. */
import type { StoredEvent } from "../../log/event.ts";
import type { Forgetting, PersonWrites, Snapshot, SnapshotWrites } from "../../log/history-rows.ts";
import { personIn } from "../../log/marks.ts";
import type { TableView } from "./table.ts";

/** The rows of an open transaction; a read sets none. */
interface OpenRows {
  readonly view: TableView;
  /** Throws `closed` when the transaction has ended. */
  check(): void;
  set(table: string, key: string, row: unknown): void;
}

const separator = "\u0000";

/** Types in the order of their first event, without the first `known`. */
export function eventTypesOf(view: TableView, known: number): string[] {
  return ([...view.rows("event-types")] as Array<[string, number]>)
    .filter(([, number]) => number > known)
    .sort(([, a], [, b]) => a - b)
    .map(([type]) => type);
}

/** Keeps what is new about the events of an insert: a type, whose data they hold. */
export function registerEvents(events: readonly StoredEvent[], { view, set }: Omit<OpenRows, "check">): void {
  for (const { type, metadata, position } of events) {
    if (view.get("event-types", type) === undefined) set("event-types", type, [...view.rows("event-types")].length + 1);
    const person = personIn(metadata);
    if (person !== undefined) set("person-events", `${person}${separator}${position}`, position);
  }
}

export class MemorySnapshots implements SnapshotWrites {
  readonly #rows: OpenRows;

  constructor(rows: OpenRows) {
    this.#rows = rows;
  }

  async of(stream: string, version: number): Promise<Snapshot | undefined> {
    this.#rows.check();
    return this.#rows.view.get("snapshots", nameOf(stream, version)) as Snapshot | undefined;
  }

  async save(snapshot: Snapshot): Promise<void> {
    this.#rows.check();
    this.#rows.set("snapshots", nameOf(snapshot.stream, snapshot.version), snapshot);
  }

  async drop(streams: readonly string[]): Promise<void> {
    this.#rows.check();
    for (const [key, row] of [...this.#rows.view.rows("snapshots")])
      if (streams.includes((row as Snapshot).stream)) this.#rows.set("snapshots", key, undefined);
  }
}

export class MemoryPersons implements PersonWrites {
  readonly #rows: OpenRows;

  constructor(rows: OpenRows) {
    this.#rows = rows;
  }

  async events(person: string, { after, limit }: { after: number; limit: number }): Promise<StoredEvent[]> {
    this.#rows.check();
    const { view } = this.#rows;
    const positions = ([...view.rows("person-events")] as Array<[string, number]>)
      .filter(([key, position]) => key.startsWith(person + separator) && position > after)
      .map(([, position]) => position);
    return positions
      .sort((a, b) => a - b)
      .slice(0, limit)
      .map((position) => view.get("events", String(position)) as StoredEvent);
  }

  async forgettings(): Promise<Forgetting[]> {
    this.#rows.check();
    const rows = [...this.#rows.view.rows("forgettings")].map(([, row]) => row as Forgetting);
    return rows.sort((a, b) => (a.person < b.person ? -1 : 1));
  }

  async beginForgetting(row: Forgetting): Promise<void> {
    this.#rows.check();
    if (this.#rows.view.get("forgettings", row.person) === undefined) this.#rows.set("forgettings", row.person, row);
  }

  async endForgetting(person: string): Promise<void> {
    this.#rows.check();
    this.#rows.set("forgettings", person, undefined);
  }
}

function nameOf(stream: string, version: number): string {
  return `${version}${separator}${stream}`;
}
