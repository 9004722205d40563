/** The store interface over tables in memory. Every method yields once, so that a simulator can interleave at each step. */
import { ConvergentError } from "../../errors/error.ts";
import type { StoredEvent } from "../../log/event.ts";
import type {
  Checkpoint,
  CheckpointKey,
  ConsumedRange,
  DefinitionRow,
  DocumentHit,
  DocumentQuery,
  DocumentRange,
  DocumentRow,
  Epoch,
  Head,
  IdKey,
  IdRecord,
  Identity,
  ReadTransaction,
  StreamHead,
  WriteTransaction,
} from "../../log/store.ts";
import { storeMoved } from "../../log/moved.ts";
import { origin, type Position } from "../../position/position.ts";
import { eventTypesOf, MemoryPersons, MemorySnapshots, registerEvents } from "./history-rows.ts";
import { dropReaderRows, MemoryOwnership, MemoryParking } from "./reader-rows.ts";
import type { Draft, TableView } from "./table.ts";

interface DocumentEntry {
  readonly document: string;
  readonly indexes: Readonly<Record<string, string>>;
}

const separator = "\u0000";

class MemoryRead implements ReadTransaction {
  readonly view: TableView;
  readonly snapshots: MemorySnapshots;
  readonly persons: MemoryPersons;
  readonly ownership: MemoryOwnership;
  readonly parking: MemoryParking;
  #open = true;

  constructor(view: TableView, draft?: Draft) {
    this.view = view;
    const rows = {
      view,
      check: () => this.check(),
      set: (table: string, key: string, row: unknown) => draft?.set(table, key, row),
    };
    this.snapshots = new MemorySnapshots(rows);
    this.persons = new MemoryPersons(rows);
    this.ownership = new MemoryOwnership(rows);
    this.parking = new MemoryParking(rows);
  }

  /** Ends the transaction: whatever still holds it is refused from now on. */
  end(): void {
    this.#open = false;
  }

  async head(): Promise<Head> {
    this.check();
    return (this.view.get("log", "head") as Head | undefined) ?? { position: origin, at: 0 };
  }

  async epochs(): Promise<readonly Epoch[]> {
    this.check();
    return (this.view.get("identity", "identity") as Identity).epochs;
  }

  async events(query: { after: Position; upTo: Position; limit: number; types?: readonly string[] }): Promise<StoredEvent[]> {
    const head = await this.head();
    const found: StoredEvent[] = [];
    for (let position = query.after + 1; position <= Math.min(query.upTo, head.position) && found.length < query.limit; position++) {
      const event = this.view.get("events", String(position)) as StoredEvent;
      if (!query.types || query.types.includes(event.type)) found.push(event);
    }
    return found;
  }

  async eventTypes(known: number): Promise<string[]> {
    this.check();
    return eventTypesOf(this.view, known);
  }

  async streamEvents(stream: string, query: { after: number; upTo: number; limit: number }): Promise<StoredEvent[]> {
    const [head] = await this.streamHeads([stream]);
    const found: StoredEvent[] = [];
    for (let version = query.after + 1; version <= Math.min(query.upTo, head?.version ?? 0) && found.length < query.limit; version++) {
      const position = this.view.get("versions", stream + separator + version) as number;
      found.push(this.view.get("events", String(position)) as StoredEvent);
    }
    return found;
  }

  async streams(query: { entity: string; after?: string; limit: number }): Promise<StoredEvent[]> {
    this.check();
    const from = `${query.entity}/`;
    const all = [...this.view.rows("streams")].filter(
      ([stream]) => stream.startsWith(from) && compareText(stream, query.after ?? from) > 0,
    );
    const page = all.sort(([a], [b]) => compareText(a, b)).slice(0, query.limit);
    return page.map(([, head]) => this.view.get("events", String((head as StreamHead).position)) as StoredEvent);
  }

  async streamHeads(streams: readonly string[]): Promise<Array<StreamHead | undefined>> {
    this.check();
    return streams.map((stream) => this.view.get("streams", stream) as StreamHead | undefined);
  }

  async ids(keys: readonly IdKey[]): Promise<Array<IdRecord | undefined>> {
    this.check();
    return keys.map((key) => this.view.get("ids", idName(key)) as IdRecord | undefined);
  }

  async remembered(query: { state: IdRecord["state"]; after?: number; limit: number }): Promise<{ records: IdRecord[]; next: number }> {
    this.check();
    const from = query.after ?? 0;
    const all = [...this.view.rows("ids")].map(([, row]) => row as IdRecord).filter((record) => record.state === query.state);
    const records = all.sort((a, b) => a.position - b.position).slice(from, from + query.limit);
    return { records, next: from + records.length };
  }

  async checkpoints(key?: CheckpointKey): Promise<Checkpoint[]> {
    this.check();
    const rows = [...this.view.rows("checkpoints")].map(([, row]) => row as Checkpoint);
    const wanted = key ? rows.filter((row) => row.reader === key.reader && row.version === key.version && row.source === key.source) : rows;
    return wanted.sort((a, b) => a.slot - b.slot);
  }

  async documents(view: string, version: number, keys: readonly string[]): Promise<Array<string | undefined>> {
    this.check();
    return keys.map((key) => (this.view.get(documentTable(view, version), key) as DocumentEntry | undefined)?.document);
  }

  async find(query: DocumentQuery): Promise<DocumentHit[]> {
    const hits = this.#hits(query);
    const direction = query.descending ? -1 : 1;
    const order = (a: { value: string; key: string }, b: { value: string; key: string }): number =>
      direction * (compareText(a.value, b.value) || compareText(a.key, b.key));
    const after = query.after;
    return (after ? hits.filter((hit) => order(hit, after) > 0) : hits).sort(order).slice(0, query.limit);
  }

  async count(range: DocumentRange): Promise<number> {
    return this.#hits(range).length;
  }

  async duplicate(range: DocumentRange & { readonly field: string }): Promise<readonly [string, string] | undefined> {
    const owners = new Map<string, string>();
    for (const { key, value } of this.#hits(range)) {
      const owner = owners.get(value);
      if (owner !== undefined) return [owner, key];
      owners.set(value, key);
    }
    return undefined;
  }

  async definitions(of?: { readonly name: string } | { readonly kind: "strong-view" }): Promise<DefinitionRow[]> {
    this.check();
    const rows = [...this.view.rows("definitions")].map(([, row]) => row as DefinitionRow);
    const wanted = of ? rows.filter((row) => ("name" in of ? row.name === of.name : row.kind === of.kind)) : rows;
    return wanted.sort((a, b) => compareText(a.name, b.name) || a.version - b.version);
  }

  async consumed(reader: string, version: number): Promise<ConsumedRange[]> {
    this.check();
    const rows = [...this.view.rows("consumed")].map(([, row]) => row as ConsumedRange);
    return rows.filter((row) => row.reader === reader && row.version === version).sort((a, b) => a.range - b.range);
  }

  #hits(range: DocumentRange): DocumentHit[] {
    this.check();
    const hits: DocumentHit[] = [];
    for (const [key, row] of this.view.rows(documentTable(range.view, range.version))) {
      const { document, indexes } = row as DocumentEntry;
      const value = range.field === undefined ? key : indexes[range.field];
      if (value === undefined || !within(value, range)) continue;
      if (!range.where.every((bounds) => within(indexes[bounds.field], bounds))) continue;
      hits.push({ key, value, document });
    }
    return hits;
  }

  protected check(): void {
    if (!this.#open) throw new ConvergentError("closed", "the transaction has ended; begin another one");
  }
}

export { MemoryRead };

export class MemoryWrite extends MemoryRead implements WriteTransaction {
  readonly #draft: Draft;

  constructor(draft: Draft) {
    super(draft, draft);
    this.#draft = draft;
  }

  async lock(): Promise<Head> {
    return this.head();
  }

  async beginEpoch(epoch: Epoch): Promise<void> {
    this.check();
    const identity = this.view.get("identity", "identity") as Identity;
    this.#draft.set("identity", "identity", { ...identity, epochs: [...identity.epochs, epoch] });
  }

  async saveOwner(owner: { readonly store: string; readonly key: string }): Promise<void> {
    this.check();
    const identity = this.view.get("identity", "identity") as Identity;
    this.#draft.set("identity", "identity", { ...identity, ...owner });
  }

  async saveMove(to: string | undefined): Promise<void> {
    this.check();
    this.#draft.set("move", "to", to);
  }

  /** Notes that a stream was archived; a memory store keeps its events where they are. Returns how many that are more than before. */
  noteArchived(stream: string): number {
    this.check();
    const head = this.view.get("streams", stream) as StreamHead | undefined;
    const before = (this.view.get("archived", stream) as number | undefined) ?? 0;
    const count = Math.max(before, (head?.version ?? 0) - 1);
    if (count > before) this.#draft.set("archived", stream, count);
    return count - before;
  }

  async insert(rows: { events: readonly StoredEvent[]; heads: ReadonlyMap<string, StreamHead>; ids: readonly IdRecord[] }): Promise<void> {
    this.check();
    const to = this.view.get("move", "to") as string | undefined;
    if (to !== undefined) throw storeMoved("the store", to);
    for (const event of rows.events) {
      this.#draft.set("events", String(event.position), event);
      this.#draft.set("versions", event.stream + separator + event.version, event.position);
    }
    registerEvents(rows.events, { view: this.view, set: (table, key, row) => this.#draft.set(table, key, row) });
    const newest = rows.events.at(-1);
    if (newest) this.#draft.set("log", "head", { position: newest.position, at: newest.at });
    for (const [stream, head] of rows.heads) this.#draft.set("streams", stream, head);
    for (const record of rows.ids) this.#draft.set("ids", idName(record), record);
  }

  async forgetIds(before: number, limit: number): Promise<void> {
    this.check();
    let looked = 0;
    // Rows lie in the order they were written, so the oldest come first. A voided id is refused for ever and stays.
    for (const [key, row] of this.view.rows("ids")) {
      if ((row as IdRecord).state === "void") continue;
      if (looked++ >= limit || (row as IdRecord).at >= before) return;
      this.#draft.set("ids", key, undefined);
    }
  }

  async saveCheckpoints(checkpoints: readonly Checkpoint[]): Promise<void> {
    this.check();
    for (const row of checkpoints) this.#draft.set("checkpoints", checkpointName(row), row);
  }

  async saveDocuments(rows: readonly DocumentRow[]): Promise<void> {
    this.check();
    for (const row of rows) {
      const entry: DocumentEntry | undefined =
        row.document === undefined
          ? undefined
          : { document: row.document, indexes: Object.fromEntries(row.indexes.map(({ field, value }) => [field, value])) };
      this.#draft.set(documentTable(row.view, row.version), row.key, entry);
    }
  }

  async saveDefinition(row: DefinitionRow): Promise<void> {
    this.check();
    this.#draft.set("definitions", definitionName(row), row);
  }

  async addConsumed(ranges: readonly ConsumedRange[]): Promise<void> {
    this.check();
    for (const row of ranges) {
      const name = consumedName(row);
      const known = this.view.get("consumed", name) as ConsumedRange | undefined;
      this.#draft.set("consumed", name, {
        ...row,
        events: (known?.events ?? 0) + row.events,
        sumA: ((known?.sumA ?? 0) + row.sumA) >>> 0,
        sumB: ((known?.sumB ?? 0) + row.sumB) >>> 0,
        verified: row.verified || (known?.verified ?? false),
      });
    }
  }

  async dropDocuments(view: string, version: number, limit: number): Promise<number> {
    this.check();
    const table = documentTable(view, version);
    const keys: string[] = [];
    for (const [key] of this.view.rows(table)) if (keys.push(key) === limit) break;
    for (const key of keys) this.#draft.set(table, key, undefined);
    return keys.length;
  }

  async dropView(view: string, version?: number): Promise<void> {
    this.check();
    const every = documentTable(view);
    const tables = version === undefined ? [...this.view.names()].filter((name) => name.startsWith(every)) : [documentTable(view, version)];
    for (const table of tables) for (const [key] of [...this.view.rows(table)]) this.#draft.set(table, key, undefined);
    const dropped = (name: string, candidate: number): boolean => name === view && (version === undefined || candidate === version);
    for (const row of await this.definitions())
      if (dropped(row.name, row.version)) this.#draft.set("definitions", definitionName(row), undefined);
    for (const row of await this.checkpoints())
      if (dropped(row.reader, row.version)) this.#draft.set("checkpoints", checkpointName(row), undefined);
    for (const [name, row] of [...this.view.rows("consumed")])
      if (dropped((row as ConsumedRange).reader, (row as ConsumedRange).version)) this.#draft.set("consumed", name, undefined);
    dropReaderRows(this.#draft, dropped);
  }
}

/** The table of one version's documents; without a version, how the tables of all versions begin. */
function documentTable(view: string, version?: number): string {
  return `documents${separator}${view}${separator}${version ?? ""}`;
}

function checkpointName(row: Checkpoint): string {
  return [row.reader, row.version, row.source, row.slot].join(separator);
}

function consumedName(row: ConsumedRange): string {
  return [row.reader, row.version, row.range].join(separator);
}

function definitionName(row: DefinitionRow): string {
  return row.name + separator + row.version;
}

function idName(key: IdKey): string {
  return `${key.scope.length}${separator}${key.scope}${key.id}`;
}

function within(value: string | undefined, bounds: { from?: string; to?: string }): boolean {
  if (value === undefined) return false;
  return (
    (bounds.from === undefined || compareText(value, bounds.from) >= 0) && (bounds.to === undefined || compareText(value, bounds.to) <= 0)
  );
}

/** By code point, as databases compare UTF-8; JavaScript's own order is by code unit and differs beyond the BMP. */
function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
