/** The store interface over one PostgreSQL connection with an open transaction. */
import { assert } from "../../errors/error.ts";
import type { StoredEvent } from "../../log/event.ts";
import { personIn } from "../../log/marks.ts";
import type { StagedState, Staging } from "../../log/staging.ts";
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
import { checkpointOf, consumedOf, definitionOf, type Values } from "../rows.ts";
import { saveDocuments } from "./document-rows.ts";
import { countDocuments, findDocuments, findDuplicate } from "./find.ts";
import { PostgresPersons, PostgresSnapshots } from "./history-rows.ts";
import * as sql from "./queries.ts";
import { PostgresOwnership, PostgresParking } from "./reader-rows.ts";
import { readStaged } from "./staged-appends.ts";
import { type Changed, epochsOf } from "./standing.ts";
import type { Statements } from "./statements.ts";
import { dropOwnTables, type KnownStatements, PostgresSql } from "./view-sql.ts";

export class PostgresRead implements ReadTransaction {
  readonly isDistant = true;
  /** The last event that was read. */
  newest: StoredEvent | undefined;
  protected readonly statements: Statements;
  #snapshots: PostgresSnapshots | undefined;
  #persons: PostgresPersons | undefined;
  #ownership: PostgresOwnership | undefined;
  #parking: PostgresParking | undefined;
  #sql: PostgresSql | undefined;
  readonly #known: KnownStatements;

  constructor(statements: Statements, known: KnownStatements) {
    this.statements = statements;
    this.#known = known;
  }

  get sql(): PostgresSql {
    return (this.#sql ??= new PostgresSql(this.statements, this.#known));
  }

  // Subjects that most transactions do not ask about are made when one does.
  get snapshots(): PostgresSnapshots {
    return (this.#snapshots ??= new PostgresSnapshots(this.statements));
  }

  get persons(): PostgresPersons {
    return (this.#persons ??= new PostgresPersons(this.statements));
  }

  get ownership(): PostgresOwnership {
    return (this.#ownership ??= new PostgresOwnership(this.statements));
  }

  get parking(): PostgresParking {
    return (this.#parking ??= new PostgresParking(this.statements));
  }

  async head(): Promise<Head> {
    const [row] = await this.statements.rows(sql.readHead);
    return row ? { position: row[0] as Position, at: row[1] as number } : { position: origin, at: 0 };
  }

  async epochs(): Promise<readonly Epoch[]> {
    return this.statements.with(epochsOf);
  }

  async events(query: { after: Position; upTo: Position; limit: number; types?: readonly string[] }): Promise<StoredEvent[]> {
    const { after, upTo, limit, types } = query;
    const range = [after, upTo, limit];
    const events = await (types
      ? this.statements.events(sql.readEventsOfTypes, [...range, types])
      : this.statements.events(sql.readEvents, range));
    this.newest = events.at(-1) ?? this.newest;
    return events;
  }

  async eventTypes(known: number): Promise<string[]> {
    return (await this.statements.rows(sql.readEventTypes, [known])).map((row) => row[0] as string);
  }

  async streamEvents(stream: string, query: { after: number; upTo: number; limit: number }): Promise<StoredEvent[]> {
    return this.statements.events(sql.readStreamEvents, [stream, query.after, query.upTo, query.limit]);
  }

  async streams(query: { entity: string; after?: string; limit: number }): Promise<StoredEvent[]> {
    const from = `${query.entity}/`;
    const beyond = `${query.entity}0`; // the character after the slash
    if (query.limit < 1) return [];
    return this.statements.events(sql.readStreams, [query.after ?? from, beyond, query.limit]);
  }

  async streamHeads(streams: readonly string[]): Promise<Array<StreamHead | undefined>> {
    const heads: Array<StreamHead | undefined> = streams.map(() => undefined);
    for (const row of await this.statements.rows(sql.readStreamHeads, [streams]))
      heads[(row[0] as number) - 1] = { version: row[1] as number, position: row[2] as Position };
    return heads;
  }

  async ids(keys: readonly IdKey[]): Promise<Array<IdRecord | undefined>> {
    const records: Array<IdRecord | undefined> = keys.map(() => undefined);
    for (const row of await this.statements.rows(sql.readIds, [keys.map(({ scope }) => scope), keys.map(({ id }) => id)])) {
      const place = (row[0] as number) - 1;
      records[place] = idRecordOf(keys[place] as IdKey, row.slice(1));
    }
    return records;
  }

  /** What became of an append in somebody's own transaction. */
  async staged({ transaction, key }: Staging): Promise<StagedState> {
    const [[hasEnded, status, isRunning, eventId, ...record] = []] = await this.statements.rows(readStaged, [
      transaction,
      key.scope,
      key.id,
    ]);
    return {
      ended: hasEnded !== true ? "open" : status === "committed" ? "committed" : status === "aborted" ? "rolled back" : "forgotten",
      isRunning: isRunning === true,
      record: typeof record[0] === "boolean" ? idRecordOf(key, record) : undefined,
      eventId: typeof eventId === "string" ? eventId : undefined,
    };
  }

  async remembered(query: { state: IdRecord["state"]; after?: number; limit: number }): Promise<{ records: IdRecord[]; next: number }> {
    const after = query.after ?? -1;
    const rows = await this.statements.rows(sql.readRemembered, [query.state === "void", after, query.limit]);
    return {
      records: rows.map((row) => idRecordOf({ scope: row[7] as string, id: row[8] as string }, row)),
      next: (rows.at(-1)?.[9] ?? after) as number,
    };
  }

  async checkpoints(key?: CheckpointKey): Promise<Checkpoint[]> {
    const rows = key
      ? this.statements.rows(sql.readCheckpoints, [key.reader, key.version, key.source])
      : this.statements.rows(sql.readAllCheckpoints);
    return (await rows).map(checkpointOf);
  }

  async documents(view: string, version: number, keys: readonly string[]): Promise<Array<string | undefined>> {
    const rows = await this.statements.rows(sql.readDocuments, [view, version, keys]);
    const found = new Map(rows.map((row) => [row[0], row[1] as string]));
    return keys.map((key) => found.get(key));
  }

  async find(query: DocumentQuery): Promise<DocumentHit[]> {
    return findDocuments(this.statements, query);
  }

  async count(range: DocumentRange): Promise<number> {
    return countDocuments(this.statements, range);
  }

  async duplicate(range: DocumentRange & { readonly field: string }): Promise<readonly [string, string] | undefined> {
    return findDuplicate(this.statements, range);
  }

  async definitions(of?: { readonly name: string } | { readonly kind: "strong-view" }): Promise<DefinitionRow[]> {
    const rows = !of
      ? this.statements.rows(sql.readDefinitions)
      : "name" in of
        ? this.statements.rows(sql.readDefinitionsOf, [of.name])
        : this.statements.rows(sql.readStrongDefinitions);
    return (await rows).map(definitionOf);
  }

  async consumed(reader: string, version: number): Promise<ConsumedRange[]> {
    return (await this.statements.rows(sql.readConsumed, [reader, version])).map((row) => consumedOf(reader, version, row));
  }
}

interface WriteOptions {
  /** Whether events may be inserted: the commit is waited for. */
  readonly logOpen: boolean;
  /** Types of events that are known to be registered. */
  readonly types: ReadonlySet<string>;
}

export class PostgresWrite extends PostgresRead implements WriteTransaction {
  /** Types that this transaction appended and that its process had not seen in the store. */
  readonly newTypes: Set<string> = new Set();
  /** The last event that was inserted. */
  inserted: StoredEvent | undefined;
  readonly #options: WriteOptions;
  #changesStanding = false;

  constructor(statements: Statements, known: KnownStatements, options: WriteOptions) {
    super(statements, known);
    this.#options = options;
  }

  // The transaction began with the lock, in a statement before this one: what this one sees was committed when the lock was taken.
  async lock(): Promise<Head> {
    assert(this.#options.logOpen, "a transaction of derived rows does not hold the lock of the log");
    return this.head();
  }

  /** What processes remember of the store, as it is after this transaction, when that changes. */
  async changedStanding(): Promise<Changed | undefined> {
    if (!this.#changesStanding) return undefined;
    const [row] = await this.statements.rows(sql.readStanding);
    return { row: row as Values, epochs: await this.epochs() };
  }

  async beginEpoch(epoch: Epoch): Promise<void> {
    this.#changesStanding = true;
    await this.statements.change(sql.insertEpoch, [epoch.id, epoch.first]);
    await this.statements.change(sql.nextGeneration, []);
  }

  async saveOwner({ store, key }: { readonly store: string; readonly key: string }): Promise<void> {
    this.#changesStanding = true;
    await this.statements.change(sql.saveOwner, [store, key]);
  }

  async saveMove(to: string | undefined): Promise<void> {
    for (const text of to === undefined ? sql.takeMoveBack : sql.refuseInserts(to)) await this.statements.change(text, []);
  }

  async insert({ events, ids }: { events: readonly StoredEvent[]; ids: readonly IdRecord[] }): Promise<void> {
    assert(
      this.#options.logOpen,
      "nothing is inserted into the log in a transaction of derived rows: it would be acknowledged before it is durable",
    );
    this.statements.check();
    await Promise.all([this.#insertEvents(events), this.#insertIds(ids)]);
  }

  async #insertEvents(events: readonly StoredEvent[]): Promise<void> {
    if (events.length === 0) return;
    this.inserted = events.at(-1);
    const sent: Array<Promise<unknown>> = [
      this.statements.change(sql.insertEvents, [
        events.map((event) => event.position),
        events.map((event) => event.id),
        events.map((event) => event.stream),
        events.map((event) => event.version),
        events.map((event) => event.type),
        events.map((event) => event.at),
        events.map((event) => event.data),
        events.map((event) => event.metadata),
        events.map((event) => event.digest),
      ]),
    ];
    const types = new Set(events.map(({ type }) => type).filter((type) => !this.#options.types.has(type) && !this.newTypes.has(type)));
    if (types.size > 0) sent.push(this.statements.change(sql.insertEventTypes, [[...types]]));
    for (const type of types) this.newTypes.add(type);
    const persons = events.flatMap(({ metadata, position }) => {
      const person = personIn(metadata);
      return person === undefined ? [] : [{ person, position }];
    });
    if (persons.length > 0)
      sent.push(
        this.statements.change(sql.insertPersonEvents, [persons.map(({ person }) => person), persons.map(({ position }) => position)]),
      );
    await Promise.all(sent);
  }

  async #insertIds(ids: readonly IdRecord[]): Promise<void> {
    if (ids.length === 0) return;
    await this.statements.change(sql.insertIds, [
      ids.map((row) => row.scope),
      ids.map((row) => row.id),
      ids.map((row) => row.state === "void"),
      ids.map((row) => row.digest),
      ids.map((row) => row.stream),
      ids.map((row) => row.firstVersion),
      ids.map((row) => row.lastVersion),
      ids.map((row) => row.position),
      ids.map((row) => row.at),
    ]);
  }

  async forgetIds(before: number, limit: number): Promise<void> {
    await this.statements.change(sql.forgetIds, [Math.ceil(before), limit]); // times are whole
  }

  async saveCheckpoints(checkpoints: readonly Checkpoint[]): Promise<void> {
    const rows = lastOfEach(checkpoints, ({ reader, version, source, slot }) => `${reader}\n${version}\n${source}\n${slot}`);
    await this.statements.send(sql.saveCheckpoints, [
      rows.map((row) => row.reader),
      rows.map((row) => row.version),
      rows.map((row) => row.source),
      rows.map((row) => row.slot),
      rows.map((row) => row.epoch),
      rows.map((row) => row.position),
      rows.map((row) => row.reached),
      rows.map((row) => row.seen),
      rows.map((row) => row.check),
    ]);
  }

  async saveDocuments(rows: readonly DocumentRow[]): Promise<void> {
    await saveDocuments(this.statements, rows);
  }

  async saveDefinition(row: DefinitionRow): Promise<void> {
    await this.statements.change(sql.saveDefinition, [row.kind, row.name, row.version, row.fingerprint, row.state, row.reason]);
  }

  async addConsumed(ranges: readonly ConsumedRange[]): Promise<void> {
    this.statements.check();
    for (const { reader, version, range, events, sumA, sumB, verified } of ranges)
      await this.statements.send(sql.addConsumed, [reader, version, range, events, sumA, sumB, verified]);
  }

  async dropDocuments(view: string, version: number, limit: number): Promise<number> {
    const dropped = await this.statements.change(sql.dropSomeDocuments, [view, version, limit]);
    if (dropped === 0) await dropOwnTables(this.statements, { view, version });
    return dropped;
  }

  async dropView(view: string, version?: number): Promise<void> {
    const bounds = [version ?? 0, version ?? versionMax];
    await Promise.all(sql.dropView.map((text) => this.statements.change(text, [view, ...bounds])));
    await dropOwnTables(this.statements, version === undefined ? { view } : { view, version });
  }

  /** Makes a place where events can be moved to. */
  async beginArchive(): Promise<void> {
    this.#changesStanding = true;
    await this.statements.change(sql.beginArchive, []);
  }

  /** Moves events of a stream but its last one to the archive, at most `limit`; how many. */
  async moveToArchive(stream: string, limit: number): Promise<number> {
    return this.statements.change(sql.archiveEvents, [stream, limit]);
  }
}

/** The largest number that a column of versions holds. */
const versionMax = 2 ** 31 - 1;

/** A statement changes each row once. */
function lastOfEach<Row>(rows: readonly Row[], nameOf: (row: Row) => string): readonly Row[] {
  return rows.length < 2 ? rows : [...new Map(rows.map((row) => [nameOf(row), row])).values()];
}

/** What is remembered of an append; the columns begin with those of `readIds` behind the place. */
export function idRecordOf({ scope, id }: IdKey, row: Values): IdRecord {
  return {
    scope,
    id,
    state: row[0] === true ? "void" : "done",
    digest: row[1] as string,
    stream: row[2] as string,
    firstVersion: row[3] as number,
    lastVersion: row[4] as number,
    position: row[5] as Position,
    at: row[6] as number,
  };
}
