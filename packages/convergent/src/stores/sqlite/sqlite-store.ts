/**
 * The SQLite store: one file that several processes may open. Writes pass one gate in each process and SQLite's write
 * lock between processes; reads have snapshots of their own and wait for no writer.
 *
 * L2: a write is acknowledged when COMMIT has returned, which with `synchronous = FULL` is after the WAL was synced.
 * Only writes of derived rows are committed with `NORMAL`.
 * An I/O error at COMMIT leaves the outcome open: the connection is given up, and the next write reads the file anew.
 */
import { assert, ConvergentError, isConvergentError } from "../../errors/error.ts";
import type { Host, Timer } from "../../host/host.ts";
import type { CommitListener, Identity, ReadTransaction, Store, WriteTransaction } from "../../log/store.ts";
import type { KeyVault } from "../../log/key-vault.ts";
import { Gate } from "../gate.ts";
import { Archive, createArchive } from "./archive.ts";
import { moveToArchive } from "./archiving.ts";
import { Bell } from "./bell.ts";
import type { Database } from "./database.ts";
import { FileVault } from "../files/file-vault.ts";
import { Turns, whenUnlocked } from "./lock-wait.ts";
import { connect, openFile, type OpenOptions } from "./open.ts";
import { readEnded } from "./queries.ts";
import { ReadPool } from "./read-pool.ts";
import { SharedReads } from "./shared-reads.ts";
import { dataVersion, SnapshotMemories } from "./snapshot-memory.ts";
import { Standing } from "./standing.ts";
import { SqliteRead, SqliteWrite } from "./transaction.ts";
import { Wal } from "./wal.ts";
import { WriteMemory } from "./write-memory.ts";

/** How long `close` lets reads that are under way go on. */
const closeWaitMs = 5_000;

export interface StoreOptions extends OpenOptions {
  readonly transactionLimitMs: number;
  readonly readConnections: number;
}

/** From one attempt to empty the WAL to the next. */
const scrubMs = 1000;

type Synchronous = "FULL" | "NORMAL";
const synchronousFull = 2;

export class SqliteStore implements Store {
  readonly host: Host;
  readonly witness: string;
  readonly #standing: Standing;
  readonly #options: StoreOptions;
  readonly #gate: Gate;
  readonly #turns: Turns;
  readonly #reads: ReadPool;
  readonly #shared: SharedReads;
  readonly #wal: Wal;
  readonly #bell: Bell;
  readonly #vault: FileVault;
  readonly #listeners = new Set<CommitListener>();
  // Types of events that are known to be registered: an append of these asks nothing.
  readonly #types = new Set<string>();
  readonly #remembered = new WriteMemory();
  #writer: Database | undefined;
  #archive: Archive | undefined;
  #dataVersion: unknown;
  #synchronous: { readonly database: Database | undefined; readonly mode: Synchronous } = { database: undefined, mode: "FULL" };
  #scrubbing: Timer | undefined;
  #closed = false;

  private constructor(options: StoreOptions, database: Database, identity: Identity) {
    const { host, path } = options;
    this.host = host;
    this.witness = `${path}-witness`;
    this.#standing = new Standing(identity);
    this.#options = options;
    this.#gate = new Gate(host, options.transactionLimitMs);
    this.#turns = new Turns(host);
    const memories = new SnapshotMemories();
    const took = (some: Database): void => memories.take(some, () => this.#standing.look(some));
    const source = { connect: () => connect(path), took };
    this.#reads = new ReadPool(host, path, source, { connections: options.readConnections, lockWaitMs: options.lockWaitMs });
    this.#shared = new SharedReads(host, this.#reads, memories);
    this.#wal = new Wal(path, this.#reads);
    this.#vault = new FileVault(`${path}-keys`, host.random);
    this.#writer = database;
    this.#dataVersion = dataVersion(database);
    this.#bell = new Bell(host, `${path}-bell`, () => this.#look());
  }

  static async open(options: StoreOptions): Promise<SqliteStore> {
    const { database, identity } = await openFile(options);
    return new SqliteStore(options, database, identity);
  }

  get vault(): KeyVault {
    return this.#vault;
  }

  get identity(): Identity {
    return this.#standing.identity;
  }

  // No async function: each read would pay for one more promise.
  read<T>(body: (tx: ReadTransaction) => Promise<T>): Promise<T> {
    return this.#shared.read(async (database, memory) => {
      const tx = new SqliteRead(database, this.host.timers, { archive: this.#archived(), memory });
      try {
        return await body(tx);
      } finally {
        tx.end();
      }
    });
  }

  async write<T>(body: (tx: WriteTransaction) => Promise<T>, options: { readonly derived?: boolean } = {}): Promise<T> {
    this.#check();
    const { value, changed } = await this.#gate.pass(async () => {
      this.#check();
      await this.#turns.rest();
      const database = await this.#begin(options.derived ? "NORMAL" : "FULL");
      try {
        return await this.#transact(database, body);
      } finally {
        this.#turns.wrote();
      }
    });
    if (changed) {
      this.#bell.ring();
      this.#wake("us");
      if (this.#wal.isTooLong()) void this.#truncateWal();
    }
    return value;
  }

  async archive(streams: readonly string[]): Promise<number> {
    const archive = await this.#nameArchive();
    return moveToArchive(streams, {
      host: this.host,
      archive,
      ended: (stream, after, limit) => this.#reads.use(async (database) => database.all(readEnded, stream, after, limit)),
      // A deletion that a power cut takes back leaves an event in both files, which harms nobody.
      drop: (positions) => this.write(async (tx) => (tx as SqliteWrite).dropArchived(positions), { derived: true }),
    });
  }

  insideWrite(): boolean {
    return this.#gate.inside();
  }

  onCommit(listener: CommitListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  // Connections erase what they delete (see `open.ts`); what is left are older pages in the WAL, and while another process
  // reads they cannot go: then it is tried again until they have.
  async scrub(): Promise<void> {
    this.#scrubbing?.cancel();
    this.#scrubbing = undefined;
    if ((await this.#truncateWal()) || this.#closed) return;
    this.#scrubbing ??= this.host.timers.after(scrubMs, () => void this.scrub());
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#scrubbing?.cancel();
    this.#bell.close();
    this.#listeners.clear();
    await this.#reads.close(closeWaitMs);
    // The writer goes last: the last connection to close copies the WAL into the database and removes it.
    await this.#gate.pass(async () => this.#giveUpWriter());
    this.#archive?.close();
    this.#vault.close();
  }

  async #nameArchive(): Promise<Archive> {
    await this.write(async (tx) => {
      if (this.#standing.archive !== undefined) return;
      const id = this.host.random.id();
      createArchive(this.#options.path, id);
      (tx as SqliteWrite).nameArchive(id);
    });
    this.host.reached("archive.named");
    return this.#archived() as Archive;
  }

  #archived(): Archive | undefined {
    const id = this.#standing.archive;
    if (id === undefined || this.#archive?.id === id) return this.#archive;
    this.#archive?.close();
    this.#archive = undefined;
    return (this.#archive = Archive.open(this.#options.path, id));
  }

  async #begin(synchronous: Synchronous): Promise<Database> {
    const { path, lockWaitMs } = this.#options;
    const attempt = (): void => {
      const writer = (this.#writer ??= connect(path));
      this.#setSynchronous(writer, synchronous);
      writer.run("BEGIN IMMEDIATE");
    };
    const waited = await whenUnlocked(this.host, attempt, { path, ms: lockWaitMs });
    const database = this.#writer as Database;
    if (waited) this.#turns.begin();
    const version = dataVersion(database);
    if (waited || version !== this.#dataVersion) this.#turns.rival();
    this.#remembered.begin(database, version);
    return database;
  }

  async #transact<T>(database: Database, body: (tx: WriteTransaction) => Promise<T>): Promise<{ value: T; changed: boolean }> {
    let tx: SqliteWrite | undefined;
    try {
      this.#standing.look(database);
      const logOpen = this.#synchronous.mode === "FULL";
      const options = { archive: this.#archived(), logOpen, types: this.#types, remembered: this.#remembered };
      const open = (tx = new SqliteWrite(database, this.host.timers, options));
      const value = await this.#gate.body(() => body(open));
      tx.end();
      if (tx.failure) throw tx.failure;
      if (tx.changed) database.commit();
      else database.rollback();
      for (const type of tx.newTypes) this.#types.add(type);
      if (tx.changedStanding) this.#standing.lookAfterCommit(database);
      return { value, changed: tx.changed };
    } catch (error) {
      tx?.end();
      this.#abandon(database, error);
      throw error;
    }
  }

  // L2: what is appended is committed with FULL, always. With NORMAL the WAL is not synced at the commit, and a power cut
  // may cut off its end: derived rows are lost there as a whole, with the checkpoint that says so, and derived again.
  #setSynchronous(database: Database, mode: Synchronous): void {
    if (this.#synchronous.database === database && this.#synchronous.mode === mode) return;
    database.script(`PRAGMA synchronous = ${mode}`);
    // Read back, because SQLite ignores a setting in silence when it comes at a wrong moment.
    assert(mode === "NORMAL" || database.get("PRAGMA synchronous")?.[0] === synchronousFull, "synchronous = FULL was not accepted");
    this.#synchronous = { database, mode };
  }

  #abandon(database: Database, reason: unknown): void {
    try {
      database.rollback();
      if (isConvergentError(reason, "outcome_unknown")) this.#giveUpWriter();
    } catch {
      this.#giveUpWriter();
    }
  }

  #giveUpWriter(): void {
    this.#writer?.close();
    this.#writer = undefined;
    this.#dataVersion = undefined;
  }

  // `data_version` changes with the commits of other connections only, and this one makes all of this process.
  #look(): void {
    const writer = this.#writer;
    if (this.#closed || !writer) return;
    try {
      const version = dataVersion(writer);
      if (version === this.#dataVersion) return;
      this.#dataVersion = version;
    } catch {
      return; // A lock in the way, for instance: the next poll asks again.
    }
    this.#turns.rival();
    this.#wake("others");
  }

  #wake(by: "us" | "others"): void {
    for (const listener of this.#listeners) listener(by);
  }

  async #truncateWal(): Promise<boolean> {
    try {
      return await this.#gate.pass(async () => this.#writer !== undefined && !this.#closed && (await this.#wal.truncate(this.#writer)));
    } catch {
      return false; // Nothing is lost while the WAL is long; a write that meets the same trouble reports it.
    }
  }

  #check(): void {
    if (this.#closed) throw new ConvergentError("closed", `the store of "${this.identity.store}" is closed; open it again before writing`);
  }
}
