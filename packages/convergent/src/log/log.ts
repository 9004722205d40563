/**
 * The log of one service: appends with group commit, reads, and tokens. Everything else of the toolkit stands on it.
 *
 * Promises, for every store that keeps its own (see `store.ts`): L1 dense positions in commit order, L2 acknowledged
 * means durable, L3 versions, L4 idempotent appends, L5 epochs. `admission.ts` says how.
 */
import { ConvergentError } from "../errors/error.ts";
import type { Host } from "../host/host.ts";
import { comparePositions, laterPosition, origin, type Position } from "../position/position.ts";
import { emptyToken, type Token, type TokenEntry } from "../position/token.ts";
import {
  admit,
  type Admitted,
  decidesBatches,
  eventsOf,
  idsKeptMs,
  partKey,
  prepareAppend,
  type Prepared,
  prepareTogether,
  reused,
  type StrongFold,
  voided,
  voidRecord,
} from "./admission.ts";
import type { AppendId, AppendOutcome, AppendPart, Appended, AppendRequest, AppendAllOutcome } from "./append.ts";
import type { StoredEvent } from "./event.ts";
import { EventTypes } from "./event-types.ts";
import { type Claim, type Fork, forkIfRefuted } from "./epochs.ts";
import { Followers, type Route } from "./followers.ts";
import { FollowedLogs } from "./followed-logs.ts";
import type { KeyVault } from "./key-vault.ts";
import { GroupCommit } from "./group-commit.ts";
import type { Replicas } from "./replicas.ts";
import type { EventFilter, LogPage, LogSource, Seen } from "./source.ts";
import type {
  CheckpointKey,
  Epoch,
  Head,
  IdKey,
  IdRecord,
  ReadTransaction,
  Store,
  StoreDriver,
  StreamHead,
  WriteTransaction,
  WriteOptions,
} from "./store.ts";
import { isUserTransaction, ofLog, stageAppend, type StagedAppend, type StagingLog, type UserTransaction } from "./staging.ts";
import { Tail } from "./tail.ts";
import { type Demand, horizonMs, TokenIssuer } from "./token-issuer.ts";
import { TrustedTime } from "./trusted-time.ts";
import { Witness } from "./witness.ts";

/** Positions one page scans when only some types are asked for: bounds the time a read holds its snapshot. */
const scanPositionsMax = 20_000;

/** The log of one service: appends, reads, tokens. */
export class Log implements LogSource {
  readonly store: string;
  readonly host: Host;
  readonly #store: Store;
  readonly #group: GroupCommit;
  readonly #issuer: TokenIssuer;
  readonly #witness: Witness;
  #onFork: ((fork: Fork) => void) | undefined;
  readonly #tail = new Tail();
  readonly #followers: Followers;
  readonly #written = new WeakMap<WriteTransaction, StoredEvent[]>();
  readonly #stopListening: () => void;
  #strong: (() => StrongFold) | undefined;
  #guard: ((tx: WriteTransaction) => Promise<void>) | undefined;
  readonly #time: TrustedTime;
  readonly #followed = new FollowedLogs();
  readonly #types = new EventTypes();
  #head: Head = { position: origin, at: 0 };
  /** The token asked for last: reads at head ask for the same one again and again, and it is signed once. */
  #issued: { readonly position: Position; readonly token: Token } | undefined;

  private constructor(store: Store) {
    this.#store = store;
    this.store = store.identity.store;
    this.host = store.host;
    this.#issuer = new TokenIssuer(store);
    this.#witness = new Witness(store);
    this.#time = new TrustedTime(store.host.clock);
    this.#group = new GroupCommit(
      (batch) => this.#commit(batch),
      store.host,
      () => (decidesBatches(store) && !store.isContended ? 2 : 1),
    );
    this.#followers = new Followers(this);
    this.#stopListening = store.onCommit((by) => this.#followers.committed(by));
  }

  /**
   * Opens the log of the service `name`; creates its store when it is missing. `onFork` is told when the store turns out
   * to be an older copy of itself, now or later, and has begun a new epoch.
   */
  static async open(driver: StoreDriver, name: string, options: { readonly onFork?: (fork: Fork) => void } = {}): Promise<Log> {
    const store = await driver.open({ name });
    const log = new Log(store);
    log.#onFork = options.onFork;
    try {
      const fork = await log.#witness.compare();
      if (fork) log.#onFork?.(fork);
      log.#followers.begin((await log.head()).position);
      await log.#witness.write();
      return log;
    } catch (error) {
      await store.close();
      throw error;
    }
  }

  get epochs(): readonly Epoch[] {
    return this.#store.identity.epochs;
  }

  /** The present epoch. */
  get epoch(): Epoch {
    return this.epochs.at(-1) as Epoch;
  }

  /** Where the keys of persons lie. */
  get vault(): KeyVault | undefined {
    return this.#store.vault;
  }

  /** See `Store.replicas`. */
  get replicas(): Replicas | undefined {
    return this.#store.replicas;
  }

  /** See `Store.scrub`. */
  scrub(): Promise<void> {
    return this.#store.scrub();
  }

  /** Whether the caller runs inside a transaction of this log: what it does there must be given that transaction. */
  insideWrite(): boolean {
    return this.#store.insideWrite();
  }

  /**
   * Appends events to one stream. With `tx`, inside a transaction of `transact`, to be committed with it; otherwise
   * it resolves when the events are durable. Conflicts are values. Throws `invalid_input`, `idempotency_key_reused`,
   * `id_voided`, `append_in_transaction`, `definitions_outdated`, `unavailable`, `disk_full`, `outcome_unknown`.
   */
  append(request: AppendRequest, options?: { tx?: WriteTransaction }): Promise<AppendOutcome>;
  /**
   * Stages events in a transaction of the caller's own, which must be READ COMMITTED: `expected` and the id are compared, and positions
   * given, at its COMMIT. See `StagedAppend`. Throws `invalid_input`, `isolation_unsupported`, `transaction_unsupported`.
   */
  append(request: AppendRequest, options: { tx: UserTransaction }): Promise<StagedAppend>;
  async append(request: AppendRequest, { tx }: { tx?: WriteTransaction | UserTransaction } = {}): Promise<AppendOutcome | StagedAppend> {
    const prepared = prepareAppend(request, this.host);
    if (tx && isUserTransaction(tx)) return stageAppend(tx, prepared, this.#staging());
    const outcome = await this.#decided(prepared, request.stream, tx);
    return outcome.kind === "appended" ? this.#appended(request.stream, outcome, tx) : outcome;
  }

  /**
   * Appends to several streams, all parts or none, at positions that follow each other; one stream may come several
   * times. Each part's `expected` is enforced, and a conflict says whose. The whole is remembered under one id: the same
   * again gives the first result for every part. Strong views judge where the whole leads. Throws what `append` throws.
   */
  async appendAll(parts: readonly AppendPart[], options: { id?: AppendId; tx?: WriteTransaction } = {}): Promise<AppendAllOutcome> {
    const { tx, id } = options;
    const outcome = await this.#decided(prepareTogether(parts, id, this.host), parts[0]?.stream ?? "", tx);
    if (outcome.kind === "refused") return outcome;
    if (outcome.kind === "conflict") {
      const { version, index = 0 } = outcome;
      return { kind: "conflict", version, index, stream: parts[index]?.stream ?? "" };
    }
    const { record, repeated } = outcome;
    const keys = record && repeated ? parts.map((_, index) => partKey(record, index)) : [];
    const records = tx || keys.length === 0 ? await tx?.ids(keys) : await this.#store.read((read) => read.ids(keys));
    const appended: Appended[] = [];
    let taken = 0;
    for (const [index, { stream, events }] of parts.entries()) {
      const own = outcome.events.slice(taken, (taken += events.length));
      appended.push(await this.#appended(stream, { ...outcome, events: own, record: repeated ? records?.[index] : undefined }, tx));
    }
    const { at, token } = appended.at(-1) as Appended;
    return { kind: "appended", parts: appended, at, token, repeated };
  }

  #staging(): StagingLog {
    const tokenAt = (position: Position): Promise<Token> => this.tokenAt(position);
    const idsBefore = this.#time.now() - idsKeptMs;
    return { store: this.#store, host: this.host, isStrong: this.#strong !== undefined, idsBefore, tokenAt };
  }

  // In the caller's transaction, or in one that is shared with all who wait.
  async #decided(prepared: Prepared, stream: string, tx: WriteTransaction | undefined): Promise<Admitted> {
    if (tx) {
      const [outcome] = await this.#admit(ofLog(tx, stream), [prepared]);
      if (outcome instanceof ConvergentError) throw outcome;
      return outcome as Admitted;
    }
    if (this.#store.insideWrite()) {
      throw new ConvergentError(
        "append_in_transaction",
        `an append to ${stream} inside an open write transaction would wait for itself; pass it that transaction as { tx }`,
      );
    }
    return this.#group.append(prepared);
  }

  /** What is remembered under an id (L4). Throws `idempotency_key_reused` or `id_voided`; `undefined` when the id is new. */
  async remembered(key: IdKey, digest: string, tx?: ReadTransaction): Promise<IdRecord | undefined> {
    const [record] = tx ? await tx.ids([key]) : await this.#store.read((read) => read.ids([key]));
    if (record?.state === "void") throw voided(record);
    if (record && record.digest !== digest) throw reused(record);
    return record;
  }

  /** Voids an id, so that an append under it can never take effect; if one already has, says so by its record. */
  async void(key: IdKey): Promise<IdRecord> {
    return this.transact(async (tx) => {
      const head = await tx.lock();
      const [known] = await tx.ids([key]);
      if (known) return known;
      const record = voidRecord(key, head, this.host.clock.now());
      await tx.insert({ events: [], heads: new Map(), ids: [record] });
      return record;
    });
  }

  /** Runs `body` in one write transaction, with every append that is given its `tx`; options as `Store.write` says. */
  async transact<T>(body: (tx: WriteTransaction) => Promise<T>, options: WriteOptions = {}): Promise<T> {
    let written: StoredEvent[] = [];
    const result = await this.#store.write(async (tx) => {
      this.#written.set(tx, (written = []));
      return body(tx);
    }, options);
    this.#publish(written);
    return result;
  }

  #publish(written: readonly StoredEvent[]): void {
    if (written.length === 0) return;
    this.#tail.push(written);
    this.#advanceTo(written.at(-1) as StoredEvent);
    this.#followers.published(written);
  }

  /** Runs `body` on one snapshot. */
  async snapshot<T>(body: (tx: ReadTransaction) => Promise<T>): Promise<T> {
    return this.#store.read(body);
  }

  async read(query: { after: Position; limit: number } & EventFilter): Promise<LogPage> {
    const recent = this.#tail.after(query.after, query.limit);
    if (recent) {
      const { types, others } = query;
      const events = types ? recent.filter((event) => types.includes(event.type) || others?.(event.type)) : recent;
      return { events, scanned: (recent.at(-1) as StoredEvent).position, head: this.#head };
    }
    return this.#store.read(async (tx) => {
      // This snapshot's own head: what others made known meanwhile is not in it.
      const head = await tx.head();
      this.#advanceTo(head);
      const upTo = Math.min(head.position, query.types ? query.after + scanPositionsMax : head.position) as Position;
      if (comparePositions(query.after, upTo) >= 0) return { events: [], scanned: query.after, head };
      const events = await tx.events({ after: query.after, upTo, limit: query.limit, ...(await this.#types.of(query, tx)) });
      return { events, scanned: events.length === query.limit ? (events.at(-1) as StoredEvent).position : upTo, head };
    });
  }

  /** The types of all events ever appended, by whatever release. */
  async eventTypes(): Promise<readonly string[]> {
    return this.#store.read((tx) => this.#types.all(tx));
  }

  /** Events of one stream, oldest first, with versions in (`after`, `upTo`]. */
  async stream(
    stream: string,
    query: { after?: number; upTo?: number; limit?: number } = {},
    tx?: ReadTransaction,
  ): Promise<StoredEvent[]> {
    const whole = { after: query.after ?? 0, upTo: query.upTo ?? Number.MAX_SAFE_INTEGER, limit: query.limit ?? Number.MAX_SAFE_INTEGER };
    return tx ? tx.streamEvents(stream, whole) : this.#store.read((read) => read.streamEvents(stream, whole));
  }

  async streamHead(stream: string, tx?: ReadTransaction): Promise<StreamHead | undefined> {
    const [head] = tx ? await tx.streamHeads([stream]) : await this.#store.read((read) => read.streamHeads([stream]));
    return head;
  }

  async head(): Promise<Head> {
    this.#advanceTo(await this.#store.read((tx) => tx.head()));
    return this.#head;
  }

  /** The newest head this process knows of, without asking the store: at or before the real one. */
  get headKnown(): Head {
    return this.#head;
  }

  /** The time of the event at a position, in milliseconds; `undefined` past head. */
  async timeAt(position: Position, tx?: ReadTransaction): Promise<number | undefined> {
    return (await this.#eventAt(position, tx))?.at;
  }

  /** A token for everything up to a position that exists. */
  async tokenAt(position: Position, tx?: ReadTransaction): Promise<Token> {
    if (position === origin) return emptyToken;
    if (this.#issued?.position === position) return this.#issued.token;
    const event = await this.#eventAt(position, tx);
    if (!event) throw new ConvergentError("invalid_input", `${this.store} has no position ${position} yet`);
    const token = this.#issuer.issue(event);
    if (!tx || !this.#written.has(tx as WriteTransaction)) this.#issued = { position, token };
    return token;
  }

  /** What a token asks of this store. Entries past the horizon, by the clock and by the log's own time, ask for nothing. Throws `token_invalid`, `token_epoch`. */
  async demand(token: Token): Promise<Demand> {
    const oldest = Math.min(this.host.clock.now(), this.#head.at) - horizonMs; // one of them may be hours ahead, of a wrong clock
    const foreign: TokenEntry[] = [];
    let position = origin;
    for (const entry of token.entries) {
      if (entry.store === this.store) {
        if (!this.epochs.some((epoch) => epoch.id === entry.epoch)) await this.head(); // another process may have begun it
        this.#issuer.verify(entry);
        await this.#recognise(entry);
        if (entry.time >= oldest) position = laterPosition(position, entry.position);
      } else foreign.push(entry); // however old: only the reader of that log can say whether it has passed it
    }
    return { position, foreign };
  }

  async seen(): Promise<{ at: Position; seen: Seen }> {
    return this.#store.read((tx) => this.#followed.seen(tx));
  }

  /**
   * Looks into somebody's word that this log once had an event. If it is true and the event is gone, the store is an
   * older copy of itself: a new epoch begins, once, so that what is appended from now on is told apart.
   */
  async doubt(claim: Claim): Promise<void> {
    // Inside a transaction of this log the lock is taken; the next one who asks will find the same.
    if (claim.epoch !== this.epoch.id || this.#store.insideWrite()) return;
    const fork = await this.#store.write((tx) => forkIfRefuted(tx, claim, this.host.random));
    if (!fork) return;
    await this.#witness.write();
    this.#onFork?.({ ...fork, store: this.store });
  }

  /** Counts a reader of another log among those that `seen` speaks of. */
  addInbox(key: CheckpointKey, source: LogSource): void {
    this.#followed.add(key, source);
  }

  onAdvance(listener: () => void): () => void {
    return this.#followers.listen(listener);
  }

  /** Wakes for the events that a filter lets through: what readers of this log in its own process follow it by. */
  follow(filter: EventFilter, wake: () => void): Route {
    return this.#followers.follow(filter, wake);
  }

  /** Whether this transaction has appended to a stream: what it reads there is not committed yet. */
  isStaged(tx: ReadTransaction, stream: string): boolean {
    return this.#written.get(tx as WriteTransaction)?.some((event) => event.stream === stream) ?? false;
  }

  /** Sets how strong views are folded inside appends, and a check that runs before each append (`definitions_outdated`). */
  useStrongViews(fold: (() => StrongFold) | undefined, guard: (tx: WriteTransaction) => Promise<void>): void {
    this.#strong = fold;
    this.#guard = guard;
  }

  /** Moves all events but the last of these streams to the archive; see `Store.archive`. */
  async archive(streams: readonly string[]): Promise<number> {
    return this.#store.archive(streams);
  }

  /** Finishes what was begun and closes the store. */
  async close(): Promise<void> {
    await this.#group.drained();
    await this.#witness.close();
    this.#stopListening();
    this.#followers.close();
    await this.#store.close();
  }

  // A store that decides by itself knows no strong views: their handlers are code of this process.
  async #commit(batch: readonly Prepared[]): Promise<Array<Admitted | ConvergentError>> {
    if (!this.#strong && decidesBatches(this.#store)) {
      const outcomes = await this.#store.appendBatch(batch, { now: this.host.clock.now(), idsBefore: this.#time.now() - idsKeptMs });
      this.#publish(outcomes?.flatMap(eventsOf) ?? []);
      if (outcomes) return outcomes;
    }
    return this.transact((tx) => this.#admit(tx, batch), { appends: true });
  }

  async #admit(tx: WriteTransaction, batch: readonly Prepared[]): Promise<Array<Admitted | ConvergentError>> {
    const written = this.#written.get(tx);
    if (!written) throw new ConvergentError("invalid_input", "the transaction given to an append is not one of this log");
    await this.#guard?.(tx);
    const outcomes = await admit(tx, batch, { strong: this.#strong?.(), host: this.host, idsBefore: this.#time.now() - idsKeptMs });
    for (const outcome of outcomes) for (const event of eventsOf(outcome)) written.push(event);
    return outcomes;
  }

  async #appended(stream: string, outcome: Admitted & { kind: "appended" }, tx?: ReadTransaction): Promise<Appended> {
    const newest = outcome.events.at(-1);
    if (newest) {
      const { version: lastVersion, at } = newest;
      const firstVersion = lastVersion - outcome.events.length + 1;
      const token = this.#issuer.issue(newest);
      return { kind: "appended", stream, firstVersion, lastVersion, events: outcome.events, at, token, repeated: false };
    }
    const { firstVersion, lastVersion, at, position } = outcome.record as IdRecord;
    const token = await this.tokenAt(position, tx);
    return { kind: "appended", stream, firstVersion, lastVersion, events: [], at, token, repeated: true };
  }

  async #eventAt(position: Position, tx?: ReadTransaction): Promise<StoredEvent | undefined> {
    const recent = this.#tail.at(position);
    if (recent) return recent;
    const query = { after: (position - 1) as Position, upTo: position, limit: 1 };
    const [event] = tx ? await tx.events(query) : await this.#store.read((read) => read.events(query));
    return event;
  }

  // L5: an entry above head, or with another event at its position, was issued by a history that is not this one.
  async #recognise(entry: TokenEntry): Promise<void> {
    if (entry.position === origin) return;
    if (await this.#holds(entry)) return;
    await this.doubt({ by: "token", epoch: entry.epoch, position: entry.position, check: entry.check });
    if (await this.#holds(entry)) return;
    const head = await this.head();
    throw this.#issuer.lost(entry, Math.min(head.position, entry.position - 1) as Position);
  }

  async #holds(entry: TokenEntry): Promise<boolean> {
    const event = await this.#eventAt(entry.position);
    return event !== undefined && this.#issuer.matches(entry, event.id);
  }

  #advanceTo(head: Head): void {
    if (comparePositions(head.position, this.#head.position) <= 0) return;
    this.#head = { position: head.position, at: head.at };
    this.#witness.advanced();
  }
}
