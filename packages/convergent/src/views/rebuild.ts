/**
 * A new version of a view, built beside the one that answers reads:
 *
 *   register ──► the reader applies from the first event ──► each range verified ──► passed the older one? ──► swap
 *
 * - Until the swap, reads are answered by the older version's rows (see `standing.ts`).
 * - The swap is one transaction: under the lock, the new version's slots have passed the older one's, and all that it
 *   consumed is what the log holds. A build of which that is not true fails, visibly, and is never swapped.
 * - What others do to the stored state (another process swaps, an operator cancels or restarts) is noticed by looking.
 */
import { ConvergentError } from "../errors/error.ts";
import type { Log } from "../log/log.ts";
import type { ParkedKey } from "../log/reader-rows.ts";
import type { DefinitionRow, DefinitionState, ReadTransaction, WriteTransaction } from "../log/store.ts";
import { comparePositions, type Position } from "../position/position.ts";
import type { Reader } from "../readers/reader.ts";
import type { ReaderSetting } from "../readers/reader-options.ts";
import { rowsPlace } from "../readers/slot-places.ts";
import { dropRows } from "./dropping.ts";
import { requireUnchanged } from "./fingerprint.ts";
import { predecessorOf } from "./predecessors.ts";
import { type Pace, PaceMeter } from "./progress.ts";
import { keptRows, type OlderRows, storedRows } from "./standing.ts";
import { type Mismatch, type Reached, Verification } from "./verification.ts";
import { answering, isKept, putInPlace, register, setState, slotsOf, storedVersion, versionsOf } from "./versions.ts";
import type { AnyView } from "./view.ts";
import { type ReadEvent, viewReader } from "./view-reader.ts";
import type { ViewRows } from "./view-rows.ts";

/** How often a build that moves is looked at, and one that stands still. */
const lookMs = 50;
const standstillMs = 500;

/** Positions that may be left to scan inside the swap: some milliseconds under the lock. */
const swapPositionsMax = 2_000;

/** When to ask again for what only the new version can answer. */
const retryMinMs = 1_000;
const retryMaxMs = 60_000;

/** How often a build says how far it is. */
const progressMs = 5_000;

/** What happens to the versions of a view. */
export type RebuildNews = { readonly view: string; readonly version: number } & (
  | { readonly kind: "begun" | "resumed"; readonly beside: number | undefined }
  | ({ readonly kind: "progress"; readonly position: Position; readonly head: Position } & Pace)
  | { readonly kind: "swapped"; readonly position: Position; readonly ms: number }
  | { readonly kind: "failed"; readonly reason: string }
  | { readonly kind: "waiting"; readonly keys: number; readonly key: string; readonly position: Position; readonly error: string }
  | { readonly kind: "cancelled" | "dropped" }
);

export interface RebuildOptions {
  readonly definition: AnyView;
  readonly log: Log;
  /** The version's own; another one each time a strong version is begun anew. */
  readonly reader: () => Reader<ReadEvent>;
  readonly rows: ViewRows;
  readonly news: (news: RebuildNews) => void;
  /** How its readers run. */
  readonly setting: ReaderSetting;
}

export class Rebuild {
  readonly #options: RebuildOptions;
  readonly #verification: Verification;
  readonly #pace: PaceMeter;
  readonly #startedAt: number;
  #state: DefinitionState = "building";
  #older: OlderRows | undefined;
  readonly #decided = new WeakMap<ReadTransaction, Promise<OlderRows | undefined>>();
  #previous: Reader<ReadEvent> | undefined;
  #toldAt: number;
  #running: Promise<void> | undefined;
  #rouse: (() => void) | undefined;
  /** Once the older version was passed: the head at that moment. */
  #target: Position | undefined;
  #toldParked = false;
  #stopped = false;

  constructor(options: RebuildOptions) {
    this.#options = options;
    this.#verification = new Verification(options.log, options.definition);
    this.#pace = new PaceMeter(options.log.host.clock);
    this.#startedAt = options.log.host.clock.elapsed();
    this.#toldAt = this.#startedAt;
  }

  /** Where the version stood when this process last looked. */
  get state(): DefinitionState {
    return this.#state;
  }

  /** Nothing moves any more, neither the build nor the older version's rows. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** The older version's rows, while they answer reads. */
  get older(): OlderRows | undefined {
    return this.#older;
  }

  /** The reader of the version it replaces, while this process keeps that as well. */
  get previous(): Reader<ReadEvent> | undefined {
    return this.#previous;
  }

  /** Positions a second, and time left. */
  pace(head: Position): Pace {
    return this.#pace.pace(this.#options.reader().position, head);
  }

  /** The failure of a question that has to wait for this version, with how far it is and when to ask again. */
  notYet(cause: Error): ConvergentError {
    const { definition, log } = this.#options;
    const reader = this.#options.reader();
    const { name: view, version } = definition;
    const head = log.headKnown.position;
    const { leftMs } = this.pace(head);
    const retryAfterMs = Math.min(retryMaxMs, Math.max(retryMinMs, leftMs ?? retryMinMs));
    return new ConvergentError(
      "rebuilding",
      `version ${version} of the view "${view}" is being built (position ${reader.position} of ${head}, ${this.#state}), and the version before it cannot answer this: ${cause.message}; ask again later`,
      {
        cause,
        details: {
          view,
          version,
          state: this.#state,
          position: reader.position,
          head,
          retryAfterMs,
          ...(leftMs === undefined ? {} : { leftMs }),
        },
      },
    );
  }

  /** Remembers the definition, and finds out which version answers reads. Throws `definition_changed`. */
  async register(): Promise<void> {
    const { definition, log, rows } = this.#options;
    for (;;) {
      const { state, isNew } = await log.transact(async (tx) => {
        const registered = await register(tx, definition, log);
        if (registered.isNew) await rows.prepare(tx);
        return registered;
      });
      if (state === "dropping") {
        await dropRows(log, definition);
        continue;
      }
      this.#state = state;
      if (state === "active" || state === "retired") return;
      if (isNew) log.host.reached("rebuild.begun");
      await this.#standBack();
      await this.#verification.resume();
      this.#tell({ kind: isNew ? "begun" : "resumed", beside: this.#older?.version });
      return;
    }
  }

  /** Follows the build until it is in place. */
  watch(): void {
    if (this.#state !== "active" && this.#state !== "retired") this.#running ??= this.#watch();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#rouse?.();
    await this.#running;
    await this.#previous?.stop();
  }

  /**
   * The older rows that answer in this snapshot; `undefined` when the version's own do. Decided once a snapshot: when the swap is heard of
   * between the label of an answer and its value, both are still of one version (found by the torture, seed 4712: a value of
   * the new rows under a label of the old ones).
   */
  olderIn(tx: ReadTransaction): Promise<OlderRows | undefined> {
    let decided = this.#decided.get(tx);
    if (!decided) this.#decided.set(tx, (decided = this.#olderIn(tx, this.#older)));
    return decided;
  }

  async #olderIn(tx: ReadTransaction, older: OlderRows | undefined): Promise<OlderRows | undefined> {
    if (!older) return undefined;
    const { definition, log } = this.#options;
    const row = await answering(tx, definition.name, definition.version);
    if (!row || row.version === definition.version) return undefined;
    return row.version === older.version ? older : storedRows(definition, row, log);
  }

  /** Verifies as far as the reader has come. Answers whether all that it consumed so far is right. */
  async verify(): Promise<boolean> {
    const { log } = this.#options;
    const reached = this.#reached();
    const { position } = await log.snapshot(reached);
    // Another process has begun the build anew: what was verified is gone.
    if (comparePositions(position, this.#verification.through) < 0) await this.#forgetProgress();
    const mismatch = await this.#verification.advance(position, () => this.#stopped);
    if (mismatch) await log.transact((tx) => this.#fail(mismatch, tx));
    return mismatch === undefined;
  }

  /** To be taken before a transaction; says in it up to where the rows go, and whether the build may be put in place; fails it when it may never be. */
  claim(): (tx: WriteTransaction) => Promise<{ readonly position: Position; readonly isVerified: () => Promise<boolean> }> {
    const reached = this.#reached();
    return async (tx) => {
      const place = await reached(tx);
      return { position: place.position, isVerified: () => this.#isVerified(tx, place) };
    };
  }

  /** Begins anew what somebody has dropped while it was built and nobody watched. Answers whether that was so. Throws `rebuilding` when the build is to stand still. */
  async beginAnew(): Promise<boolean> {
    const { definition, log } = this.#options;
    const { name: view, version } = definition;
    const row = await log.snapshot((tx) => storedVersion(tx, view, version));
    if (row && isKept(row.state)) return false;
    if (row?.state === "cancelled" || row?.state === "failed")
      throw new ConvergentError(
        "rebuilding",
        `the build of version ${version} of the view "${view}" stands still (${row.state}); let it go on by: convergent view rebuild ${view}`,
        { details: { view, version, state: row.state } },
      );
    if (row?.state === "restarting") await dropRows(log, definition);
    else await this.register();
    await this.#forgetProgress();
    return true;
  }

  async #forgetProgress(): Promise<void> {
    await this.#verification.resume();
    this.#target = undefined;
  }

  /** Measures, and now and then tells how far it is. */
  measure(): void {
    const { log } = this.#options;
    const reader = this.#options.reader();
    this.#pace.measure(reader.position);
    const now = log.host.clock.elapsed();
    if (now - this.#toldAt < progressMs) return;
    this.#toldAt = now;
    const head = log.headKnown.position;
    this.#tell({ kind: "progress", position: reader.position, head, ...this.pace(head) });
  }

  /** The version's own rows answer from now on. */
  async finish(state: DefinitionState): Promise<void> {
    const { log } = this.#options;
    const reader = this.#options.reader();
    const wasBuilt = this.#state === "building";
    this.#state = state;
    this.#older = undefined;
    reader.measureAnew();
    if (wasBuilt) this.#tell({ kind: "swapped", position: reader.position, ms: log.host.clock.elapsed() - this.#startedAt });
    await this.#previous?.stop();
    this.#previous = undefined;
  }

  async #watch(): Promise<void> {
    while (!this.#stopped) {
      const done = await this.#look().catch(() => false); // the store is away, for instance: looked at again
      if (done) return;
      await this.#nap(this.#state === "building" ? lookMs : standstillMs);
    }
  }

  /** Answers whether the version is in place. */
  async #look(): Promise<boolean> {
    const { definition, log } = this.#options;
    const reader = this.#options.reader();
    const row = await log.snapshot((tx) => storedVersion(tx, definition.name, definition.version));
    if (!row) await this.#registerAgain();
    const before = row ? this.#state : "building";
    const state = row?.state ?? this.#state;
    if (state === "active" || state === "retired") {
      await this.finish(state);
      return true;
    }
    this.#state = state;
    if (state !== "building") return this.#standStill(before);
    if (before !== "building") {
      await this.#forgetProgress();
      reader.resume();
      this.#tell({ kind: "resumed", beside: this.#older?.version });
    }
    this.measure();
    await this.#claimSlots();
    return (await this.verify()) && this.#swap();
  }

  // A process that had just come when the rows were dropped waits for its slots to be handed over, by one that has none any more.
  async #claimSlots(): Promise<void> {
    const { log, reader, setting } = this.#options;
    const key = reader().checkpointKey;
    const isShort = await log.snapshot(async (tx) => (await tx.ownership.leases(key)).length < (await tx.checkpoints(key)).length);
    if (isShort) await setting.membership?.settle();
  }

  // Somebody reset the view, or dropped this version: it is built again from the first event.
  async #registerAgain(): Promise<void> {
    await this.#previous?.stop();
    this.#previous = undefined;
    this.#older = undefined;
    this.#target = undefined;
    await this.register();
    this.#options.reader().resume();
  }

  async #standStill(before: DefinitionState): Promise<boolean> {
    const { definition, log } = this.#options;
    this.#options.reader().pause();
    if (this.#state === "cancelled" && before !== "cancelled") this.#tell({ kind: "cancelled" });
    if (this.#state === "restarting") await dropRows(log, definition);
    return false;
  }

  async #swap(): Promise<boolean> {
    const { definition, log } = this.#options;
    const reached = this.#reached();
    if (!(await log.snapshot(async (tx) => this.#hasPassed(tx, (await reached(tx)).position)))) return false;
    const state = await log.transact(async (tx) => {
      await tx.lock();
      const own = await storedVersion(tx, definition.name, definition.version);
      const place = await reached(tx);
      if (own?.state !== "building" || !(await this.#hasPassed(tx, place.position)) || !(await this.#isVerified(tx, place)))
        return undefined;
      log.host.reached("rebuild.swapping");
      const placed = await putInPlace(tx, own, log);
      log.host.reached("rebuild.swapped");
      return placed;
    });
    if (state === undefined) return false;
    log.host.reached("rebuild.committed");
    await this.finish(state);
    return true;
  }

  /** What is left of the verification, inside the transaction that swaps. Answers whether the swap may be; fails the build when it may never be. */
  async #isVerified(tx: WriteTransaction, reached: Reached): Promise<boolean> {
    if (this.#verification.left(reached) > swapPositionsMax) return false;
    const mismatch = await this.#verification.complete(tx, reached);
    if (mismatch) await this.#fail(mismatch, tx);
    return mismatch === undefined;
  }

  /** To be taken before a transaction. */
  #reached(): (tx: ReadTransaction) => Promise<Reached> {
    const { definition, log } = this.#options;
    const claim = this.#options.reader().claim();
    return async (tx) => {
      const slots = await slotsOf(tx, log.store, definition);
      return { slots, position: claim(slots) };
    };
  }

  // What the older version is known to hold is stored late, and its processes know more: so the new one must also have
  // all that the log held when it first came near.
  async #hasPassed(tx: ReadTransaction, position: Position): Promise<boolean> {
    const { definition, log } = this.#options;
    const active = (await versionsOf(tx, definition.name)).find((row) => row.state === "active");
    if (active && comparePositions(position, rowsPlace(await slotsOf(tx, log.store, active))) < 0) return false;
    this.#target ??= (await tx.head()).position;
    return comparePositions(position, this.#target) >= 0 && (!active || (await this.#holdsAll(tx, active)));
  }

  // What the older version could apply and this one has parked would be lost to readers by the swap: it waits until an
  // operator has that replayed, or discarded with a reason.
  async #holdsAll(tx: ReadTransaction, active: DefinitionRow): Promise<boolean> {
    const { definition, log } = this.#options;
    const of = { reader: definition.name, source: log.store };
    const own = await tx.parking.keys({ ...of, version: definition.version });
    if (own.length === 0) return true;
    const older = new Map((await tx.parking.keys({ ...of, version: active.version })).map(({ key, position }) => [key, position]));
    const lacks = ({ key, position }: ParkedKey): boolean => comparePositions(position, older.get(key) ?? (Infinity as Position)) < 0;
    const [first, ...others] = own.filter(lacks);
    if (!first) return true;
    if (!this.#toldParked)
      this.#tell({ kind: "waiting", keys: others.length + 1, key: first.key, position: first.position, error: first.error });
    this.#toldParked = true;
    return false;
  }

  async #fail({ from, to, consumed, logged }: Mismatch, tx: WriteTransaction): Promise<void> {
    const { name, version } = this.#options.definition;
    this.#options.reader().pause();
    const reason = `of positions ${from} to ${to} it consumed ${consumed.events} events, and the log holds ${logged.events}${consumed.events === logged.events ? " others" : ""}; build it again with: convergent view rebuild ${name}`;
    const row = await storedVersion(tx, name, version);
    if (row?.state === "building") await setState(tx, row, "failed", reason);
    this.#state = "failed";
    this.#tell({ kind: "failed", reason });
  }

  /** Lets the older version answer, by a reader of this process when the definition names that version. */
  async #standBack(): Promise<void> {
    const { definition, log, setting } = this.#options;
    const row = await log.snapshot((tx) => answering(tx, definition.name, definition.version));
    if (!row || row.version === definition.version) return;
    const older = predecessorOf(definition, row.version);
    if (!older || definition.consistency === "strong") {
      this.#older = storedRows(definition, row, log);
      return;
    }
    requireUnchanged(older.view, row, "a newer version replaces it: name the definition as it was");
    this.#previous = viewReader(older.view, log, setting);
    this.#previous.start();
    this.#older = keptRows(older, this.#previous);
  }

  #tell(news: DistributiveOmit<RebuildNews, "view" | "version">): void {
    const { name: view, version } = this.#options.definition;
    this.#options.news({ view, version, ...news });
  }

  async #nap(ms: number): Promise<void> {
    if (this.#stopped) return;
    await new Promise<void>((resolve) => {
      const timer = this.#options.log.host.timers.after(ms, resolve);
      this.#rouse = () => {
        timer.cancel();
        resolve();
      };
    });
  }
}

type DistributiveOmit<Union, Key extends PropertyKey> = Union extends unknown ? Omit<Union, Key> : never;
