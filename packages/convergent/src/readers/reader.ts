/**
 * The loop that all readers share: follow a log, apply its events, move the checkpoint.
 *
 *   load ──► read ──► apply ──► checkpoint ──► commit ──► read …
 *              │ nothing new: nap until woken or polled
 *              └ failure: wait longer each time and take fewer events, so that all before the failing one get through
 *
 * - R1: events are applied in log order; the checkpoint never passes an event that is not applied.
 * - R2: effects and checkpoint are one transaction, which first compares the checkpoint with what this process
 *   believes: a process that lost the race drops its work and takes over the other's progress.
 * - R5: the reader is moving, idle at head, paused, or stuck, and says which.
 *
 * A position that moved without effects is kept in memory and written now and then: following a log that holds
 * nothing of interest costs no writes.
 */
import { type Backoff, backoffMs } from "../host/backoff.ts";
import type { CancelSignal, Host } from "../host/host.ts";
import type { StoredEvent } from "../log/event.ts";
import type { Log } from "../log/log.ts";
import type { EventFilter, LogPage, LogSource, Seen } from "../log/source.ts";
import type { Checkpoint, CheckpointKey, WriteTransaction } from "../log/store.ts";
import { comparePositions, earlierPosition, laterPosition, origin, type Position } from "../position/position.ts";
import { CheckpointRows, type Reach } from "./checkpoint.ts";
import { Histogram, type Percentiles } from "./histogram.ts";
import { slotOf, slotsDefault } from "./slots.ts";
import { Waiters } from "./waiters.ts";

/** Events applied in one transaction: few enough that a view of them holds the event loop and the lock for some 5 ms (500 held them for 20). */
const batchEventsDefault = 128;

/** A wake-up may be lost; this finds what it would have told. */
const pollMs = 500;

const retryBackoff: Backoff = { firstMs: 50, maxMs: 10_000, factor: 2 };

/** Positions and milliseconds after which an advance without effects is written. */
const lazyPositions = 10_000;
const lazyMs = 5_000;

/** How often a busy reader asks its source what that had seen of others. */
const lookMs = 250;

/** What a reader follows, and what it does with each event. */
export interface ReaderOptions<Item> {
  /** Its name; the checkpoint is kept under it. */
  readonly name: string;
  /** Version of its definition; checkpoints of two versions never mix. */
  readonly version: number;
  /** The log it follows. */
  readonly source: LogSource;
  /** The log whose store holds the effects and the checkpoint. */
  readonly effects: Log;
  /** Only these types are read; all without it. */
  readonly types?: readonly string[];
  /** Types beyond these that are read too, should the log hold them: those of followed entities that no definition knows. */
  readonly others?: (type: string) => boolean;
  /** Where to begin when there is no checkpoint. Default: the origin. */
  readonly from?: "origin" | "head" | Position;
  /** Parts that order keys are spread over; stored with the first checkpoint. */
  readonly slots?: number;
  /** Events that one transaction applies at most. */
  readonly batchEvents?: number;
  /** Turns an event into what `apply` is given. */
  readonly prepare: (event: StoredEvent) => Item;
  /** What an item is about: items of one key are applied in log order. */
  readonly orderKey: (item: Item) => string;
  /** Writes the effects of some events, in log order, inside `tx`. */
  readonly apply: (tx: WriteTransaction, items: readonly Item[]) => Promise<void>;
  /** Told of each failure; the reader goes on trying. */
  readonly failed?: (failure: ReaderFailure) => void;
  /** Called once the effects of a batch are committed. */
  readonly committed?: () => void;
  /** Whether the effects are rows that can be derived again: their commit then need not wait for the disk (see `Store.write`). */
  readonly derived?: boolean;
  /** Whether a new version goes on where the one before it stands. Default: it begins anew, like a view that is built again. */
  readonly inherits?: boolean;
}

/** What a reader is doing: `stuck` means that it cannot apply an event, and tries again. */
export type ReaderState = "starting" | "moving" | "idle" | "paused" | "stuck" | "stopped";

/** Where a reader is, and how far behind. */
export interface ReaderStatus {
  readonly name: string;
  readonly version: number;
  readonly source: string;
  readonly state: ReaderState;
  readonly position: Position;
  readonly head: Position;
  /** Positions behind head, and the age in milliseconds of the oldest event it has not applied. */
  readonly lag: { readonly positions: number; readonly ms: number };
  /** Time from write to visible, in milliseconds, of recent events. */
  readonly visibilityMs: Percentiles | undefined;
  /** Why it is stuck, and how often in a row that has happened. */
  readonly failure: ReaderFailure | undefined;
}

/** Why a reader does not get on. */
export interface ReaderFailure {
  readonly message: string;
  /** How often in a row that has happened at this position. */
  readonly attempts: number;
  /** Up to here everything is applied. */
  readonly position: Position;
  /** The event that cannot be applied, once it is known which one of a batch it is. */
  readonly event?: { readonly position: Position; readonly id: string; readonly type: string; readonly stream: string };
}

/** Follows a log, applies its events, and keeps its checkpoint in the transaction of the effects. */
export class Reader<Item = StoredEvent> {
  readonly name: string;
  readonly version: number;
  readonly source: LogSource;
  readonly #options: ReaderOptions<Item>;
  readonly #host: Host;
  readonly #key: CheckpointKey;
  readonly #visibility = new Histogram();
  readonly #waiters: Waiters;
  readonly #startedAt: number;
  #rows: CheckpointRows | undefined;
  #memory: Position = origin;
  #state: ReaderState = "starting";
  #failure: ReaderStatus["failure"];
  #applying: readonly StoredEvent[] = [];
  #signalled = false;
  #rouse: (() => void) | undefined;
  #running: Promise<void> | undefined;
  #stopped = false;
  #paused = false;
  #savedAt = 0;
  #seen: { readonly at: Position; readonly seen: Seen } | undefined;
  #seenAt = -Infinity;

  constructor(options: ReaderOptions<Item>) {
    this.#options = options;
    this.name = options.name;
    this.version = options.version;
    this.source = options.source;
    this.#host = options.effects.host;
    this.#key = { reader: options.name, version: options.version, source: options.source.store };
    this.#waiters = new Waiters(this.#host.timers);
    this.#startedAt = this.#host.clock.now();
  }

  /** Starts following; returns at once. */
  start(): void {
    const unfollow = this.source.onAdvance(() => this.#signal());
    this.#running ??= this.#run().finally(unfollow);
  }

  /** Finishes the batch under way, writes the checkpoint, and stops. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#signal();
    this.#waiters.end();
    await this.#running;
    this.#state = "stopped";
  }

  /** Applies nothing more, from the end of the batch under way, until `resume`. */
  pause(): void {
    this.#paused = true;
    this.#signal();
  }

  resume(): void {
    this.#paused = false;
    this.#signal();
  }

  /** Everything of interest up to here is applied. */
  get position(): Position {
    return this.#rows ? laterPosition(this.#rows.lowest, this.#memory) : origin;
  }

  /** The same for one order key. */
  positionOf(key: string): Position {
    return this.#rows ? laterPosition(this.#rows.of(key), this.#memory) : origin;
  }

  /** What the effects had reached in their own log by now, and what the source had seen. */
  get reach(): Reach {
    return this.#rows?.reach ?? { reached: origin, seen: {} };
  }

  /**
   * What a snapshot with these checkpoint rows holds, for one order key or for all. To be taken before the snapshot is
   * opened: memory of a position that moved without effects counts only while the rows are what memory was built on.
   */
  claim(): (rows: readonly Checkpoint[], key?: string) => Position {
    const rows = this.#rows;
    const memory = this.#memory;
    return (stored, key) => {
      const places = key === undefined ? stored : stored.filter((row) => row.slot === slotOf(key, stored.length));
      const written = places.length > 0 ? places.map((row) => row.position).reduce(earlierPosition) : origin;
      return rows?.matches(stored) ? laterPosition(memory, written) : written;
    };
  }

  /** Whether what its source causes here covers this epoch of another store too, if not yet how far. */
  follows(store: string, epoch: string): boolean {
    return [this.reach.seen, this.#seen?.seen ?? {}].some((seen) => seen[store]?.epoch === epoch);
  }

  get checkpointKey(): CheckpointKey {
    return this.#key;
  }

  get state(): ReaderState {
    return this.#state;
  }

  get visibility(): Percentiles | undefined {
    return this.#visibility.percentiles();
  }

  /** Resolves true once `position` is applied (for one order key when given), false after `waitMs`. */
  waitFor(position: Position, waitMs: number, options: { key?: string; signal?: CancelSignal } = {}): Promise<boolean> {
    const key = options.key;
    return this.waitUntil(
      () => comparePositions(key === undefined ? this.position : this.positionOf(key), position) >= 0,
      waitMs,
      options.signal,
    );
  }

  /** Resolves true once `met` holds, looking after every step of progress; false after `waitMs`. */
  waitUntil(met: () => boolean, waitMs: number, signal?: CancelSignal): Promise<boolean> {
    return this.#waiters.wait(met, waitMs, signal);
  }

  async status(): Promise<ReaderStatus> {
    const head = await this.source.head();
    const position = this.position;
    const positions = Math.max(0, head.position - position);
    const next = positions > 0 ? (await this.source.read({ after: position, limit: 1, ...this.#types() })).events[0] : undefined;
    const lag = { positions, ms: next ? Math.max(0, this.#host.clock.now() - next.at) : 0 };
    return {
      name: this.name,
      version: this.version,
      source: this.source.store,
      state: this.#state,
      position,
      head: head.position,
      lag,
      visibilityMs: this.visibility,
      failure: this.#failure,
    };
  }

  /** Applies everything up to head, in the caller's time and without the loop: for views that must be complete before a service starts. */
  async catchUp(): Promise<void> {
    while (await this.#step(this.#batchEvents));
  }

  async #run(): Promise<void> {
    let limit = this.#batchEvents;
    while (!this.#stopped) {
      try {
        if (this.#paused) this.#state = "paused";
        else this.#state = (await this.#step(limit)) ? "moving" : "idle";
        if (this.#state !== "paused") this.#failure = undefined;
        limit = Math.min(this.#batchEvents, limit * 2);
        if (this.#state !== "moving") await this.#nap(pollMs);
      } catch (error) {
        // Ever smaller batches, until the failing event is alone and all before it got through.
        limit = Math.max(1, limit >> 2);
        const attempts = this.#failure?.position === this.position ? this.#failure.attempts + 1 : 1;
        this.#state = "stuck";
        const event = this.#applying.length === 1 ? this.#applying[0] : undefined;
        this.#failure = {
          message: error instanceof Error ? error.message : String(error),
          attempts,
          position: this.position,
          ...(event ? { event: { position: event.position, id: event.id, type: event.type, stream: event.stream } } : {}),
        };
        this.#options.failed?.(this.#failure);
        await this.#nap(backoffMs(retryBackoff, attempts, this.#host.random), true);
      }
    }
    await this.#saveLazily(true).catch(() => undefined); // what is not written is read again at the next start
  }

  /** One batch. Answers whether there may be more. */
  async #step(limit: number): Promise<boolean> {
    this.#applying = [];
    const rows = this.#rows ?? (await this.#load());
    const after = this.position;
    const page = await this.source.read({ after, limit, ...this.#types() });
    this.#host.reached("reader.read");
    await this.#look(page);
    if (comparePositions(page.scanned, after) <= 0) return !(await this.#idle());
    const events = rows.even
      ? page.events
      : page.events.filter((event) => comparePositions(event.position, rows.of(this.#orderKey(event))) > 0);
    if (events.length > 0) await this.#applyBatch(rows, events, page.scanned);
    else {
      this.#memory = page.scanned;
      await this.#saveLazily(false);
    }
    this.#waiters.progressed();
    return true;
  }

  async #applyBatch(rows: CheckpointRows, events: readonly StoredEvent[], scanned: Position): Promise<void> {
    this.#applying = events;
    // A batch and the appends around it are each some milliseconds without a pause; the event loop turns in between.
    await this.#host.timers.turn();
    const items = events.map(this.#options.prepare);
    const committed = await this.#options.effects.transact(async (tx) => {
      if (!(await rows.unmoved(tx))) return undefined;
      await this.#options.apply(tx, items);
      this.#host.reached("reader.applied");
      const reached = this.source === this.#options.effects ? scanned : (await tx.head()).position;
      const believe = await rows.save(tx, scanned, { reached, seen: this.#seenBy(scanned) });
      this.#host.reached("reader.checkpointed");
      return believe;
    }, this.#durability);
    if (!committed) {
      this.#memory = rows.lowest; // another process was faster, or somebody reset the reader: its rows say where to go on
      return;
    }
    this.#host.reached("reader.committed");
    committed();
    this.#options.committed?.();
    this.#savedAt = this.#host.clock.elapsed();
    this.#measure(events);
  }

  #measure(events: readonly StoredEvent[]): void {
    const now = this.#host.clock.now();
    // Events from before this start tell how long the process was away, not how fast the reader is.
    for (const event of events) if (event.at >= this.#startedAt) this.#visibility.record(Math.max(0, now - event.at));
  }

  /** At head. Answers whether that still holds: rows that somebody moved or removed are taken over. */
  async #idle(): Promise<boolean> {
    const rows = this.#rows as CheckpointRows;
    if (!(await this.#options.effects.snapshot((tx) => rows.unmoved(tx)))) {
      this.#memory = rows.lowest;
      return false;
    }
    const seen = this.#seenBy(this.position);
    if (JSON.stringify(seen) !== JSON.stringify(rows.reach.seen)) await this.#save({ ...rows.reach, seen });
    await this.#saveLazily(false);
    return true;
  }

  // What the source had itself seen of other stores is asked now and then, and counts once this reader has passed the
  // position at which it was asked: by then all that those stores caused there has come here.
  async #look(page: LogPage): Promise<void> {
    if (this.source === this.#options.effects) return;
    const elapsed = this.#host.clock.elapsed();
    const waiting = this.#seen && comparePositions(this.#seen.at, this.position) > 0;
    if (waiting || (page.events.length > 0 && elapsed - this.#seenAt < lookMs)) return;
    this.#seenAt = elapsed;
    this.#seen = await this.source.seen();
  }

  #seenBy(position: Position): Seen {
    return this.#seen && comparePositions(this.#seen.at, position) <= 0 ? this.#seen.seen : this.reach.seen;
  }

  async #saveLazily(stopping: boolean): Promise<void> {
    const rows = this.#rows;
    if (!rows || comparePositions(this.#memory, rows.lowest) <= 0) return;
    const due = this.#memory - rows.lowest >= lazyPositions || this.#host.clock.elapsed() - this.#savedAt >= lazyMs;
    if (stopping || due) await this.#save(rows.reach);
  }

  async #save(reach: Reach): Promise<void> {
    const rows = this.#rows as CheckpointRows;
    const position = this.position;
    const committed = await this.#options.effects.transact(
      async (tx) => ((await rows.unmoved(tx)) ? rows.save(tx, position, reach) : undefined),
      { derived: true }, // at worst it is read again
    );
    committed?.();
    this.#savedAt = this.#host.clock.elapsed();
    this.#waiters.progressed();
  }

  async #load(): Promise<CheckpointRows> {
    const head = await this.source.head();
    const from = this.#options.from ?? "origin";
    const start = from === "origin" ? origin : from === "head" ? head.position : from;
    this.#savedAt = this.#host.clock.elapsed();
    const rows = await this.#options.effects.snapshot((tx) =>
      CheckpointRows.load(tx, {
        key: this.#key,
        source: this.source,
        head,
        slots: this.#options.slots ?? slotsDefault,
        from: start,
        inherits: this.#options.inherits ?? false,
      }),
    );
    this.#memory = rows.lowest;
    this.#rows = rows;
    this.#waiters.progressed();
    return rows;
  }

  async #nap(ms: number, failed = false): Promise<void> {
    if ((this.#signalled && !failed) || this.#stopped) {
      this.#signalled = false;
      return;
    }
    await new Promise<void>((resolve) => {
      const timer = this.#host.timers.after(ms, resolve);
      // After a failure only the time counts: the same event would fail again at every wake-up.
      this.#rouse = () => {
        if (failed && !this.#stopped) return;
        timer.cancel();
        resolve();
      };
    });
    this.#rouse = undefined;
    this.#signalled = false;
  }

  #signal(): void {
    this.#signalled = true;
    this.#rouse?.();
  }

  #orderKey(event: StoredEvent): string {
    return this.#options.orderKey(this.#options.prepare(event));
  }

  get #durability(): { derived: boolean } {
    return { derived: this.#options.derived ?? false };
  }

  get #batchEvents(): number {
    return this.#options.batchEvents ?? batchEventsDefault;
  }

  #types(): EventFilter {
    const { types, others } = this.#options;
    return { ...(types ? { types } : {}), ...(others ? { others } : {}) };
  }
}
