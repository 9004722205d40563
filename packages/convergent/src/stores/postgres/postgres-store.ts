/**
 * The PostgreSQL store: one schema that any number of processes may use. Writes pass one gate in each process and one lock
 * between processes, which is held until the commit; reads have snapshots of their own and wait for no writer.
 *
 * L1: positions follow the head, which is read under the lock; so they are dense and visible in order, and no reader asks which
 * transactions are still open.
 * L2: a write is acknowledged when COMMIT has returned. When the connection breaks instead, the outcome is unknown.
 */
import { ConvergentError } from "../../errors/error.ts";
import type { Host } from "../../host/host.ts";
import { type Admitted, type BatchStore, eventsOf, type Prepared, type PreparedAppend } from "../../log/admission.ts";
import type { KeyVault } from "../../log/key-vault.ts";
import type { StagedState, Staging, StagingStore, UserTransaction } from "../../log/staging.ts";
import type { CommitListener, Identity, IdKey, ReadTransaction, WriteOptions, WriteTransaction } from "../../log/store.ts";
import type { Position } from "../../position/position.ts";
import { Gate, nestedWrite } from "../gate.ts";
import { generationIn, lockWaitIn, outcomeOfOne, outcomesOf, parametersOf, parametersOfOne, runsOf, soleOf } from "./append.ts";
import { callAppend, callAppendAlone } from "./append-function.ts";
import { AppendLine } from "./append-line.ts";
import { type Answer, atMost, type Connection, Connections } from "./connection.ts";
import { isObjection } from "./failure.ts";
import { NewestSeen } from "./newest-seen.ts";
import { openSchema } from "./open.ts";
import { stageIn, type StagingOptions } from "./staging.ts";
import * as sql from "./queries.ts";
import type { Compared } from "./replica.ts";
import { Replicas } from "./replicas.ts";
import { type Changed, Standing } from "./standing.ts";
import { Statements } from "./statements.ts";
import { PostgresRead, PostgresWrite } from "./transaction.ts";
import { beginLooking, beginReading, beginWriting, logLock, type TransactionOptions, type WriteKind } from "./transactions.ts";
import { KnownStatements } from "./view-sql.ts";
import { channelOf, WakeUps } from "./wake-ups.ts";

/** How long `close` lets what is under way go on. */
const closeWaitMs = 5_000;

/** How much longer than its limits an answer of the server may take. */
const silentMs = 5_000;

/**
 * When most of a batch's time is other processes' turns, two smaller ones in turn only cost more messages: 11,100 appends/s of four
 * processes by two each, 14,200 by one. A wait for the lock counts from so many milliseconds on, over so many batches, and so large a share.
 */
const lockWaitMs = 0.1;
const waitsCounted = 8;
const contendedFrom = 0.2;

/** Events that are archived under one lock: a few milliseconds. */
const archiveStep = 256;

export interface StoreOptions {
  readonly host: Host;
  readonly name: string;
  readonly url: string;
  /** Where wake-ups are listened for; undefined: nowhere. */
  readonly listenUrl: string | undefined;
  readonly schema: string;
  readonly place: string;
  readonly witness: string;
  readonly vault: KeyVault | undefined;
  readonly readConnections: number;
  readonly connectMs: number;
  readonly transactionLimitMs: number;
  readonly lockWaitMs: number;
  readonly statementMs: number;
  readonly replicas: ReadonlyArray<{ readonly url: string; readonly place: string }>;
  readonly replicaLagMaxMs: number;
}

/** What was committed is not "nothing was written", whatever failed after it. */
function unnamed(cause: unknown): never {
  const message =
    "the append is committed, and the epoch that its token names could not be read; retry with the same id, which gives the result";
  throw new ConvergentError("outcome_unknown", message, { cause });
}

export class PostgresStore implements BatchStore, StagingStore {
  readonly host: Host;
  readonly witness: string;
  readonly vault: KeyVault | undefined;
  readonly replicas: Replicas | undefined;
  readonly #standing: Standing;
  /** Of the log, and of everything else, as the locks of the server are: see `transactions.ts`. */
  readonly #gates: { readonly log: Gate; readonly rows: Gate };
  readonly #reads: Connections;
  readonly #writes: Connections;
  readonly #newest: NewestSeen;
  readonly #wakeUps: WakeUps;
  readonly #line: AppendLine;
  readonly #known = new KnownStatements((look) =>
    this.#reads.use(async (connection) => {
      await connection.script(this.#begin.looking);
      try {
        return await look(connection);
      } finally {
        await connection.rollback();
      }
    }),
  );
  readonly #append: { readonly text: string; readonly one: string; readonly lock: string; readonly lockMs: number };
  readonly #staging: Omit<StagingOptions, "now" | "idsBefore" | "newTypes">;
  readonly #listeners = new Set<CommitListener>();
  // Types of events that are known to be registered: an append of these asks nothing.
  readonly #types = new Set<string>();
  readonly #begin: { readonly read: string; readonly looking: string } & Readonly<Record<WriteKind, string>>;
  /** Share of the last batches that waited for somebody else's. */
  #waits = 0;
  #head: unknown;
  #closed = false;

  private constructor(
    options: StoreOptions,
    connections: { reads: Connections; writes: Connections; newest: NewestSeen },
    identity: Identity,
  ) {
    const { host, listenUrl, schema, transactionLimitMs } = options;
    this.host = host;
    this.witness = options.witness;
    this.vault = options.vault;
    this.#standing = new Standing(identity);
    this.#gates = { log: new Gate(host, transactionLimitMs), rows: new Gate(host, transactionLimitMs) };
    this.#reads = connections.reads;
    this.#writes = connections.writes;
    this.#newest = connections.newest;
    const limits: TransactionOptions = {
      schema,
      // For a process that stands still: it holds others up for so long.
      idleMs: transactionLimitMs,
      statementMs: options.statementMs,
      lockMs: options.lockWaitMs,
    };
    const reading = { ...limits, idleMs: Math.max(60_000, limits.idleMs) };
    this.#begin = {
      read: beginReading(reading),
      looking: beginLooking(limits),
      appends: beginWriting(limits, "appends"),
      derived: beginWriting(limits, "derived"),
      anything: beginWriting(limits, "anything"),
    };
    this.#append = { text: callAppend(schema), one: callAppendAlone(schema), lock: logLock(schema), lockMs: options.lockWaitMs };
    this.#staging = { ...this.#append, schema, place: options.place, channel: channelOf(schema) };
    this.#line = new AppendLine(connections.writes, host.timers);
    const { replicas, replicaLagMaxMs: lagMaxMs, readConnections, statementMs } = options;
    const primary = { identity: () => this.identity, compare: (position: Position) => this.#compare(position) };
    const shared = { host, transactions: reading, answerMs: statementMs + silentMs, connections: readConnections, known: this.#known };
    this.replicas = replicas.length > 0 ? new Replicas({ ...shared, lagMaxMs, primary }, replicas) : undefined;
    this.#wakeUps = new WakeUps({ host, url: listenUrl, schema, heard: () => this.#wake("others"), poll: () => this.#look() });
  }

  static async open(options: StoreOptions): Promise<PostgresStore> {
    const { url, place, connectMs } = options;
    const newest = new NewestSeen(options.schema, place);
    // Longer than the server lets anything of ours last: then it is the network, or a server that stands still.
    const answerMs = options.statementMs + options.lockWaitMs + silentMs;
    const verify = (connection: Connection): Promise<void> => newest.verify(connection);
    const shared = { timers: options.host.timers, url, place, connectMs, answerMs, verify };
    // One for batches of appends, and one for the transaction that holds each gate.
    const writes = new Connections({ ...shared, connections: 3 });
    try {
      const identity = await writes.use((connection) => openSchema(connection, options), "open");
      const reads = new Connections({ ...shared, connections: options.readConnections });
      return new PostgresStore(options, { reads, writes, newest }, identity);
    } catch (error) {
      await writes.close(closeWaitMs);
      throw error;
    }
  }

  get identity(): Identity {
    return this.#standing.identity;
  }

  get isContended(): boolean {
    return this.#waits > contendedFrom;
  }

  async read<T>(body: (tx: ReadTransaction) => Promise<T>): Promise<T> {
    this.#newest.check();
    return this.#reading(async (statements) => {
      const tx = new PostgresRead(statements, this.#known);
      try {
        return await body(tx);
      } finally {
        this.#newest.note(tx.newest);
      }
    });
  }

  async write<T>(body: (tx: WriteTransaction) => Promise<T>, { derived, appends }: WriteOptions = {}): Promise<T> {
    this.#check();
    if (this.insideWrite()) throw nestedWrite();
    const kind: WriteKind = derived ? "derived" : appends ? "appends" : "anything";
    const { log, rows } = this.#gates;
    const transact = (): Promise<{ value: T; changed: boolean }> => {
      this.#check();
      return this.#writes.use((connection) => this.#transact(connection, body, kind));
    };
    const { value, changed } = await (kind === "derived"
      ? rows.pass(transact)
      : kind === "appends"
        ? log.pass(transact)
        : rows.pass(() => log.pass(transact)));
    if (changed) this.#wake("us");
    return value;
  }

  async archive(streams: readonly string[]): Promise<number> {
    if (streams.length === 0) return 0;
    await this.write((tx) => (tx as PostgresWrite).beginArchive());
    this.host.reached("archive.named");
    let moved = 0;
    for (const stream of streams) {
      for (let count = archiveStep; count === archiveStep; ) {
        count = await this.write(async (tx) => {
          const some = await (tx as PostgresWrite).moveToArchive(stream, archiveStep);
          this.host.reached("archive.copied");
          return some;
        });
        this.host.reached("archive.moved");
        moved += count;
      }
    }
    return moved;
  }

  async appendBatch(
    batch: readonly Prepared[],
    options: { readonly now: number; readonly idsBefore: number },
  ): Promise<Array<Admitted | ConvergentError> | undefined> {
    this.#check();
    const sole = soleOf(batch, this.#types);
    const alone = sole && (await this.#appendOne(sole, options));
    if (alone) return [alone];
    const runs = runsOf(batch);
    if (!runs) return undefined;
    const types = new Set(runs.flatMap((run) => run.flatMap(({ events }) => events.map(({ type }) => type))));
    const newTypes = [...types].filter((type) => !this.#types.has(type));
    const calls = runs.map((run) => ({
      text: this.#append.text,
      values: parametersOf(run, { ...this.#append, ...options, newTypes }),
    }));
    const answers = await this.#line.send(calls);
    const [first] = answers;
    if (!first || first.rows.length === 0) return undefined;
    for (const type of newTypes) this.#types.add(type);
    const outcomes = runs.flatMap((run, index) => outcomesOf(run, (answers[index] as Answer).rows));
    await this.#committed(outcomes, { waitedMs: lockWaitIn(first.rows), generation: generationIn(first.rows) });
    return outcomes;
  }

  /** Undefined when nothing was written, and the whole function has to say why. */
  async #appendOne(append: PreparedAppend, options: { readonly now: number; readonly idsBefore: number }): Promise<Admitted | undefined> {
    const values = parametersOfOne(append, { ...this.#append, ...options });
    const answers = await this.#line.send([{ text: this.#append.one, values }]).catch((error: unknown) => {
      if (isObjection(error)) return [];
      throw error;
    });
    const answer = answers[0]?.rows[0]?.[0];
    if (typeof answer !== "string") return undefined;
    const { admitted, ...about } = outcomeOfOne(append, answer);
    await this.#committed([admitted], about);
    return admitted;
  }

  /** After a batch. */
  async #committed(
    outcomes: ReadonlyArray<Admitted | ConvergentError>,
    { waitedMs, generation }: { readonly waitedMs: number; readonly generation: unknown },
  ): Promise<void> {
    this.#waits += (Number(waitedMs >= lockWaitMs) - this.#waits) / waitsCounted;
    const admitted = outcomes.findLast((outcome) => eventsOf(outcome).length > 0);
    if (admitted) this.#newest.note(eventsOf(admitted).at(-1));
    this.#wakeUps.ring();
    this.#wake("us");
    // Another process has begun an epoch, perhaps: no token is issued before that is known.
    if (!this.#standing.isKnown(generation)) await this.read((tx) => tx.epochs()).catch(unnamed);
  }

  async stage(
    tx: UserTransaction,
    append: PreparedAppend & { readonly idKey: IdKey },
    options: { readonly now: number; readonly idsBefore: number },
  ): Promise<Staging> {
    this.#check();
    const newTypes = [...new Set(append.events.map(({ type }) => type))].filter((type) => !this.#types.has(type));
    return stageIn(tx, append, { ...this.#staging, ...options, newTypes });
  }

  async staged(staging: Staging): Promise<StagedState> {
    const state = await this.read((tx) => (tx as PostgresRead).staged(staging));
    // Its NOTIFY may still be on its way, or nobody listens.
    if (state.record) this.#wake("others");
    return state;
  }

  insideWrite(): boolean {
    return this.#gates.log.inside() || this.#gates.rows.inside();
  }

  onCommit(listener: CommitListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async scrub(): Promise<void> {
    // Deleted rows go when the server vacuums them, and from the WAL when it is recycled.
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#listeners.clear();
    // Connections keep no process alive; their goodbyes do.
    const awake = this.host.timers.after(4 * closeWaitMs, () => undefined, "awaited");
    const told = atMost(closeWaitMs, this.#wakeUps.close(), this.host.timers);
    await Promise.all([told, this.#reads.close(closeWaitMs), this.replicas?.close(closeWaitMs)]);
    this.#line.close();
    await this.#gates.rows.pass(() => this.#gates.log.pass(() => this.#writes.close(closeWaitMs)));
    awake.cancel();
  }

  /** Sends the beginning of a transaction, and returns its statements without waiting for the answer. */
  #open(connection: Connection, begin: string): Statements {
    const begun = connection.script(begin).then((answers) => this.#standing.look(connection, answers.at(-1)?.rows[0] ?? []));
    return new Statements(connection, this.#standing, begun);
  }

  async #reading<T>(work: (statements: Statements) => Promise<T>): Promise<T> {
    return this.#reads.use(async (connection) => {
      const statements = this.#open(connection, this.#begin.read);
      try {
        return await work(statements);
      } finally {
        statements.end();
        await connection.rollback();
      }
    });
  }

  /** What a replica whose head is at a position is compared with. */
  async #compare(position: Position): Promise<Compared> {
    const askedAt = this.host.clock.elapsed();
    const [row = []] = await this.#reading((statements) =>
      statements.ofTable((table) => statements.rows(sql.compareReplica(table), [position])),
    );
    const [cluster, head, id, nextAt] = row;
    this.replicas?.saw(head as Position, askedAt);
    return { cluster: cluster as string, head: head as Position, id: (id ?? undefined) as string, nextAt: (nextAt ?? undefined) as number };
  }

  async #transact<T>(
    connection: Connection,
    body: (tx: WriteTransaction) => Promise<T>,
    kind: WriteKind,
  ): Promise<{ value: T; changed: boolean }> {
    const statements = this.#open(connection, this.#begin[kind]);
    const tx = new PostgresWrite(statements, this.#known, { logOpen: kind !== "derived", types: this.#types });
    const gate = kind === "appends" ? this.#gates.log : this.#gates.rows;
    let value: T;
    let changed: Changed | undefined;
    try {
      value = await gate.body(() => body(tx));
      changed = await tx.changedStanding();
      statements.end();
      if (statements.failure !== undefined) throw statements.failure;
      if (!statements.changed) {
        await connection.rollback();
        return { value, changed: false };
      }
    } catch (error) {
      statements.end();
      await connection.rollback();
      throw error;
    }
    await statements.commit();
    this.#newest.note(tx.inserted);
    this.#wakeUps.ring();
    for (const type of tx.newTypes) this.#types.add(type);
    if (changed) this.#standing.learn(changed);
    return { value, changed: true };
  }

  async #look(): Promise<void> {
    const askedAt = this.host.clock.elapsed();
    const head = await this.read((tx) => tx.head());
    this.replicas?.saw(head.position, askedAt);
    if (this.#head !== undefined && head.position !== this.#head) this.#wake("others");
    this.#head = head.position;
  }

  #wake(by: "us" | "others"): void {
    for (const listener of this.#listeners) listener(by);
  }

  #check(): void {
    if (this.#closed) throw new ConvergentError("closed", `the store of "${this.identity.store}" is closed; open it again before writing`);
    this.#newest.check();
  }
}
