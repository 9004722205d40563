/**
 * Copies a store's log into another store, of whatever kind, beside writers: a reader of the source whose effects are the target's
 * log. What is copied and how far that is are one transaction, so a copy that is killed goes on where it was.
 *
 *   begin ─► bring ─► verify ─► bring ─► … ─► finish        the target has a name that no service opens until it is finished
 *
 * Kept as they are: positions, versions, ids, times, bytes and digests of events; remembered and voided ids; epochs and the key
 * that signs tokens; what nobody can derive again of readers: how far reactions are and what they have set aside, what was discarded, and
 * which persons are still to be forgotten. Views are derived again. A new epoch begins at the end, because the source may go on (L5).
 */
import { ConvergentError } from "../errors/error.ts";
import { beginEpoch } from "../log/epochs.ts";
import type { StoredEvent } from "../log/event.ts";
import type { Epoch, IdRecord, Store, StreamHead, WriteTransaction } from "../log/store.ts";
import { serviceInCopy } from "../log/unfinished-copy.ts";
import { comparePositions, origin, type Position } from "../position/position.ts";
import { compareLogs } from "./comparison.ts";
import { keptOf, saveKept } from "./kept.ts";
import { firstOfRange } from "./log-digest.ts";
import { disorder } from "./order.ts";
import { scan, type ScannedPage } from "./scan.ts";
import type { Progress } from "./verify.ts";
import { voidedIds } from "./voided.ts";

/** The copy's own checkpoint in the target: whose log it is, and up to where both were found to be the same. */
const reader = { reader: "$copy", version: 1 } as const;

/** Voided ids that are written at a time. */
const voidedBatch = 1000;

/** How a copy is made. */
export interface CopyOptions {
  /** Told after each page: positions of the source. */
  readonly onProgress?: (progress: Progress) => void;
}

/** What was written by one call. */
export interface Brought {
  readonly events: number;
  readonly ids: number;
  /** Where the target stands now. */
  readonly position: Position;
}

/** A copy that is not finished. */
export class StoreCopy {
  readonly #source: Store;
  readonly #target: Store;
  #position: Position;
  #verified: Position;

  private constructor(stores: { readonly source: Store; readonly target: Store }, position: Position, verified: Position) {
    this.#source = stores.source;
    this.#target = stores.target;
    this.#position = position;
    this.#verified = verified;
  }

  /**
   * Begins a copy, or goes on with one, in a target that was opened under `unfinishedCopyOf` the source's service. Throws
   * `store_mismatch` when the target holds something else, or what the source has lost in a restore since.
   */
  static async begin(source: Store, target: Store): Promise<StoreCopy> {
    const name = source.identity.store;
    if (serviceInCopy(target.identity.store) !== name)
      throw new ConvergentError(
        "store_mismatch",
        `the target belongs to "${target.identity.store}", and the source is the store of "${name}"`,
      );
    const epochs = await source.read((tx) => tx.epochs());
    const present = epochs.at(-1) as Epoch;
    const key = { ...reader, source: name };
    const { head, mark } = await target.read(async (tx) => ({ head: await tx.head(), mark: (await tx.checkpoints(key))[0] }));
    if (mark ? !epochs.some(({ id }) => id === mark.epoch) : head.position > origin) throw otherCopy(name);
    // Behind a restore of the source, what was compared before may be another history.
    const verified = mark?.epoch === present.id ? mark.position : origin;
    const copy = new StoreCopy({ source, target }, head.position, verified);
    await copy.#requirePrefix();
    await target.write((tx) => copy.#mark(tx, present.id));
    return copy;
  }

  /** Writes everything that the source has and the target lacks, up to the source's present head. Throws `store_broken` before an event that is not as it was written. */
  async bring(options: CopyOptions = {}): Promise<Brought> {
    const last = (await this.#source.read((tx) => tx.head())).position;
    let events = 0;
    let ids = 0;
    const pages = scan(this.#source, { after: this.#position, upTo: last });
    // The next page is read while this one is written.
    let coming = pages.next();
    for (;;) {
      const read = await coming;
      if (read.done === true) break;
      const page = read.value;
      coming = pages.next();
      coming.catch(() => undefined); // thrown by the await above, unless the write fails first
      ids += await this.#write(page);
      events += page.events.length;
      options.onProgress?.({ done: this.#position, of: last });
    }
    if (this.#position < last)
      throw new ConvergentError(
        "store_broken",
        `the source ends at position ${this.#position}, before its head ${last}; see convergent verify`,
      );
    return { events, ids: ids + (await this.#bringVoided()), position: this.#position };
  }

  /**
   * Reads what was brought from both stores and compares it: every event, remembered id, count and digest of each range of positions.
   * What was found to be the same is not read again. Throws `store_broken`, with the ranges that differ.
   */
  async verify(options: CopyOptions = {}): Promise<{ readonly events: number; readonly ranges: number }> {
    const range = { after: this.#verified, upTo: this.#position };
    const { differing, events, ranges, problem } = await compareLogs(this.#source, this.#target, range, options);
    if (problem !== undefined || differing.length > 0)
      throw new ConvergentError(
        "store_broken",
        `source and copy differ ${problem ?? differing.map(({ first, last }) => `in positions ${first} to ${last}`).join(", ")}; verify the source by convergent verify, remove the target and copy again`,
        { details: { differing } },
      );
    this.#verified = (firstOfRange(this.#position + 1) - 1) as Position;
    const present = (await this.#source.read((tx) => tx.epochs())).at(-1) as Epoch;
    await this.#target.write((tx) => this.#mark(tx, present.id));
    return { events, ranges };
  }

  /**
   * Gives the target its service's name, in one transaction with all that is kept of readers and the new epoch. The caller sees to it
   * that nothing is appended to the source any more, or means the two to go on apart. Throws `store_in_use` when the source has gone on.
   */
  async finish(): Promise<Epoch> {
    const { identity } = this.#source;
    const kept = await this.#source.read(async (tx) => ({ head: await tx.head(), epochs: await tx.epochs(), ...(await keptOf(tx)) }));
    if (comparePositions(kept.head.position, this.#position) !== 0)
      throw new ConvergentError(
        "store_in_use",
        `the source has come to position ${kept.head.position} while position ${this.#position} was verified: somebody writes to it`,
      );
    return this.#target.write(async (tx) => {
      await this.#lock(tx);
      await tx.dropView(reader.reader);
      await saveKept(tx, kept);
      for (const epoch of kept.epochs) await tx.beginEpoch(epoch);
      const { epoch } = await beginEpoch(tx, this.#target.host.random);
      await tx.saveOwner({ store: identity.store, key: identity.key });
      return epoch;
    });
  }

  async #write({ events, ids }: ScannedPage): Promise<number> {
    const heads = await this.#requireOrder(events);
    // The first page of a copy that goes on has ids of appends that are there already.
    const records = [...ids].flatMap(([position, some]) => (comparePositions(position, this.#position) > 0 ? some : []));
    await this.#target.write(async (tx) => {
      await this.#lock(tx);
      await tx.insert({ events, heads, ids: records });
    });
    this.#position = (events.at(-1) as StoredEvent).position;
    return records.length;
  }

  /** What the source holds wrong is not carried on. */
  async #requireOrder(events: readonly StoredEvent[]): Promise<Map<string, StreamHead>> {
    const streams = [...new Set(events.map(({ stream }) => stream))];
    const { head, stored } = await this.#target.read(async (tx) => ({ head: await tx.head(), stored: await tx.streamHeads(streams) }));
    const heads = new Map(streams.flatMap((stream, index) => (stored[index] ? [[stream, stored[index]] as const] : [])));
    let before: { readonly position: number; readonly at: number } = { position: this.#position, at: head.at };
    for (const event of events) {
      const { stream, version, position } = event;
      const [wrong] = disorder(event, { ...before, version: heads.get(stream)?.version ?? 0 });
      if (wrong !== undefined)
        throw new ConvergentError(
          "store_broken",
          `position ${position} of the source is damaged: ${wrong}; the copy ends before it. See: convergent verify; put back a backup of the source`,
          { details: { position } },
        );
      heads.set(stream, { version, position });
      before = event;
    }
    return heads;
  }

  async #bringVoided(): Promise<number> {
    let count = 0;
    let batch: IdRecord[] = [];
    const write = async (): Promise<void> => {
      const known = await this.#target.read((tx) => tx.ids(batch));
      const ids = batch.filter((_, index) => !known[index]);
      if (ids.length > 0) await this.#target.write((tx) => tx.insert({ events: [], heads: new Map(), ids }));
      count += ids.length;
      batch = [];
    };
    for await (const record of voidedIds(this.#source)) if (batch.push(record) === voidedBatch) await write();
    if (batch.length > 0) await write();
    return count;
  }

  /** Nobody else may have written to the target. */
  async #lock(tx: WriteTransaction): Promise<void> {
    const { position } = await tx.lock();
    if (comparePositions(position, this.#position) !== 0)
      throw new ConvergentError(
        "store_in_use",
        `the target has come to position ${position} by somebody else's doing, and not to ${this.#position}; two copies write to it, let one of them end`,
      );
  }

  async #mark(tx: WriteTransaction, epoch: string): Promise<void> {
    const row = { slot: 0, epoch, position: this.#verified, reached: origin, seen: "{}", check: "" };
    await tx.saveCheckpoints([{ ...reader, source: this.#source.identity.store, ...row }]);
  }

  async #requirePrefix(): Promise<void> {
    if (this.#position === origin) return;
    const query = { after: (this.#position - 1) as Position, upTo: this.#position, limit: 1 };
    const [there, here] = await Promise.all([this.#source, this.#target].map((store) => store.read((tx) => tx.events(query))));
    if (there?.[0]?.id !== here?.[0]?.id) throw otherCopy(this.#source.identity.store);
  }
}

function otherCopy(name: string): ConvergentError {
  return new ConvergentError(
    "store_mismatch",
    `the target is an unfinished copy of another store of "${name}", or of what this one lost in a restore; remove it, or name another place`,
  );
}
