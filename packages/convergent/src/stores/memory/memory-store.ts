/**
 * The memory store: every row in memory, every commit a line in a journal on the host's disk, synced before it is
 * acknowledged (L2). A real log, for tests, simulations and small services: one process at a time, and opening it
 * reads the whole journal.
 */
import { ConvergentError } from "../../errors/error.ts";
import type { Host } from "../../host/host.ts";
import type { KeyVault } from "../../log/key-vault.ts";
import type { CommitListener, Identity, ReadTransaction, Store, WriteTransaction } from "../../log/store.ts";
import { ownerSentence } from "../../log/unfinished-copy.ts";
import { newEpochId } from "../../log/epochs.ts";
import { position } from "../../position/position.ts";
import { Gate } from "../gate.ts";
import { Journal } from "./journal.ts";
import { Draft, Tables } from "./table.ts";
import { MemoryRead, MemoryWrite } from "./transaction.ts";

export interface MemoryStoreOptions {
  readonly host: Host;
  readonly path: string;
  readonly name: string;
  readonly vault?: KeyVault | undefined;
  readonly limitMs?: number;
}

export class MemoryStore implements Store {
  readonly vault: KeyVault | undefined;
  readonly host: Host;
  readonly witness: string;
  readonly #tables: Tables;
  readonly #journal: Journal;
  readonly #gate: Gate;
  readonly #listeners = new Set<CommitListener>();
  #closed = false;

  private constructor(tables: Tables, journal: Journal, options: MemoryStoreOptions) {
    this.host = options.host;
    this.vault = options.vault;
    this.witness = `${options.path}-witness`;
    this.#tables = tables;
    this.#journal = journal;
    this.#gate = new Gate(options.host, options.limitMs);
  }

  /** Opens or creates the store in the file `path`. Throws `store_broken`, `store_mismatch`, `store_unwritable`. */
  static async open(options: MemoryStoreOptions): Promise<MemoryStore> {
    const { host, path, name } = options;
    const tables = new Tables();
    const journal = await Journal.open(host.disk, path, (changes) => tables.apply(changes));
    const known = tables.get("identity", "identity") as Identity | undefined;
    const identity = known ?? {
      store: name,
      key: host.random.id() + host.random.id(),
      epochs: [{ id: newEpochId(host.random), first: position(1) }],
    };
    if (identity.store !== name) {
      await journal.close();
      throw new ConvergentError("store_mismatch", `${ownerSentence(path, identity.store, name)}; each service has a store of its own`);
    }
    if (!known) {
      const first = [{ table: "identity", key: "identity", row: identity }];
      await journal.append(first);
      tables.apply(first);
    }
    return new MemoryStore(tables, journal, options);
  }

  get identity(): Identity {
    return this.#tables.get("identity", "identity") as Identity;
  }

  async read<T>(body: (tx: ReadTransaction) => Promise<T>): Promise<T> {
    this.#check();
    const snapshot = this.#tables.snapshot();
    const tx = new MemoryRead(snapshot);
    try {
      return await body(tx);
    } finally {
      tx.end();
      snapshot.close();
    }
  }

  // `derived` is not used: a journal with unsynced lines in its middle could not tell a power cut from damage.
  async write<T>(body: (tx: WriteTransaction) => Promise<T>): Promise<T> {
    this.#check();
    const result = await this.#gate.pass(async () => {
      this.#check(); // it may have been closed while this write waited
      const draft = new Draft(this.#tables);
      const tx = new MemoryWrite(draft);
      let value: T;
      try {
        value = await this.#gate.body(() => body(tx));
      } finally {
        tx.end();
      }
      const changes = draft.changes();
      if (changes.length > 0) {
        await this.#journal.append(changes);
        this.#tables.apply(changes);
      }
      return { value, changed: changes.length > 0 };
    });
    if (result.changed) for (const listener of this.#listeners) listener("us");
    return result.value;
  }

  /** The rows stay in memory, where nothing is gained by moving them; what others may rely on is the same. */
  async archive(streams: readonly string[]): Promise<number> {
    this.host.reached("archive.named");
    const moved = await this.write(async (tx) => {
      const count = streams.reduce((sum, stream) => sum + (tx as MemoryWrite).noteArchived(stream), 0);
      this.host.reached("archive.copied");
      return count;
    });
    this.host.reached("archive.moved");
    return moved;
  }

  insideWrite(): boolean {
    return this.#gate.inside();
  }

  onCommit(listener: CommitListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async scrub(): Promise<void> {
    // Rows in memory are gone when they are replaced; a store with a journal has no vault.
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    await this.#gate.pass(async () => {
      this.#closed = true;
      await this.#journal.close();
    });
  }

  #check(): void {
    if (this.#closed) throw new ConvergentError("closed", `the store of "${this.identity.store}" is closed`);
  }
}
