/**
 * Applies runs of events: effects, checkpoint and what is set aside are one transaction (R2). An item that fails is set
 * aside with its order key, and the batch goes on without that key; later events of the key are set aside behind it, in
 * order, and are applied in order once the first one succeeds or is discarded (R4).
 */
import { ConvergentError } from "../errors/error.ts";
import type { StoredEvent } from "../log/event.ts";
import type { Discard, ParkedEvent, ParkedState } from "../log/reader-rows.ts";
import type { LogPage } from "../log/source.ts";
import type { CheckpointKey, WriteTransaction } from "../log/store.ts";
import { comparePositions, laterPosition, type Position } from "../position/position.ts";
import type { CheckpointRows, Reach } from "./checkpoint.ts";
import type { EventName, ReaderOptions } from "./reader-options.ts";
import { gatheredOf } from "./gathered.ts";
import type { Pages } from "./pages.ts";
import { attemptsDefault, type SetAside } from "./set-aside.ts";
import type { SlotRow } from "./slot-places.ts";
import { ItemError, messageOf, verdictOf } from "./verdict.ts";

/** Events of one order key that are tried again in one transaction. */
const retryEventsMax = 64;

/** Characters of an error's text that a row keeps. */
const errorLengthMax = 1_000;

/** What the batches need of their reader. */
export interface BatchOwner<Item> {
  readonly options: ReaderOptions<Item>;
  readonly checkpointKey: CheckpointKey;
  readonly pages: Pick<Pages<Item>, "prepare">;
  readonly aside: SetAside;
  /** Nothing is set aside: the first failure ends the batch. */
  readonly strict: boolean;
  /** All slots are to be written, not only those that had events. */
  readonly savesAll: boolean;
  /** Whether this process may still write these slots; asked in the transaction that writes them. */
  mayCommit(tx: WriteTransaction, rows: CheckpointRows, slots: readonly number[]): Promise<boolean>;
  /** What the source had seen of other stores by a position of it. */
  seenBy(position: Position): Reach["seen"];
}

/** An event of a slot that this process owns. */
interface Work<Item> {
  readonly event: StoredEvent;
  readonly key: string;
  readonly slot: number;
  /** Undefined when it could not be prepared; it has failed then. */
  readonly item: Item | undefined;
  /** An earlier event of its key was set aside before this batch. */
  readonly behind: boolean;
  /** It is passed and never applied. */
  readonly discarded: boolean;
}

/** By order key, the first event of it that failed, and why. */
type Failures<Item> = Map<string, { readonly work: Work<Item>; readonly error: unknown }>;

interface Batch<Item> {
  readonly works: readonly Work<Item>[];
  readonly failures: Failures<Item>;
  readonly page: LogPage;
}

interface Retry<Item> {
  readonly works: readonly Work<Item>[];
  readonly failures: Failures<Item>;
  /** Rows of the key, and those of them that are not to be discarded. */
  readonly stored: readonly ParkedEvent[];
  readonly kept: readonly ParkedEvent[];
}

export class Batches<Item> {
  readonly #owner: BatchOwner<Item>;
  #suspect: StoredEvent | undefined;

  constructor(owner: BatchOwner<Item>) {
    this.#owner = owner;
  }

  /** The event in whose handling the last run failed, when it is known which. */
  get suspect(): EventName | undefined {
    return this.#suspect && nameOf(this.#suspect);
  }

  /** Applies the page that follows `after`. Answers what was committed; undefined when this process may not commit any more. */
  async apply(rows: CheckpointRows, page: LogPage, after: Position): Promise<Applied | undefined> {
    this.#suspect = undefined;
    const { options } = this.#owner;
    const failures: Failures<Item> = new Map();
    const { works, elsewhere } = this.#sort(rows, page.events, failures);
    let savedAll = false;
    if (works.length > 0) {
      const done = await this.#persist(works, failures, (tx) => this.#commit(tx, rows, { works, failures, page }));
      if (!done) return undefined;
      options.effects.host.reached("reader.committed");
      done.believe();
      savedAll = done.all;
      this.#setAside(done.first);
      options.committed?.();
    }
    rows.places.pass({ after, scanned: page.scanned }, elsewhere);
    return { events: works.map((work) => work.event), savedAll };
  }

  /** Tries the events of a key again that is set aside. False when this process may not commit any more. */
  async retry(rows: CheckpointRows, key: string): Promise<boolean> {
    this.#suspect = undefined;
    const { options, checkpointKey, aside } = this.#owner;
    const stored = await options.effects.snapshot((tx) => tx.parking.events(checkpointKey, key, retryEventsMax));
    const first = stored[0];
    if (!first || !rows.places.owned.has(first.slot)) {
      aside.forget(key);
      return true;
    }
    const kept = stored.filter((row) => row.request?.kind !== "discard" && aside.discardedKey(row.eventId) === undefined);
    const failures: Failures<Item> = new Map();
    const works = await this.#fetch(kept, failures);
    const done = await this.#persist(works, failures, (tx) => this.#commitRetry(tx, rows, { works, failures, stored, kept }));
    if (!done) return false;
    done.believe();
    if (stored.length > kept.length) await options.effects.snapshot((tx) => aside.loadDiscards(tx));
    if (done.failed) this.#setAside([done.failed]);
    else if (done.more) aside.next(key);
    else aside.forget(key);
    options.committed?.();
    return true;
  }

  /** Runs `commit` in a transaction, again and again while items fail that had not failed before. */
  async #persist<T>(works: readonly Work<Item>[], failures: Failures<Item>, commit: (tx: WriteTransaction) => Promise<T>): Promise<T> {
    const { options, strict } = this.#owner;
    // Each round takes a key out of the batch, so there are no more rounds than keys.
    for (;;) {
      try {
        // Alone when it is not derived: what it appends is acknowledged by its own commit. And a view that is built before its service starts waits for nobody.
        if (!options.derived || strict) {
          // A batch and the appends around it are each some milliseconds without a pause; the event loop turns in between.
          await options.effects.host.timers.turn();
          return await options.effects.transact(commit, { derived: options.derived ?? false });
        }
        return await gatheredOf(options.effects).commit(works.length, commit);
      } catch (error) {
        const failure = this.#failureOf(
          error,
          works.filter((work) => isReady(work, failures)),
        );
        if (!failure || strict) throw error instanceof ItemError ? error.error : error;
        failures.set(failure.work.key, failure);
      }
    }
  }

  async #commit(tx: WriteTransaction, rows: CheckpointRows, { works, failures, page }: Batch<Item>): Promise<Committed | undefined> {
    const { options, aside } = this.#owner;
    const { host } = options.effects;
    const all = !this.#ownsLog || this.#owner.savesAll;
    const slots = all ? [...rows.places.owned.keys()] : [...new Set(works.map((work) => work.slot))];
    const mayCommit = this.#owner.mayCommit(tx, rows, slots);
    if (tx.isDistant) options.expect?.(tx, itemsOf(works, failures));
    if (!(await mayCommit)) return undefined;
    const failed = await this.#applyItems(tx, works, failures);
    await options.passed?.(
      tx,
      works.map((work) => work.event),
    );
    host.reached("reader.applied");
    const asideRows = works.flatMap((work) => this.#asideRow(work, failed));
    aside.requireRoom(failed.size);
    if (asideRows.length > 0) await tx.parking.saveEvents(asideRows);
    const written = slots.map((slot): SlotRow => ({ slot, position: laterPosition(rows.places.storedOf(slot), page.scanned) }));
    const last = page.events.at(-1);
    const believe = await rows.save(tx, {
      rows: written,
      reach: { reached: this.#ownsLog ? page.scanned : (await tx.head()).position, seen: this.#owner.seenBy(page.scanned) },
      event: last,
    });
    host.reached("reader.checkpointed");
    return { believe, all, first: asideRows.filter((row) => row.state !== "waiting") };
  }

  async #commitRetry(tx: WriteTransaction, rows: CheckpointRows, retry: Retry<Item>): Promise<Retried | undefined> {
    const { checkpointKey, options } = this.#owner;
    const { works, stored, kept, failures } = retry;
    const { key, slot } = stored[0] as ParkedEvent;
    const slots = this.#ownsLog ? [slot] : [...rows.places.owned.keys()];
    if (!(await this.#owner.mayCommit(tx, rows, slots))) return undefined;
    const discarded = stored.filter((row) => !kept.includes(row));
    await tx.parking.saveDiscards(discarded.flatMap((row) => discardOf(row)));
    const failed = (await this.#applyItems(tx, works, failures)).get(key);
    const applied = works.filter((work) => !failed || comparePositions(work.event.position, failed.work.event.position) < 0);
    const gone = [...discarded.map((row) => row.position), ...applied.map((work) => work.event.position)];
    await tx.parking.removeEvents(checkpointKey, key, gone);
    const failedRow =
      failed && this.#triedAgain(kept.find((row) => row.position === failed.work.event.position) as ParkedEvent, failed.error);
    const [next] = await tx.parking.events(checkpointKey, key, 1);
    // What was asked while it was tried is still to be done.
    const asked = next?.request?.kind === "discard" ? { request: next.request } : {};
    if (failedRow) await tx.parking.saveEvents([{ ...failedRow, ...asked }]);
    const more = next !== undefined;
    // Others learn by the checkpoint how far effects reach, and by the removal that they are there.
    const reached = options.effects === options.source ? rows.reach.reached : (await tx.head()).position;
    const written = this.#ownsLog ? [] : slots.map((each): SlotRow => ({ slot: each, position: rows.places.storedOf(each) }));
    const believe = await rows.save(tx, { rows: written, reach: { ...rows.reach, reached }, event: undefined });
    return { believe, failed: failedRow, more };
  }

  /** Applies what has not failed, and adds what fails now. */
  async #applyItems(tx: WriteTransaction, works: readonly Work<Item>[], failures: Failures<Item>): Promise<Failures<Item>> {
    const ready = works.filter((work) => isReady(work, failures));
    const failed = new Map(failures);
    if (ready.length === 0) return failed;
    const told =
      (await this.#owner.options.apply(
        tx,
        ready.map((work) => work.item as Item),
      )) ?? [];
    for (const { index, error } of told) {
      const work = ready[index] as Work<Item>;
      if (verdictOf(error) === "reader" || this.#owner.strict) throw new ItemError(index, error);
      if (!failed.has(work.key)) failed.set(work.key, { work, error });
    }
    return failed;
  }

  // A failure of an event: it says which one, or it was alone. What is not an event's fault is nobody's here.
  #failureOf(error: unknown, ready: readonly Work<Item>[]): { work: Work<Item>; error: unknown } | undefined {
    const work = error instanceof ItemError ? ready[error.index] : ready.length === 1 ? ready[0] : undefined;
    this.#suspect = work?.event;
    const cause: unknown = error instanceof ItemError ? error.error : error;
    return work && verdictOf(cause) !== "reader" ? { work, error: cause } : undefined;
  }

  #sort(rows: CheckpointRows, events: readonly StoredEvent[], failures: Failures<Item>): { works: Work<Item>[]; elsewhere: SlotRow[] } {
    const works: Work<Item>[] = [];
    const elsewhere: SlotRow[] = [];
    for (const event of events) {
      const discarded = this.#owner.aside.discardedKey(event.id);
      const { item, key, error } = discarded === undefined ? this.#prepared(event) : { item: undefined, key: discarded, error: undefined };
      const slot = rows.places.slotOf(key);
      const standing = rows.places.standing(slot, event.position);
      if (standing === "elsewhere") elsewhere.push({ slot, position: event.position });
      if (standing !== "apply") continue;
      const work = { event, key, slot, item, behind: this.#owner.aside.has(key), discarded: discarded !== undefined };
      works.push(work);
      if (error !== undefined && !work.behind && !failures.has(key)) failures.set(key, { work, error });
    }
    return { works, elsewhere };
  }

  // R4: without its key nobody knows what else must wait for an event, so the reader stops there.
  #prepared(event: StoredEvent): { item: Item | undefined; key: string; error?: unknown } {
    const { orderKey } = this.#owner.options;
    try {
      const item = this.#owner.pages.prepare(event);
      return { item, key: orderKey === "stream" ? event.stream : orderKey(item) };
    } catch (error) {
      if (orderKey === "stream" && !this.#owner.strict) return { item: undefined, key: event.stream, error };
      this.#suspect = event;
      throw error;
    }
  }

  async #fetch(stored: readonly ParkedEvent[], failures: Failures<Item>): Promise<Work<Item>[]> {
    const works: Work<Item>[] = [];
    for (const { position, eventId, key, slot } of stored) {
      const { events } = await this.#owner.options.source.read({ after: (position - 1) as Position, limit: 1 });
      const event = events[0];
      if (event?.id !== eventId)
        throw new ConvergentError(
          "token_epoch",
          `the event ${eventId} that the reader ${this.#owner.options.name} has set aside is not at position ${position} any more: its log was restored; reset the reader to build it again`,
        );
      const { item, error } = this.#prepared(event);
      const work = { event, key, slot, item, behind: false, discarded: false };
      works.push(work);
      if (error !== undefined && !failures.has(key)) failures.set(key, { work, error });
    }
    return works;
  }

  #asideRow(work: Work<Item>, failures: Failures<Item>): ParkedEvent[] {
    const failure = failures.get(work.key);
    if (work.discarded) return [];
    if (!work.behind && (!failure || comparePositions(work.event.position, failure.work.event.position) < 0)) return [];
    const { position, id, type } = work.event;
    const row: ParkedEvent = {
      ...this.#owner.checkpointKey,
      slot: work.slot,
      key: work.key,
      position,
      eventId: id,
      type,
      state: "waiting",
      error: "",
      attempts: 0,
      since: this.#owner.options.effects.host.clock.now(),
    };
    return [failure?.work === work ? { ...row, ...this.#tried(1, failure.error) } : row];
  }

  #triedAgain({ request, ...row }: ParkedEvent, error: unknown): ParkedEvent {
    const tried = { ...row, ...this.#tried(row.attempts + 1, error) };
    // Somebody had it tried once more: it goes back to where it was.
    return request && row.state === "parked" && tried.state === "retrying" ? { ...tried, state: "parked" } : tried;
  }

  #tried(attempts: number, error: unknown): { state: ParkedState; attempts: number; error: string } {
    const verdict = verdictOf(error);
    const parked = verdict === "never" || (verdict === "again" && attempts >= (this.#owner.options.attemptsMax ?? attemptsDefault));
    return { state: parked ? "parked" : "retrying", attempts, error: messageOf(error).slice(0, errorLengthMax) };
  }

  #setAside(first: readonly ParkedEvent[]): void {
    for (const row of first) {
      this.#owner.aside.schedule(row);
      if (row.state !== "parked") continue;
      const event = { position: row.position, id: row.eventId, type: row.type };
      this.#owner.options.parked?.({ key: row.key, event, error: row.error, attempts: row.attempts });
    }
  }

  /** Whether the effects are in the log that is followed, so that its own positions say how far they reach. */
  get #ownsLog(): boolean {
    return this.#owner.options.source === this.#owner.options.effects;
  }
}

/** What became of a page. */
export interface Applied {
  /** Events that were applied or set aside. */
  readonly events: readonly StoredEvent[];
  readonly savedAll: boolean;
}

interface Committed {
  readonly believe: () => void;
  readonly all: boolean;
  /** The events that failed, by which their keys were set aside. */
  readonly first: readonly ParkedEvent[];
}

interface Retried {
  readonly believe: () => void;
  readonly failed: ParkedEvent | undefined;
  readonly more: boolean;
}

function isReady<Item>(work: Work<Item>, failures: Failures<Item>): boolean {
  const failure = failures.get(work.key);
  return !work.behind && !work.discarded && (!failure || comparePositions(work.event.position, failure.work.event.position) < 0);
}

function itemsOf<Item>(works: readonly Work<Item>[], failures: Failures<Item>): Item[] {
  return works.filter((work) => isReady(work, failures)).map((work) => work.item as Item);
}

function nameOf({ position, id, type, stream }: StoredEvent): EventName {
  return { position, id, type, stream };
}

/** What is written of an event that an operator has discarded; one that was discarded before is on record already. */
function discardOf({ reader, source, eventId, position, type, key, error, request }: ParkedEvent): Discard[] {
  if (request?.kind !== "discard") return [];
  const { reason, by, at } = request;
  return [{ reader, source, eventId, position, type, key, error, reason, by, at }];
}
