/**
 * The states of an entity's streams: folded from the log, remembered in memory, and staged within a transaction that
 * has appended. What is remembered is a hint that is compared with the stream's version before it counts.
 */
import { dropped, type EventCodec } from "../log/codec.ts";
import type { StoredEvent } from "../log/event.ts";
import type { Log } from "../log/log.ts";
import type { ReadTransaction } from "../log/store.ts";
import type { AnyEntity } from "./entity.ts";
import { frozen } from "./frozen.ts";
import type { Snapshots } from "./snapshots.ts";
import { type KnownState, StateCache } from "./state-cache.ts";

/** Events read at a time when a long stream is folded. */
const foldPage = 2000;

/** How far a stream is folded: up to a version, and not past a time. */
export interface FoldBounds {
  readonly upTo: number;
  readonly untilMs?: number;
}

/** A state with the newest event in it, when this call met it, and the version it was folded on from. */
export interface FoldedState extends KnownState {
  readonly last: StoredEvent | undefined;
  readonly from: number;
}

export class Folding {
  readonly #definition: AnyEntity;
  readonly #log: Log;
  readonly #codec: EventCodec;
  readonly #snapshots: Snapshots;
  readonly #remembered = new StateCache();
  #generation = "";
  // States that a transaction has led to and not committed: a batch of commands on one stream folds each event once.
  readonly #staged = new WeakMap<ReadTransaction, Map<string, KnownState>>();

  constructor(definition: AnyEntity, log: Log, { codec, snapshots }: { readonly codec: EventCodec; readonly snapshots: Snapshots }) {
    this.#definition = definition;
    this.#log = log;
    this.#codec = codec;
    this.#snapshots = snapshots;
  }

  /** The state in memory, of whatever version. */
  remembered(stream: string): KnownState | undefined {
    this.#current();
    return this.#remembered.get(stream);
  }

  /** Drops a remembered state that turned out to be old. */
  forget(stream: string, version: number): void {
    this.#remembered.forget(stream, version);
  }

  /** The state at a version that the stream has in `tx`. */
  async at(stream: string, version: number, tx: ReadTransaction): Promise<KnownState> {
    const generation = this.#current();
    const known = this.#staged.get(tx)?.get(stream) ?? this.#remembered.get(stream);
    if (known?.version === version) return known;
    const base = known && known.version < version ? known : undefined;
    const { state, last, from } = await this.fold(stream, { upTo: version }, tx, base);
    const present = { version, state, generation };
    if (last) this.#snapshots.offer(last, present, from);
    // What is staged may yet be rolled back.
    if (version > 0 && !this.#log.isStaged(tx, stream)) this.#keep(stream, present);
    return present;
  }

  /** The state at an earlier version that the stream has: from what is remembered of it, where that reaches so far back. */
  async past(stream: string, version: number, tx?: ReadTransaction): Promise<KnownState> {
    this.#current();
    const base = this.#remembered.before(stream, version);
    return base?.version === version ? base : this.fold(stream, { upTo: version }, tx, base);
  }

  /** Folds a stream's events onto `base`; without one, from the newest snapshot or from the first event on. */
  async fold(stream: string, bounds: FoldBounds, tx?: ReadTransaction, base?: KnownState): Promise<FoldedState> {
    if (!tx) return this.#log.snapshot((read) => this.fold(stream, bounds, read, base));
    // Of the keys that were there before anything was read: what was unsealed by older ones is not passed on.
    const generation = base?.generation ?? this.#current();
    const start = base ?? (await this.#snapshots.base(stream, bounds, tx));
    const { upTo, untilMs = Number.POSITIVE_INFINITY } = bounds;
    const initial = (): KnownState & { last: undefined } => ({ version: 0, state: this.#definition.initial() as unknown, last: undefined });
    let { state, version, last }: KnownState & { last?: StoredEvent | undefined } = start ?? initial();
    const from = version;
    const passes = !this.#log.isStaged(tx, stream); // what is staged may yet be rolled back
    while (version < upTo) {
      const page = await this.#log.stream(stream, { after: version, upTo, limit: foldPage }, tx);
      for (const event of page) {
        if (event.at > untilMs) return { state: frozen(state), version, last, from, generation };
        state = this.#evolve(state, event);
        version = event.version;
        last = event;
        if (passes && this.#remembered.isPassed(version, upTo) && generation === this.#current())
          this.#remembered.pass(stream, { version, state: frozen(state), generation });
      }
      if (page.length < foldPage) break;
    }
    return { state: frozen(state), version, last, from, generation };
  }

  /** The state after events that were just appended, remembered, or staged when `tx` is still to commit them. */
  appended(known: KnownState, events: readonly StoredEvent[], tx?: ReadTransaction): KnownState {
    const newest = events.at(-1) as StoredEvent;
    // The stored text is parsed again, so that the state is the fold of what the log holds and not of what was meant.
    const state = frozen(events.reduce((folded, event) => this.#evolve(folded, event), known.state));
    const next = { version: newest.version, state, generation: known.generation ?? "" };
    if (tx) this.#stagedIn(tx).set(newest.stream, next);
    else this.#keep(newest.stream, next);
    this.#snapshots.offer(newest, next, known.version);
    return next;
  }

  // States in memory hold what was unsealed: when somebody was forgotten since, by whatever process, all of them go.
  #current(): string {
    const generation = this.#codec.generation();
    if (generation !== this.#generation) this.#remembered.clear();
    this.#generation = generation;
    return generation;
  }

  #keep(stream: string, known: KnownState): void {
    if (known.generation === this.#current()) this.#remembered.keep(stream, known);
  }

  #stagedIn(tx: ReadTransaction): Map<string, KnownState> {
    let staged = this.#staged.get(tx);
    if (!staged) this.#staged.set(tx, (staged = new Map<string, KnownState>()));
    return staged;
  }

  #evolve(state: unknown, event: StoredEvent): unknown {
    const data = this.#codec.data(event);
    if (data === dropped) return state;
    const evolve = this.#definition.evolve[event.type.slice(this.#definition.name.length + 1)] as (
      state: unknown,
      data: unknown,
    ) => unknown;
    return evolve(state, data);
  }
}
