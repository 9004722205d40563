/**
 * The loop that all readers share: follow a log, apply its events, move the checkpoint.
 *
 *   assigned ──► adopt ──► read ──► apply ──► checkpoint ──► commit ──► read …
 *      ▲                     │ nothing new: nap until woken or polled
 *      └── a lease is lost   └ failure: wait longer each time; an event's own failure sets its order key aside (batches.ts)
 *
 * - R1: events are applied in log order; the checkpoint never passes an event that is not applied or set aside.
 * - R2, R3: effects and checkpoint are one transaction, which first compares the fences of the slots it writes with those
 *   of its leases: a process that lost a slot drops its work. Ownership is `membership.ts`'s.
 * - R5: the reader is moving, idle at head, standing by, paused, or stuck, and says which.
 */
import { type Backoff, backoffMs } from "../host/backoff.ts";
import type { CancelSignal, Host } from "../host/host.ts";
import type { StoredEvent } from "../log/event.ts";
import type { ParkedKey } from "../log/reader-rows.ts";
import type { EventFilter, LogSource, Seen } from "../log/source.ts";
import type { Checkpoint, CheckpointKey, Epoch, WriteTransaction } from "../log/store.ts";
import { comparePositions, laterPosition, origin, type Position } from "../position/position.ts";
import { Batches } from "./batches.ts";
import { CheckpointRows, ensureRows, type Reach, requireSameHistory } from "./checkpoint.ts";
import { gatheredOf } from "./gathered.ts";
import { Gathering } from "./gathering.ts";
import { revoke } from "./fence.ts";
import type { Percentiles } from "./histogram.ts";
import { Membership, type Participant } from "./membership.ts";
import type { ReaderFailure, ReaderOptions, ReaderState, ReaderStatus, SlotCounts } from "./reader-options.ts";
import { LazyRows, restMs } from "./lazy-rows.ts";
import { Nap } from "./nap.ts";
import { filterOf, Pages } from "./pages.ts";
import { QuietRoute } from "./quiet-route.ts";
import { SeenBySource } from "./seen-by-source.ts";
import { SetAside } from "./set-aside.ts";
import { rowsPlace, type SlotPlaces } from "./slot-places.ts";
import { slotsDefault } from "./slots.ts";
import { slotsOf, statusOf } from "./status.ts";
import { messageOf } from "./verdict.ts";
import { Visibility } from "./visibility.ts";
import { Waiters } from "./waiters.ts";

/** A wake-up may be lost; this finds what it would have told. */
const pollMs = 500;

const retryBackoff: Backoff = { firstMs: 50, maxMs: 10_000, factor: 2 };

/** Follows a log, applies its events in the slots this process owns, and keeps its checkpoint in the transaction of the effects. */
export class Reader<Item = StoredEvent> implements Participant {
  readonly name: string;
  readonly version: number;
  readonly source: LogSource;
  readonly checkpointKey: CheckpointKey;
  readonly filter: EventFilter;
  readonly options: ReaderOptions<Item>;
  readonly aside: SetAside;
  readonly #host: Host;
  readonly membership: Membership;
  readonly pages: Pages<Item>;
  readonly #batches: Batches<Item>;
  readonly #visibility: Visibility;
  readonly #waiters: Waiters;
  readonly #nap: Nap;
  readonly #gathering: Gathering;
  readonly #seen: SeenBySource;
  readonly #quiet: QuietRoute;
  #first: Position = origin;
  #rows: CheckpointRows | undefined;
  /** Slots that this process owns, as it was told and has not taken over yet. */
  #assigned: ReadonlyMap<number, number> | undefined;
  #joined = false;
  #strict = false;
  #state: ReaderState = "starting";
  #failure: ReaderFailure | undefined;
  #running: Promise<void> | undefined;
  #stopped = false;
  #paused = false;
  readonly #lazy: LazyRows;

  constructor(options: ReaderOptions<Item>) {
    this.options = options;
    this.name = options.name;
    this.version = options.version;
    this.source = options.source;
    this.#host = options.effects.host;
    this.membership = options.membership ?? new Membership(options.effects);
    this.checkpointKey = { reader: options.name, version: options.version, source: options.source.store };
    this.filter = filterOf(options);
    this.aside = new SetAside(this.checkpointKey, this.#host);
    this.pages = new Pages(options, this.filter);
    this.#batches = new Batches<Item>(this);
    this.#waiters = new Waiters(this.#host.timers);
    this.#nap = new Nap(this.#host);
    this.#gathering = new Gathering({ clock: this.#host.clock, nap: this.#nap, everyMs: options.gatherMs });
    this.#quiet = new QuietRoute(options, this.filter);
    this.#seen = new SeenBySource(options.source, this.#host.clock);
    this.#lazy = new LazyRows(this.#host.clock);
    this.#visibility = new Visibility(this.#host.clock);
  }

  /** Starts following; returns at once. */
  start(): void {
    if (this.options.from !== "head") this.#join(typeof this.options.from === "number" ? this.options.from : origin);
    const unfollow = this.#quiet.start(() => this.#nap.signal(), this.#waiters);
    this.#running ??= this.#run().finally(unfollow);
  }

  /** Finishes the batch under way, writes the checkpoint, gives back its slots, and stops. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#nap.stop();
    this.#waiters.end();
    await this.#running;
    this.#state = "stopped";
    if (this.options.membership) await this.membership.leave(this);
    else await this.membership.stop();
  }

  /** Applies nothing more, from the end of the batch under way, until `resume`. */
  pause(): void {
    this.#paused = true;
    this.#nap.signal();
  }

  resume(): void {
    this.#paused = false;
    this.#nap.signal();
  }

  /** Everything of interest up to here is applied or set aside. */
  get position(): Position {
    return this.#moved?.places.lowest ?? origin;
  }

  /** For one order key. */
  positionOf(key: string): Position {
    return this.#moved?.places.of(key) ?? origin;
  }

  /** Its slots; undefined until this process was told which of them it owns. */
  get places(): SlotPlaces | undefined {
    return this.#rows?.places;
  }

  /** What the effects had reached in their own log by now, and what the source had seen. */
  get reach(): Reach {
    return this.#rows?.reach ?? { reached: origin, seen: {} };
  }

  /** What a snapshot with these checkpoint rows holds, for one order key or for all. To be taken before the snapshot is opened. */
  claim(): (rows: readonly Checkpoint[], key?: string) => Position {
    return this.#moved?.places.claim() ?? rowsPlace; // before slots are taken over, rows speak for themselves
  }

  /** Whether what its source causes here covers this epoch of another store too, if not yet how far. */
  follows(store: string, epoch: string): boolean {
    return [this.reach.seen, this.#seen.latest].some((seen) => seen[store]?.epoch === epoch);
  }

  get state(): ReaderState {
    return this.#state;
  }

  get failure(): ReaderFailure | undefined {
    return this.#failure;
  }

  get visibility(): Percentiles | undefined {
    return this.#visibility.percentiles();
  }

  /** Forgets how long events took to be visible: until now nobody has seen what this reader wrote. */
  measureAnew(): void {
    this.#visibility.begin();
  }

  /** The first event that is set aside. Asks the store, unless this process owns all slots and nothing is. */
  async firstAside(): Promise<Position | undefined> {
    const places = this.#rows?.places;
    if (places && places.ownedCount === places.count && this.aside.size === 0) return undefined;
    return this.options.effects.snapshot(async (tx) => (await tx.parking.count(this.checkpointKey)).first);
  }

  /** Resolves true once `position` is applied or set aside (for one order key when given), false after `waitMs`. */
  waitFor(position: Position, waitMs: number, options: { key?: string; signal?: CancelSignal } = {}): Promise<boolean> {
    return this.waitUntil(
      () => comparePositions(options.key === undefined ? this.position : this.positionOf(options.key), position) >= 0,
      waitMs,
      options.signal,
    );
  }

  /** Resolves true once `met` holds, looking after every step of progress; false after `waitMs`. */
  waitUntil(met: () => boolean, waitMs: number, signal?: CancelSignal): Promise<boolean> {
    const waiting = this.#waiters.wait(met, waitMs, signal);
    this.#quiet.tell(this.#waiters);
    if (this.#gathering.isOn) this.#nap.signal();
    if (this.watches) this.membership.watch(this);
    return waiting;
  }

  status(): Promise<ReaderStatus> {
    return statusOf(this);
  }

  /** Who owns its slots. */
  slots(): Promise<SlotCounts> {
    return slotsOf(this);
  }

  /** Applies everything up to head, in the caller's time and without the loop: for views that must be complete before a service starts. Throws what an event's handling throws. */
  async catchUp(): Promise<void> {
    this.#strict = true;
    while (await this.#step(this.pages.eventsMax));
  }

  /** Nothing is set aside: a view that is built before its service starts is built whole or not. */
  get strict(): boolean {
    return this.#strict;
  }

  async prepare(tx: WriteTransaction): Promise<number> {
    const { slots = slotsDefault, inherits = false } = this.options;
    const epoch = this.source.epochs.at(-1) as Epoch;
    return (await ensureRows(tx, { key: this.checkpointKey, epoch, slots, from: this.#first, inherits })).length;
  }

  assigned(fences: ReadonlyMap<number, number>): void {
    this.#assigned = fences;
    this.#nap.signal();
  }

  get shares(): boolean {
    return this.#rows !== undefined && this.#rows.places.ownedCount < this.#rows.places.count;
  }

  get watches(): boolean {
    return this.#waiters.waiting && this.shares;
  }

  observed(rows: readonly Checkpoint[]): void {
    const known = this.#rows;
    if (!known) return;
    const { cursor } = known.places;
    if (known.places.observe(rows)) known.took(rows);
    else this.#assigned ??= known.places.owned; // they went back: the loop reads them anew
    if (this.#assigned || comparePositions(known.places.cursor, cursor) < 0) this.#nap.signal(); // nothing else tells it to look again
    this.#waiters.progressed();
  }

  polled({ requested, discarded }: { readonly requested: readonly ParkedKey[]; readonly discarded: number }): void {
    const outdated = this.#rows !== undefined && discarded !== this.aside.discards;
    if (outdated) this.#assigned ??= this.#rows?.places.owned;
    if (this.aside.ask(requested) || outdated) this.#nap.signal();
  }

  /** Asks the store now whether something is wanted of keys that are set aside, instead of at the next poll. */
  async attend(): Promise<void> {
    const requested = await this.options.effects.snapshot((tx) => tx.parking.requested());
    if (this.aside.ask(requested)) this.#nap.signal();
  }

  // R3. Without leases (`strict`) the rows themselves are compared, and whoever holds leases loses them.
  async mayCommit(tx: WriteTransaction, rows: CheckpointRows, slots: readonly number[]): Promise<boolean> {
    if (rows !== this.#rows) return false;
    if (!this.#strict) return rows.mayWrite(tx, { member: this.membership.id, fences: rows.places.owned, slots });
    await revoke(tx, this.checkpointKey);
    return rows.unmoved(await tx.checkpoints(this.checkpointKey));
  }

  seenBy(position: Position): Seen {
    return this.#seen.by(position) ?? this.reach.seen;
  }

  /** The rows, once the reader has passed what its log holds of no interest. */
  get #moved(): CheckpointRows | undefined {
    if (this.#rows) this.#quiet.move(this.#rows.places);
    return this.#rows;
  }

  async #run(): Promise<void> {
    let limit = this.pages.eventsMax;
    while (!this.#stopped) {
      try {
        await this.#gathering.rest(() => this.#mayGather);
        if (this.#paused) this.#state = "paused";
        else if (await this.#step(limit)) this.#state = "moving";
        else this.#state = this.#atRest;
        if (this.#state !== "paused") this.#failure = undefined;
        limit = Math.min(this.pages.eventsMax, limit * 2);
        if (this.#state !== "moving" && !this.#stopped) await this.#nap.take(this.#restMs, () => false);
      } catch (error) {
        // Ever smaller batches, until the failing event is alone and all before it got through.
        limit = Math.max(1, limit >> 2);
        this.#failed(error);
        // Only the time counts: the same event would fail again at every wake-up.
        const waitMs = backoffMs(retryBackoff, this.#failure?.attempts ?? 1, this.#host.random);
        if (!this.#stopped) await this.#nap.take(waitMs, () => !this.#stopped);
      }
    }
    await this.#saveLazily(true).catch(() => undefined); // what is not written is read again at the next start
  }

  // What it is to take over, or has not taken over yet, is no matter of events.
  get #mayGather(): boolean {
    return !this.#stopped && this.#rows !== undefined && this.#assigned === undefined && !this.#waiters.waiting;
  }

  // Woken for all that it wants, it has only its rows to bring up to date now and then.
  get #restMs(): number {
    if (this.#paused) return pollMs;
    const rowsMs = restMs(this.#rows?.places);
    return Math.max(0, Math.min(this.#quiet.isOn && this.#rows ? rowsMs : pollMs, this.aside.dueInMs));
  }

  get #atRest(): ReaderState {
    if (!this.#rows) return "starting";
    return this.#rows.places.ownedCount > 0 ? "idle" : "standby";
  }

  #failed(error: unknown): void {
    const attempts = this.#failure?.position === this.position ? this.#failure.attempts + 1 : 1;
    const event = this.#batches.suspect;
    this.#state = "stuck";
    this.#failure = { message: messageOf(error), attempts, position: this.position, ...(event ? { event } : {}) };
    this.options.failed?.(this.#failure);
  }

  /** One batch, or one key that is tried again. Answers whether there may be more. */
  async #step(limit: number): Promise<boolean> {
    const rows = await this.#ready();
    if (!rows) return false;
    const due = this.#strict ? undefined : this.aside.due();
    if (due !== undefined) {
      if (!(await this.#batches.retry(rows, due))) await this.#lost();
      this.#waiters.progressed();
    }
    const after = (this.#moved ?? rows).places.cursor;
    if (this.#quiet.isAtHead(after)) {
      await this.#idle(rows);
      return due !== undefined;
    }
    const page = await this.pages.read({ after, limit });
    this.#host.reached("reader.read");
    this.#gathering.read(page.events.length >= limit);
    if (this.source !== this.options.effects) await this.#seen.look(page, this.position);
    if (comparePositions(page.scanned, after) <= 0) {
      await this.#idle(rows);
      return due !== undefined;
    }
    const applied = await this.#batches.apply(rows, page, after);
    if (!applied) await this.#lost();
    else {
      if (applied.savedAll) this.#lazy.saved();
      if (applied.events.length === 0) await this.#saveLazily(false);
      this.#visibility.record(applied.events);
    }
    this.#waiters.progressed();
    return true;
  }

  async #idle(rows: CheckpointRows): Promise<void> {
    const seen = this.source === this.options.effects ? undefined : this.seenBy(this.position);
    if (seen && this.#lazy.hasNews(seen)) await this.#save({ ...rows.reach, seen });
    await this.#saveLazily(false);
  }

  async #saveLazily(stopping: boolean): Promise<void> {
    const rows = this.#moved;
    if (rows && this.#lazy.isDue(rows.places, stopping)) await this.#save(rows.reach);
  }

  get savesAll(): boolean {
    return this.#lazy.savesAll;
  }

  async #save(reach: Reach): Promise<void> {
    const rows = this.#rows as CheckpointRows;
    const { cursor, owned } = rows.places;
    const slots = [...owned.keys()];
    if (slots.length === 0) return;
    const written = slots.map((slot) => ({ slot, position: laterPosition(rows.places.storedOf(slot), cursor) }));
    // Not waited for by the disk: at worst it is read again.
    const believe = await gatheredOf(this.options.effects).commit(1, async (tx) =>
      (await this.mayCommit(tx, rows, slots)) ? rows.save(tx, { rows: written, reach, event: undefined }) : undefined,
    );
    if (!believe) return this.#lost();
    believe();
    this.#lazy.saved(reach.seen);
    this.#waiters.progressed();
  }

  /** The rows as this process owns them; undefined until slots were claimed. */
  async #ready(): Promise<CheckpointRows | undefined> {
    if (this.#strict) return (this.#rows ??= await this.#loadStrict());
    if (!this.#joined) this.#join((await this.source.head()).position);
    if (!this.options.membership) await this.membership.start();
    const assigned = this.#assigned;
    if (assigned) {
      await this.#adopt(assigned);
      if (this.#assigned === assigned) this.#assigned = undefined;
      this.#waiters.progressed();
    }
    return this.#rows;
  }

  // Read after the leases were committed: from then on nobody else can write these slots, and no batch of this process is open.
  async #adopt(fences: ReadonlyMap<number, number>): Promise<void> {
    const rows = await this.options.effects.snapshot(async (tx) => {
      this.pages.learnFrom(tx);
      await this.aside.load(tx, fences);
      return tx.checkpoints(this.checkpointKey);
    });
    if (rows.length === 0) return this.#lost();
    if (this.#rows?.places.adopt(rows, fences)) this.#rows.took(rows);
    else await this.#begin(rows, fences);
    if (this.watches) this.membership.watch(this); // of slots that were its own until now
    if (fences.size > 0) this.#host.reached("lease.adopted");
  }

  async #begin(rows: readonly Checkpoint[], fences: ReadonlyMap<number, number>): Promise<CheckpointRows> {
    await requireSameHistory(rows, this.source, await this.source.head());
    this.#lazy.read(rows[0]?.seen ?? "{}");
    return (this.#rows = new CheckpointRows(this.checkpointKey, this.source, rows, fences));
  }

  async #loadStrict(): Promise<CheckpointRows> {
    const rows = await this.options.effects.transact(
      async (tx) => {
        this.pages.learnFrom(tx);
        await this.prepare(tx);
        await this.aside.loadDiscards(tx);
        return tx.checkpoints(this.checkpointKey);
      },
      { derived: true },
    );
    return this.#begin(rows, new Map(rows.map((row) => [row.slot, 0])));
  }

  async #lost(): Promise<void> {
    if (this.#strict) this.#rows = undefined;
    else await this.membership.lost(this);
  }

  #join(first: Position): void {
    if (this.#joined) return;
    this.#joined = true;
    this.#first = first;
    this.#lazy.saved();
    this.membership.join(this);
  }
}
