/**
 * The store that the processes of a run share: a real memory store over the simulated disk, which yields at every step of a
 * transaction. A process that dies leaves its open transaction behind to be rolled back; a commit that was on its way
 * to the disk goes on without it. Commits of one process are told to the others, late, or not at all.
 */
import { ConvergentError } from "../errors/error.ts";
import type { Lease } from "../log/reader-rows.ts";
import type { StoredEvent } from "../log/event.ts";
import type { Checkpoint, CommitListener, Identity, ReadTransaction, Store, StoreDriver, WriteTransaction } from "../log/store.ts";
import { MemoryStore } from "../stores/memory/memory-store.ts";
import type { Faults } from "./faults.ts";
import { type Life, SimulatedProcess } from "./process.ts";
import type { SeededRandom } from "./random.ts";

/** What a transaction wrote, told once it is known to be durable. */
export interface Commit {
  readonly store: string;
  readonly process: string;
  readonly events: readonly StoredEvent[];
  readonly checkpoints: readonly Checkpoint[];
  readonly leases: readonly Lease[];
}

export interface DatabaseOptions {
  readonly name: string;
  readonly faults: Faults;
  readonly random: SeededRandom;
  readonly life: Omit<Life, "name">;
  readonly committed: (commit: Commit) => void;
  /** The disk failed: the store answers nothing more until it is opened again. */
  readonly broke: () => void;
}

/** How long a step of a transaction takes. */
const stepMs = 0.03;

export class Database {
  readonly name: string;
  readonly path: string;
  readonly #options: DatabaseOptions;
  readonly #openings = new Set<SharedStore>();
  #store: Promise<MemoryStore> | undefined;
  #process: SimulatedProcess;
  #lives = 0;
  #isOpen = false;

  constructor(options: DatabaseOptions) {
    this.name = options.name;
    this.path = `${options.name}.journal`;
    this.#options = options;
    this.#process = this.#begin();
  }

  /** The store as a process opens it. */
  driver(process: SimulatedProcess): StoreDriver {
    return {
      host: process.host,
      open: async () => {
        const store = await process.hears(this.#opened(), () => this.#stepMs(), "store opened");
        const shared = new SharedStore(this, store, process);
        this.#openings.add(shared);
        process.onDeath(() => this.#openings.delete(shared));
        return shared;
      },
    };
  }

  /** The store itself, to look into it from outside of all time. */
  opened(): Promise<Store> {
    return this.#opened();
  }

  /** Rejects when its process dies; whoever waits for the store itself would wait for ever. */
  get died(): Promise<never> {
    return this.#process.died;
  }

  /** Whether somebody has opened it since it was begun. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Its process dies with the machine, or is stopped. The next one who opens the store has it read from the disk. */
  kill(): void {
    this.#process.kill();
    this.#openings.clear();
    this.#store = undefined;
    this.#isOpen = false;
    this.#process = this.#begin();
  }

  /** One transaction of `process`. */
  async transact<T>(store: MemoryStore, process: SimulatedProcess, body: (tx: WriteTransaction) => Promise<T>): Promise<T> {
    const rows = { events: [] as StoredEvent[], checkpoints: [] as Checkpoint[], leases: [] as Lease[] };
    const commit = { store: this.name, process: process.name, ...rows };
    let writes = false;
    const told = (name: string, given: unknown): void => {
      writes ||= name !== "lock";
      if (name === "insert") rows.events.push(...(given as { events: StoredEvent[] }).events);
      if (name === "saveCheckpoints") rows.checkpoints.push(...(given as Checkpoint[]));
      if (name === ".saveLeases") rows.leases.push(...(given as Lease[]));
    };
    const work = store
      .write((tx) => Promise.race([body(this.stepping(tx, process, told)), process.died]))
      .then(
        (value) => {
          this.#options.committed(commit);
          if (writes) this.#tell(process);
          return value;
        },
        (error: unknown) => {
          if (error instanceof ConvergentError && error.code === "outcome_unknown") this.#options.broke();
          throw error;
        },
      );
    return process.hears(work, () => this.#stepMs(), "committed");
  }

  /** A transaction whose every step takes a moment in which others go on. */
  stepping<Tx extends object>(tx: Tx, process: SimulatedProcess, told?: (name: string, rows: unknown) => void): Tx {
    return new Proxy(tx, {
      get: (target, name) => {
        const member = Reflect.get(target, name, target) as unknown;
        if (typeof member === "object" && member !== null)
          return this.stepping(member, process, told && ((each, rows) => told(`.${each}`, rows)));
        if (typeof member !== "function" || typeof name !== "string") return member;
        return async (...given: unknown[]) => {
          await process.delay(this.#stepMs(), name);
          if (told && isWrite.test(name)) told(name, given[0]);
          return (member as (...given: unknown[]) => unknown).apply(target, given);
        };
      },
    });
  }

  closed(shared: SharedStore): void {
    this.#openings.delete(shared);
  }

  #opened(): Promise<MemoryStore> {
    const { name, path } = this;
    if (this.#store) return this.#store;
    const opening = MemoryStore.open({ host: this.#process.host, path, name });
    this.#store = opening;
    opening.then(
      () => (this.#isOpen = this.#store === opening),
      () => {
        if (this.#store === opening) this.#store = undefined; // the next one tries again
      },
    );
    return opening;
  }

  #begin(): SimulatedProcess {
    return new SimulatedProcess({ ...this.#options.life, name: `${this.name}-store.${++this.#lives}` });
  }

  #stepMs(): number {
    return this.#options.random.exponential(stepMs);
  }

  #tell(process: SimulatedProcess): void {
    for (const shared of this.#openings) {
      if (shared.process === process || this.#options.faults.hits("wake-up lost")) continue;
      shared.process.after(this.#options.random.between(0.1, 4), "told", () => shared.tell("others"));
    }
  }
}

const isWrite = /^(?:insert|save|add|drop|remove|begin|end|forget)/;

/** The store as one process has it open. */
class SharedStore implements Store {
  readonly process: SimulatedProcess;
  readonly vault = undefined;
  readonly #database: Database;
  readonly #store: MemoryStore;
  readonly #listeners = new Set<CommitListener>();
  #closed = false;

  constructor(database: Database, store: MemoryStore, process: SimulatedProcess) {
    this.#database = database;
    this.#store = store;
    this.process = process;
  }

  get identity(): Identity {
    return this.#store.identity;
  }

  get host(): Store["host"] {
    return this.process.host;
  }

  get witness(): string {
    return this.#store.witness;
  }

  async read<T>(body: (tx: ReadTransaction) => Promise<T>): Promise<T> {
    this.#check();
    const { process } = this;
    return process.hears(
      this.#store.read((tx) => Promise.race([body(this.#database.stepping(tx, process)), process.died])),
      () => 0,
      "read",
    );
  }

  async write<T>(body: (tx: WriteTransaction) => Promise<T>): Promise<T> {
    this.#check();
    const result = await this.#database.transact(this.#store, this.process, body);
    this.tell("us");
    return result;
  }

  archive(): Promise<number> {
    throw new Error("nothing is archived in a simulation");
  }

  insideWrite(): boolean {
    return this.#store.insideWrite();
  }

  onCommit(listener: CommitListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  tell(by: "us" | "others"): void {
    for (const listener of this.#listeners) listener(by);
  }

  async scrub(): Promise<void> {
    // Nothing personal is kept here.
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#database.closed(this);
    // Others have it open still: it is closed with its process.
  }

  #check(): void {
    if (this.#closed) throw new ConvergentError("closed", `the store of "${this.identity.store}" is closed`);
  }
}
