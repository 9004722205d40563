/**
 * Connections for reads. Each read body has one to itself, with a snapshot taken when it begins; writes go on beside
 * it. The pool grows when all are taken, up to a limit, and then reads wait in the order they came.
 */
import { ConvergentError } from "../../errors/error.ts";
import type { Host } from "../../host/host.ts";
import type { Database } from "./database.ts";
import { whenUnlocked } from "./lock-wait.ts";

/** Reads that may have a snapshot open at once, unless the driver says otherwise. */
export const readConnectionsMax = 8;

/** How long a read may wait for a connection: reads inside reads could otherwise wait for each other for ever. */
const poolWaitLimitMs = 30_000;

/** Where the pool's connections come from. */
export interface ReadSource {
  connect(): Database;
  /** Asks a first statement of a transaction that has just begun, which takes its snapshot. */
  took(database: Database): void;
}

interface Waiter {
  readonly serve: () => void;
  readonly refuse: (error: ConvergentError) => void;
}

export class ReadPool {
  readonly #host: Host;
  readonly #path: string;
  readonly #source: ReadSource;
  readonly #limits: { readonly connections: number; readonly lockWaitMs: number };
  readonly #idle: Database[] = [];
  readonly #waiters = new Set<Waiter>();
  #taken = 0;
  #held = false;
  #closed = false;
  readonly #drained = new Set<() => void>();

  constructor(host: Host, path: string, source: ReadSource, limits: { connections: number; lockWaitMs: number }) {
    this.#host = host;
    this.#path = path;
    this.#source = source;
    this.#limits = limits;
  }

  /** Runs `body` on a connection with an open snapshot. Throws `unavailable` when none comes free, `closed` after `close`. */
  async use<T>(body: (database: Database) => Promise<T>): Promise<T> {
    await this.#seat();
    let database: Database | undefined;
    try {
      database = await this.#begin();
      return await body(database);
    } finally {
      this.#release(database);
    }
  }

  /** Lets no new read begin and waits until those under way have ended, at most `ms`. Resolves to whether they have. */
  async hold(ms: number): Promise<boolean> {
    this.#held = true;
    if (this.#taken === 0) return true;
    return new Promise((resolve) => {
      const drained = (): void => {
        timer.cancel();
        this.#drained.delete(drained);
        resolve(this.#taken === 0);
      };
      const timer = this.#host.timers.after(ms, drained);
      this.#drained.add(drained);
    });
  }

  /** Lets reads begin again. */
  resume(): void {
    this.#held = false;
    for (const waiter of this.#waiters) {
      if (!this.#free()) return;
      this.#take(waiter);
    }
  }

  /** Refuses waiting and new reads, lets those under way end within `ms`, and closes the connections. */
  async close(ms: number): Promise<void> {
    this.#closed = true;
    for (const waiter of this.#waiters) waiter.refuse(closedWhileReading(this.#path));
    this.#waiters.clear();
    await this.hold(ms);
    for (const database of this.#idle.splice(0)) database.close();
  }

  #free(): boolean {
    return !this.#held && this.#taken < this.#limits.connections;
  }

  #take(waiter: Waiter): void {
    this.#waiters.delete(waiter);
    this.#taken++;
    waiter.serve();
  }

  async #seat(): Promise<void> {
    if (this.#closed) throw closedWhileReading(this.#path);
    if (this.#free() && this.#waiters.size === 0) {
      this.#taken++;
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const waiter: Waiter = {
        serve: () => {
          timer.cancel();
          resolve();
        },
        refuse: (error) => {
          timer.cancel();
          reject(error);
        },
      };
      const timer = this.#host.timers.after(poolWaitLimitMs, () => {
        this.#waiters.delete(waiter);
        reject(noConnection(this.#path, this.#limits.connections));
      });
      this.#waiters.add(waiter);
    });
  }

  // The first statement takes the snapshot; done here, so that a lock met on the way is waited for and not thrown at the body.
  async #begin(): Promise<Database> {
    let database = this.#idle.pop();
    const attempt = (): void => {
      database ??= this.#source.connect();
      database.rollback();
      database.run("BEGIN");
      this.#source.took(database);
    };
    try {
      await whenUnlocked(this.#host, attempt, { path: this.#path, ms: this.#limits.lockWaitMs });
      return database as unknown as Database;
    } catch (error) {
      database?.close();
      throw error;
    }
  }

  #release(database: Database | undefined): void {
    this.#taken--;
    if (database) this.#putBack(database);
    if (this.#taken === 0) {
      for (const drained of this.#drained) drained();
    }
    const [next] = this.#waiters;
    if (next && this.#free()) this.#take(next);
  }

  #putBack(database: Database): void {
    try {
      database.rollback();
      if (this.#closed) database.close();
      else this.#idle.push(database);
    } catch {
      database.close();
    }
  }
}

function closedWhileReading(path: string): ConvergentError {
  return new ConvergentError("closed", `the store ${path} is closed; open it again before reading`);
}

function noConnection(path: string, connections: number): ConvergentError {
  return new ConvergentError(
    "unavailable",
    `all ${connections} read connections to ${path} stayed in use for ${poolWaitLimitMs} ms; end reads sooner, do not begin one inside another, or allow more`,
  );
}
