/**
 * Keeps the WAL short. SQLite itself copies it into the database every 1,000 pages, inside a commit (8 to 12 ms
 * measured here; with 4,000 pages a fifth more appends if ids are random, no more if they are in order, but pauses
 * above 20 ms), and begins it anew at an instant in which nobody reads from it. Reads that always overlap leave no such
 * instant and the WAL would grow for ever; so once it has passed its limit, this process holds back its reads for a
 * moment and truncates it.
 */
import { statSync } from "node:fs";
import type { Database } from "./database.ts";
import { isBusy } from "./failure.ts";
import type { ReadPool } from "./read-pool.ts";

export interface WalLimits {
  readonly bytesMax: number;
  /** Commits from one look at the file's size to the next. */
  readonly commitsBetweenLooks: number;
  /** How long reads may be held back to truncate it. */
  readonly holdMs: number;
}

const walLimits: WalLimits = { bytesMax: 64 * 1024 * 1024, commitsBetweenLooks: 128, holdMs: 250 };

export class Wal {
  readonly #path: string;
  readonly #reads: ReadPool;
  readonly #limits: WalLimits;
  #commits = 0;

  constructor(path: string, reads: ReadPool, limits: WalLimits = walLimits) {
    this.#path = `${path}-wal`;
    this.#reads = reads;
    this.#limits = limits;
  }

  /** Counts a commit; every so often, whether the WAL has grown past its limit. */
  isTooLong(): boolean {
    this.#commits++;
    if (this.#commits % this.#limits.commitsBetweenLooks !== 0) return false;
    try {
      return (statSync(this.#path, { throwIfNoEntry: false })?.size ?? 0) > this.#limits.bytesMax;
    } catch {
      return false; // The commit it is asked after stands, whatever the disk says of this file.
    }
  }

  /** Truncates it, if no read is in the way, here or in another process; else a later commit will try again. Answers whether it is empty now. */
  async truncate(database: Database): Promise<boolean> {
    try {
      const isHeld = await this.#reads.hold(this.#limits.holdMs);
      return isHeld && database.get("PRAGMA wal_checkpoint(TRUNCATE)")?.[0] === 0;
    } catch (error) {
      if (!isBusy(error)) throw error;
      return false;
    } finally {
      this.#reads.resume();
    }
  }
}
