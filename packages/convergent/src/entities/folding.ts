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
import { type KnownState, StateCache } from "./state-cache.ts";

/** Events read at a time when a long stream is folded. */
const foldPage = 2000;

/** How far a stream is folded: up to a version, and not past a time. */
export interface FoldBounds {
  readonly upTo: number;
  readonly untilMs?: number;
}

/** A state with the last event that was folded into it by this call. */
export interface FoldedState extends KnownState {
  readonly last: StoredEvent | undefined;
}

export class Folding {
  readonly #definition: AnyEntity;
  readonly #log: Log;
  readonly #codec: EventCodec;
  readonly #remembered = new StateCache();
  // States that a transaction has led to and not committed: a batch of commands on one stream folds each event once.
  readonly #staged = new WeakMap<ReadTransaction, Map<string, KnownState>>();

  constructor(definition: AnyEntity, log: Log, codec: EventCodec) {
    this.#definition = definition;
    this.#log = log;
    this.#codec = codec;
  }

  /** The state in memory, of whatever version. */
  remembered(stream: string): KnownState | undefined {
    return this.#remembered.get(stream);
  }

  /** Drops a remembered state that turned out to be old. */
  forget(stream: string, version: number): void {
    this.#remembered.forget(stream, version);
  }

  /** The state at a version that the stream has in `tx`. */
  async at(stream: string, version: number, tx: ReadTransaction): Promise<KnownState> {
    const known = this.#staged.get(tx)?.get(stream) ?? this.#remembered.get(stream);
    if (known?.version === version) return known;
    const base = known && known.version < version ? known : undefined;
    const { state } = await this.fold(stream, { upTo: version }, tx, base);
    const present = { version, state };
    // What is staged may yet be rolled back.
    if (version > 0 && !this.#log.isStaged(tx, stream)) this.#remembered.keep(stream, present);
    return present;
  }

  /** Folds a stream's events onto `base`, from the first one unless given. */
  async fold(
    stream: string,
    { upTo, untilMs = Number.POSITIVE_INFINITY }: FoldBounds,
    tx?: ReadTransaction,
    base: KnownState = { version: 0, state: this.#definition.initial() },
  ): Promise<FoldedState> {
    let { state, version } = base;
    let last: StoredEvent | undefined;
    while (version < upTo) {
      const page = await this.#log.stream(stream, { after: version, upTo, limit: foldPage }, tx);
      for (const event of page) {
        if (event.at > untilMs) return { state: frozen(state), version, last };
        state = this.#evolve(state, event);
        version = event.version;
        last = event;
      }
      if (page.length < foldPage) break;
    }
    return { state: frozen(state), version, last };
  }

  /** The state after events that were just appended, remembered, or staged when `tx` is still to commit them. */
  appended(known: KnownState, events: readonly StoredEvent[], tx?: ReadTransaction): KnownState {
    const newest = events.at(-1) as StoredEvent;
    // The stored text is parsed again, so that the state is the fold of what the log holds and not of what was meant.
    const state = frozen(events.reduce((folded, event) => this.#evolve(folded, event), known.state));
    const next = { version: newest.version, state };
    if (tx) this.#stagedIn(tx).set(newest.stream, next);
    else this.#remembered.keep(newest.stream, next);
    return next;
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
