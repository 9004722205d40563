/**
 * The order keys of a reader that are set aside, as their owner remembers them: when to try which again (R4). The rows
 * say what is set aside; memory holds the schedule only, and is read anew whenever slots change hands.
 */
import { type Backoff, backoffMs } from "../host/backoff.ts";
import type { Host } from "../host/host.ts";
import type { ParkedEvent, ParkedKey, ParkedState } from "../log/reader-rows.ts";
import type { CheckpointKey, ReadTransaction } from "../log/store.ts";
import { ConvergentError } from "../errors/error.ts";

/** Attempts before an event is parked, unless the reader says otherwise. */
export const attemptsDefault = 5;

/** Order keys that may be set aside; past it the reader stops, because the fault is hardly the events'. */
export const keysMax = 10_000;

const retryBackoff: Backoff = { firstMs: 250, maxMs: 60_000, factor: 2 };

interface Waiting {
  readonly slot: number;
  /** On the host's elapsed clock; infinite while it is parked. */
  readonly dueAt: number;
}

export class SetAside {
  readonly #key: CheckpointKey;
  readonly #host: Host;
  readonly #keys = new Map<string, Waiting>();
  #discarded: ReadonlyMap<string, string> = new Map();
  #discards = 0;
  /** When the next key is due; undefined: to be computed. */
  #next: number | undefined;

  constructor(key: CheckpointKey, host: Host) {
    this.#key = key;
    this.#host = host;
  }

  get size(): number {
    return this.#keys.size;
  }

  /** Discards known of; when there are more in the store, these are outdated. */
  get discards(): number {
    return this.#discards;
  }

  has(key: string): boolean {
    return this.#keys.has(key);
  }

  /** The order key of an event that was discarded, by this version or another one; undefined for all others. */
  discardedKey(eventId: string): string | undefined {
    return this.#discarded.get(eventId);
  }

  /** Reads what is set aside in the slots that this process owns, and what was discarded. */
  async load(tx: ReadTransaction, owned: ReadonlyMap<number, number>): Promise<void> {
    const keys = await tx.parking.keys(this.#key);
    await this.loadDiscards(tx);
    this.#keys.clear();
    this.#next = undefined;
    for (const row of keys) {
      if (!owned.has(row.slot)) continue;
      this.schedule(row);
      // Another version's operator has decided about it.
      if (this.#discarded.has(row.eventId)) this.next(row.key);
    }
  }

  async loadDiscards(tx: ReadTransaction): Promise<void> {
    this.#discards = await tx.parking.discarded();
    this.#discarded = new Map((await tx.parking.discards(this.#key)).map((row) => [row.eventId, row.key]));
  }

  /** Remembers when the first event of a key is tried again. Throws `unavailable` when too many keys are set aside. */
  schedule(first: Pick<ParkedEvent, "key" | "slot" | "attempts" | "state">): void {
    const { key, slot, attempts, state } = first;
    this.#set(key, { slot, dueAt: this.#dueAt(state, attempts) });
  }

  /** The first event of a key is done with: the next one is tried at once. */
  next(key: string): void {
    const known = this.#keys.get(key);
    if (known) this.#set(key, { ...known, dueAt: -Infinity });
  }

  /** Throws `unavailable` when so many more keys would be too many. */
  requireRoom(more: number): void {
    if (more === 0 || this.#keys.size + more <= keysMax) return;
    throw new ConvergentError(
      "unavailable",
      `the reader ${this.#key.reader} has set aside ${this.#keys.size} order keys and does not set aside more; correct its definition and start again, then replay them`,
    );
  }

  forget(key: string): void {
    this.#keys.delete(key);
    this.#next = undefined;
  }

  /** Somebody asks for keys: those of this process are due now. Answers whether there are any. */
  ask(rows: readonly ParkedKey[]): boolean {
    const { reader, version, source } = this.#key;
    let asked = false;
    for (const row of rows) {
      const known = this.#keys.get(row.key);
      if (!known || row.reader !== reader || row.version !== version || row.source !== source) continue;
      this.next(row.key);
      asked = true;
    }
    return asked;
  }

  /** A key that is to be tried now. */
  due(): string | undefined {
    if (this.dueInMs > 0) return undefined;
    const now = this.#host.clock.elapsed();
    for (const [key, { dueAt }] of this.#keys) if (dueAt <= now) return key;
    return undefined;
  }

  /** Milliseconds until the next key is due; infinite when none is. */
  get dueInMs(): number {
    if (this.#next === undefined) {
      this.#next = Infinity;
      for (const { dueAt } of this.#keys.values()) this.#next = Math.min(this.#next, dueAt);
    }
    return this.#next - this.#host.clock.elapsed();
  }

  #set(key: string, waiting: Waiting): void {
    this.#keys.set(key, waiting);
    this.#next = undefined;
  }

  #dueAt(state: ParkedState, attempts: number): number {
    if (state === "parked") return Infinity;
    return this.#host.clock.elapsed() + backoffMs(retryBackoff, Math.max(1, attempts), this.#host.random);
  }
}
