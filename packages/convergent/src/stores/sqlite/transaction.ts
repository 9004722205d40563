/**
 * The store interface over one SQLite connection with an open transaction.
 *
 * Invariants:
 * - A transaction that has ended refuses every further call (`closed`): its connection may serve another one by then.
 * - A write in which any statement failed is rolled back, also when its body caught the error: SQLite may have rolled
 *   back by itself, and what the body did next would be committed without the rest.
 * - A statement never holds the event loop for more than `rowsPerStepMax` rows.
 */
import { assert, ConvergentError } from "../../errors/error.ts";
import type { Timers } from "../../host/host.ts";
import type { StoredEvent } from "../../log/event.ts";
import { personIn } from "../../log/marks.ts";
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
  ReadTransaction,
  StreamHead,
  WriteTransaction,
} from "../../log/store.ts";
import { origin, type Position } from "../../position/position.ts";
import { checkpointOf, consumedOf, definitionOf, eventOf } from "../rows.ts";
import type { Archive } from "./archive.ts";
import { saveCheckpoints } from "./checkpoint-rows.ts";
import type { Database, Row } from "./database.ts";
import { countDocuments, findDocuments, findDuplicate } from "./find.ts";
import { insertEventType, insertPersonEvent, readEventTypes } from "./history-queries.ts";
import { SqlitePersons, SqliteSnapshots } from "./history-rows.ts";
import { saveDocument } from "./document-rows.ts";
import { LogReads, rowsPerStepMax } from "./log-reads.ts";
import * as sql from "./queries.ts";
import { epochsOf } from "./standing.ts";
import type { SnapshotMemory } from "./snapshot-memory.ts";
import { type Changes, dropReaderRows, SqliteOwnership, SqliteParking } from "./reader-rows.ts";
import { dropSomeOfTable, dropSomeOwnRows, ownTables, SqliteSql } from "./view-sql.ts";
import type { WriteMemory } from "./write-memory.ts";

/** What a transaction reads with besides its connection. */
export interface ReadContext {
  readonly archive?: Archive | undefined;
  /** Of the snapshot; in a write there is none, because it changes the answers. */
  readonly memory?: SnapshotMemory | undefined;
}

export class SqliteRead implements ReadTransaction {
  #snapshots: SqliteSnapshots | undefined;
  #persons: SqlitePersons | undefined;
  #sql: SqliteSql | undefined;
  #ownership: SqliteOwnership | undefined;
  #parking: SqliteParking | undefined;
  readonly #database: Database;
  readonly #timers: Timers;
  readonly #archive: Archive | undefined;
  #logReads: LogReads | undefined;
  readonly #memory: SnapshotMemory | undefined;
  #ended = false;
  #failure: Error | undefined;

  constructor(database: Database, timers: Timers, { archive, memory }: ReadContext) {
    this.#database = database;
    this.#timers = timers;
    this.#archive = archive;
    this.#memory = memory;
  }

  // Subjects that most transactions do not ask about are made when one does.
  get snapshots(): SqliteSnapshots {
    return (this.#snapshots ??= new SqliteSnapshots(this.#runOf()));
  }

  get persons(): SqlitePersons {
    return (this.#persons ??= new SqlitePersons(this.#runOf(), this.#archive));
  }

  get ownership(): SqliteOwnership {
    return (this.#ownership ??= new SqliteOwnership(this.#runOf(), (name, read) => this.lasting(name, read)));
  }

  get parking(): SqliteParking {
    return (this.#parking ??= new SqliteParking(this.#runOf(), (name, read) => this.#once(name, read)));
  }

  get sql(): SqliteSql {
    return (this.#sql ??= new SqliteSql(this.#runOf()));
  }

  get #log(): LogReads {
    return (this.#logReads ??= new LogReads({
      archive: this.#archive,
      ask: (statements) => this.ask(statements),
      turn: () => this.turn(),
    }));
  }

  /** Ends the transaction: whatever still holds it is refused from now on. */
  end(): void {
    this.#ended = true;
  }

  /** What made a statement of this transaction fail, if one did. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  async head(): Promise<Head> {
    return this.#once("head", (database) => headOf(database.get(sql.readHead)));
  }

  async epochs(): Promise<readonly Epoch[]> {
    return this.ask((database) => epochsOf(database));
  }

  async events(query: { after: Position; upTo: Position; limit: number; types?: readonly string[] }): Promise<StoredEvent[]> {
    const { types, limit } = query;
    if (types?.length === 0) return [];
    const last = Math.min(query.upTo, (await this.head()).position);
    return this.#log.events({ after: query.after, upTo: last, limit }, types);
  }

  async eventTypes(known: number): Promise<string[]> {
    return this.ask((database) => database.all(readEventTypes, known).map((row) => row[0] as string));
  }

  async streamEvents(stream: string, query: { after: number; upTo: number; limit: number }): Promise<StoredEvent[]> {
    const [head] = await this.streamHeads([stream]);
    const last = Math.min(query.upTo, head?.version ?? 0);
    return this.#log.streamEvents(stream, { ...query, upTo: last });
  }

  async streams(query: { entity: string; after?: string; limit: number }): Promise<StoredEvent[]> {
    const from = `${query.entity}/`;
    const beyond = `${query.entity}0`; // the character after the slash
    return this.ask((database) => database.all(sql.readStreams, query.after ?? from, from, beyond, query.limit)).map(eventOf);
  }

  async streamHeads(streams: readonly string[]): Promise<Array<StreamHead | undefined>> {
    return this.ask((database) =>
      streams.map((stream) => {
        const row = database.get(sql.readStreamHead, stream);
        return row && { version: row[0] as number, position: row[1] as Position };
      }),
    );
  }

  async ids(keys: readonly IdKey[]): Promise<Array<IdRecord | undefined>> {
    return this.ask((database) =>
      keys.map((key) => {
        const row = database.get(sql.readId, key.scope, key.id);
        return row && this.#log.id(key, row);
      }),
    );
  }

  async remembered(query: { state: IdRecord["state"]; after?: number; limit: number }): Promise<{ records: IdRecord[]; next: number }> {
    const after = query.after ?? (query.state === "done" ? -1 : 0);
    const text = query.state === "done" ? sql.readDoneIds : sql.readVoidedIds;
    const rows = this.ask((database) => database.all(text, after, query.limit));
    return {
      records: rows.map((row) => this.#log.id({ scope: row[0] as string, id: row[1] as string }, row.slice(2))),
      next: (rows.at(-1)?.[2] ?? after) as number,
    };
  }

  async checkpoints(key?: CheckpointKey): Promise<Checkpoint[]> {
    if (!key) return this.ask((database) => database.all(sql.readAllCheckpoints).map(checkpointOf));
    const { reader, version, source } = key;
    return this.#once(`checkpoints ${reader} ${version} ${source}`, (database) =>
      database.all(sql.readCheckpoints, reader, version, source).map(checkpointOf),
    );
  }

  async documents(view: string, version: number, keys: readonly string[]): Promise<Array<string | undefined>> {
    return this.ask((database) => keys.map((key) => database.get(sql.readDocument, view, version, key)?.[0] as string | undefined));
  }

  async find(query: DocumentQuery): Promise<DocumentHit[]> {
    return this.ask((database) => findDocuments(database, query));
  }

  async count(range: DocumentRange): Promise<number> {
    let count = 0;
    for (let after: DocumentQuery["after"]; ; await this.turn()) {
      const from = after;
      const step = this.ask((database) => countDocuments(database, range, { after: from, rows: rowsPerStepMax }));
      count += step.count;
      after = step.end;
      if (!after) return count;
    }
  }

  async duplicate(range: DocumentRange & { readonly field: string }): Promise<readonly [string, string] | undefined> {
    for (let from = range.from ?? ""; ; await this.turn()) {
      const start = from;
      const step = this.ask((database) => findDuplicate(database, { ...range, from: start }, rowsPerStepMax));
      if (step.keys || step.end === undefined) return step.keys;
      from = step.end;
    }
  }

  async definitions(of?: { readonly name: string } | { readonly kind: "strong-view" }): Promise<DefinitionRow[]> {
    if (!of) return this.ask((database) => database.all(sql.readDefinitions).map(definitionOf));
    const isNamed = "name" in of;
    return this.lasting(isNamed ? `definitions\u0000${of.name}` : "strong definitions", (database) =>
      (isNamed ? database.all(sql.readDefinitionsOf, of.name) : database.all(sql.readStrongDefinitions)).map(definitionOf),
    );
  }

  async consumed(reader: string, version: number): Promise<ConsumedRange[]> {
    return this.ask((database) => database.all(sql.readConsumed, reader, version).map((row) => consumedOf(reader, version, row)));
  }

  /** Asks what may have been asked of this state of the file before. */
  #once<T>(name: string, read: (database: Database) => T): T {
    const memory = this.#memory;
    return this.ask((database) => {
      if (!memory) return read(database);
      if (!memory.has(name)) memory.set(name, read(database));
      return memory.get(name) as T;
    });
  }

  /** Runs statements, unless the transaction has ended or failed. */
  protected ask<T>(run: (database: Database) => T): T {
    if (this.#ended) throw new ConvergentError("closed", "the transaction has ended; begin another one");
    if (this.#failure) throw this.#failure;
    try {
      return run(this.#database);
    } catch (error) {
      this.#failure = error instanceof Error ? error : new Error(String(error));
      throw this.#failure;
    }
  }

  /** Asks what a write may remember of those before it (`write-memory.ts`). */
  protected lasting<T>(_name: string, read: (database: Database) => T[]): T[] {
    return this.ask(read);
  }

  /** Runs statements of a subject that has a file of its own. */
  protected run<T>(statements: (database: Database) => T, changes?: Changes): T {
    assert(changes === undefined, "a read changes nothing");
    return this.ask(statements);
  }

  #runOf(): <T>(statements: (open: Database) => T, changes?: Changes) => T {
    return (statements, changes) => this.run(statements, changes);
  }

  protected turn(): Promise<void> {
    return this.#timers.turn();
  }
}

interface WriteOptions {
  readonly archive: Archive | undefined;
  readonly logOpen: boolean;
  /** Types of events that are known to be registered. */
  readonly types: ReadonlySet<string>;
  readonly remembered: WriteMemory;
}

export class SqliteWrite extends SqliteRead implements WriteTransaction {
  /** Types that this transaction appended and that its process had not seen in the store. */
  readonly newTypes: Set<string> = new Set();
  readonly #logOpen: boolean;
  readonly #types: ReadonlySet<string>;
  readonly #remembered: WriteMemory;
  #changed = false;
  #changedStanding = false;

  constructor(database: Database, timers: Timers, options: WriteOptions) {
    super(database, timers, options);
    this.#logOpen = options.logOpen;
    this.#types = options.types;
    this.#remembered = options.remembered;
  }

  /** Whether there may be something to commit. */
  get changed(): boolean {
    return this.#changed;
  }

  /** Whether it changed what processes remember of the store. */
  get changedStanding(): boolean {
    return this.#changedStanding;
  }

  // BEGIN IMMEDIATE has taken the file's write lock already.
  async lock(): Promise<Head> {
    return this.head();
  }

  async beginEpoch(epoch: Epoch): Promise<void> {
    this.#changedStanding = true;
    this.#change((database) => {
      database.run(sql.insertEpoch, epoch.id, epoch.first);
      database.run(sql.nextGeneration);
    });
  }

  async saveOwner({ store, key }: { readonly store: string; readonly key: string }): Promise<void> {
    this.#changedStanding = true;
    this.#change((database) => {
      database.run(sql.saveOwner, store, key);
      database.run(sql.nextGeneration);
    });
  }

  async saveMove(to: string | undefined): Promise<void> {
    this.#change((database) => database.script(to === undefined ? sql.takeMoveBack : sql.refuseInserts(to)));
  }

  /** Names the archive that events are about to be moved to. */
  nameArchive(id: string): void {
    this.#changedStanding = true;
    this.#change((database) => {
      database.run(sql.nameArchive, id);
      database.run(sql.nextGeneration);
    });
  }

  /** Deletes events that the archive holds by now. */
  dropArchived(positions: readonly number[]): void {
    this.#change((database) => {
      for (const position of positions) database.run(sql.dropEvent, position);
    });
  }

  // The new heads are the events themselves: see schema.ts.
  async insert(rows: { events: readonly StoredEvent[]; ids: readonly IdRecord[] }): Promise<void> {
    assert(
      this.#logOpen,
      "nothing is inserted into the log in a transaction of derived rows: it would be acknowledged before it is durable",
    );
    this.#change((database) => {
      for (const e of rows.events)
        database.run(sql.insertEvent, e.position, e.id, e.stream, e.version, e.type, e.at, e.data, e.metadata, e.digest);
      this.#register(database, rows.events);
      for (const r of rows.ids) {
        const insertId = r.state === "void" ? sql.insertVoidedId : sql.insertId;
        database.run(insertId, r.scope, r.id, r.digest, r.firstVersion, r.position, r.at);
      }
    });
  }

  #register(database: Database, events: readonly StoredEvent[]): void {
    for (const { type, metadata, position } of events) {
      if (!this.#types.has(type) && !this.newTypes.has(type)) {
        database.run(insertEventType, type);
        this.newTypes.add(type);
      }
      const person = personIn(metadata);
      if (person !== undefined) database.run(insertPersonEvent, person, position);
    }
  }

  async forgetIds(before: number, limit: number): Promise<void> {
    const oldest = this.ask((database) => database.get(sql.readOldestId));
    if (oldest && (oldest[0] as number) < before) this.#change((database) => database.run(sql.forgetOldestIds, limit, before));
  }

  async saveCheckpoints(checkpoints: readonly Checkpoint[]): Promise<void> {
    this.#change((database) => saveCheckpoints(database, checkpoints));
  }

  async saveDocuments(rows: readonly DocumentRow[]): Promise<void> {
    this.#change((database) => {
      for (const row of rows) saveDocument(database, row);
    });
  }

  async saveDefinition(row: DefinitionRow): Promise<void> {
    this.#remembered.forget();
    this.#change((database) => database.run(sql.saveDefinition, row.kind, row.name, row.version, row.fingerprint, row.state, row.reason));
  }

  async addConsumed(ranges: readonly ConsumedRange[]): Promise<void> {
    this.#change((database) => {
      for (const { reader, version, range, events, sumA, sumB, verified } of ranges)
        database.run(sql.addConsumed, reader, version, range, events, sumA, sumB, verified ? 1 : 0);
    });
  }

  async dropDocuments(view: string, version: number, limit: number): Promise<number> {
    return this.#change((database) => {
      const keys = database.all(sql.readSomeKeys, view, version, limit);
      for (const [key] of keys) {
        database.run(sql.deleteIndexEntries, view, version, key as string);
        database.run(sql.deleteDocument, view, version, key as string);
      }
      return keys.length > 0 ? keys.length : dropSomeOwnRows(database, { view, version }, limit);
    });
  }

  async dropView(view: string, version?: number): Promise<void> {
    this.#remembered.forget();
    const lowest = version ?? 0;
    const highest = version ?? Number.MAX_SAFE_INTEGER;
    for (const some of [sql.dropSomeDocuments, sql.dropSomeIndexEntries]) {
      while (this.#change((database) => database.run(some, view, lowest, highest, rowsPerStepMax)) === rowsPerStepMax) await this.turn();
    }
    for (const table of this.ask((database) => ownTables(database, view, version)))
      while (this.#change((database) => dropSomeOfTable(database, table, rowsPerStepMax)) === rowsPerStepMax) await this.turn();
    this.#change((database) => database.run(sql.dropDefinition, view, lowest, highest));
    this.#change((database) => database.run(sql.dropCheckpoints, view, lowest, highest));
    this.#change((database) => database.run(sql.dropConsumed, view, lowest, highest));
    this.#change((database) => dropReaderRows(database, view, lowest, highest));
  }

  protected override lasting<T>(name: string, read: (database: Database) => T[]): T[] {
    return [...this.ask((database) => this.#remembered.once(name, () => read(database)))];
  }

  protected override run<T>(statements: (database: Database) => T, changes?: Changes): T {
    if (changes === "changes-remembered") this.#remembered.forget();
    return changes === undefined ? this.ask(statements) : this.#change(statements);
  }

  #change<T>(run: (database: Database) => T): T {
    this.#changed = true;
    return this.ask(run);
  }
}

function headOf(row: Row | undefined): Head {
  return row ? { position: row[0] as Position, at: row[1] as number } : { position: origin, at: 0 };
}
