/**
 * Tables in memory with snapshots: rows are JSON values under text keys. A snapshot keeps, for each row that changes
 * while it is open, what the row was before; nobody copies a table and no reader holds up a writer.
 */

/** A change of one row; `undefined` deletes it. */
export interface RowChange {
  readonly table: string;
  readonly key: string;
  readonly row: unknown;
}

type Rows = Map<string, unknown>;

/** What a transaction asks: rows as they were when it began, or, in a write, as it has left them so far. */
export interface TableView {
  get(table: string, key: string): unknown;
  /** All rows of a table, in no order. */
  rows(table: string): Iterable<[string, unknown]>;
  /** Names of the tables that hold rows, and perhaps of some that do not any more. */
  names(): Iterable<string>;
}

export class Tables {
  readonly #tables = new Map<string, Rows>();
  readonly #snapshots = new Set<Snapshot>();

  /** Makes changes visible to everyone who asks from now on, in one step. */
  apply(changes: readonly RowChange[]): void {
    for (const { table, key, row } of changes) {
      const rows = this.#rows(table);
      for (const snapshot of this.#snapshots) snapshot.remember(table, key, rows.get(key));
      if (row === undefined) rows.delete(key);
      else rows.set(key, row);
    }
  }

  /** Opens a snapshot; it must be closed. */
  snapshot(): Snapshot {
    const snapshot = new Snapshot(this, () => this.#snapshots.delete(snapshot));
    this.#snapshots.add(snapshot);
    return snapshot;
  }

  get(table: string, key: string): unknown {
    return this.#tables.get(table)?.get(key);
  }

  rows(table: string): Iterable<[string, unknown]> {
    return this.#rows(table);
  }

  names(): Iterable<string> {
    return this.#tables.keys();
  }

  #rows(table: string): Rows {
    let rows = this.#tables.get(table);
    if (!rows) this.#tables.set(table, (rows = new Map()));
    return rows;
  }
}

export class Snapshot implements TableView {
  readonly #tables: Tables;
  readonly #before = new Map<string, Rows>();
  readonly close: () => void;

  constructor(tables: Tables, close: () => void) {
    this.#tables = tables;
    this.close = close;
  }

  /** Called before a row changes for the first time since this snapshot was opened, and again, without effect, later. */
  remember(table: string, key: string, row: unknown): void {
    let rows = this.#before.get(table);
    if (!rows) this.#before.set(table, (rows = new Map()));
    if (!rows.has(key)) rows.set(key, row);
  }

  get(table: string, key: string): unknown {
    const before = this.#before.get(table);
    return before?.has(key) ? before.get(key) : this.#tables.get(table, key);
  }

  rows(table: string): Iterable<[string, unknown]> {
    return overlaid(this.#tables.rows(table), this.#before.get(table));
  }

  names(): Iterable<string> {
    return this.#tables.names();
  }
}

/** A write transaction's rows: its own changes over the tables. */
export class Draft implements TableView {
  readonly #tables: Tables;
  readonly #changed = new Map<string, Rows>();

  constructor(tables: Tables) {
    this.#tables = tables;
  }

  set(table: string, key: string, row: unknown): void {
    let rows = this.#changed.get(table);
    if (!rows) this.#changed.set(table, (rows = new Map()));
    rows.set(key, row);
  }

  get(table: string, key: string): unknown {
    const changed = this.#changed.get(table);
    return changed?.has(key) ? changed.get(key) : this.#tables.get(table, key);
  }

  rows(table: string): Iterable<[string, unknown]> {
    return overlaid(this.#tables.rows(table), this.#changed.get(table));
  }

  names(): Iterable<string> {
    return new Set([...this.#tables.names(), ...this.#changed.keys()]);
  }

  changes(): RowChange[] {
    return [...this.#changed].flatMap(([table, rows]) => [...rows].map(([key, row]) => ({ table, key, row })));
  }
}

function* overlaid(under: Iterable<[string, unknown]>, over: Rows | undefined): Iterable<[string, unknown]> {
  for (const entry of under) if (!over?.has(entry[0])) yield entry;
  if (over) for (const entry of over) if (entry[1] !== undefined) yield entry;
}
