/**
 * Takes forgotten persons out of a view's documents: a reader of its own beside the view's, which, for each person that
 * was forgotten, folds every document anew that holds something of them, with sealed fields reading as forgotten.
 *
 * - Which documents those are, the person's events say; all events of these documents are read again from the log, before
 *   the transaction, because a log cannot be read through under its lock.
 * - In the transaction each document is folded exactly as far as the view's checkpoint says (R1), so the view's own
 *   reader goes on behind it as if nothing had been. It reads the key anew in each of its transactions, so nothing it
 *   had read before comes back.
 * - The document and this reader's checkpoint are one transaction (R2). A view is where both readers are.
 * - What a view with tables of its own made of an event, only its handlers know: it is emptied and built again.
 */
import type { Claim } from "../log/epochs.ts";
import { EventCodec, isDropped } from "../log/codec.ts";
import type { StoredEvent } from "../log/event.ts";
import { forgottenIn, forgottenType } from "../log/forgotten.ts";
import type { Log } from "../log/log.ts";
import type { EventFilter, LogPage, LogSource } from "../log/source.ts";
import type { Head, ReadTransaction, WriteTransaction } from "../log/store.ts";
import { comparePositions, earlierPosition, laterPosition, origin, type Position } from "../position/position.ts";
import { Reader } from "../readers/reader.ts";
import { recordDiscards } from "../readers/parked-requests.ts";
import type { ReaderSetting } from "../readers/reader-options.ts";
import { slotOf } from "../readers/slots.ts";
import { rowsPlace } from "../readers/slot-places.ts";
import type { Standing } from "./answers.ts";
import { DocumentFold, type KeyedEvent, keyed } from "./fold.ts";
import { isKept, register, slotsOf, storedVersion } from "./versions.ts";
import type { AnyView } from "./view.ts";
import { rowsOf } from "./view-rows.ts";

/** Events read at a time. */
const page = 1000;

/** Persons whose documents are folded anew in one transaction. */
const batchEvents = 16;

/** What is to be folded anew for one person. */
interface Plan {
  readonly keys: ReadonlySet<string>;
  /** Every event of these documents up to `upTo`, in log order. */
  readonly events: readonly StoredEvent[];
  readonly upTo: Position;
}

export interface ForgettingOptions {
  readonly definition: AnyView;
  readonly log: Log;
  readonly setting: ReaderSetting;
}

/** The reader for a view whose entities have personal data; `undefined` for all others. */
export function forgettingReader({ definition, log, setting }: ForgettingOptions): Reader | undefined {
  const codec = new EventCodec(definition.from, log);
  if (!codec.isPersonal) return undefined;
  const documents = new AffectedDocuments(definition, log, codec);
  return new Reader<StoredEvent>({
    ...setting,
    name: `${definition.name}.forgotten`,
    version: definition.version,
    source: documents,
    effects: log,
    types: [forgottenType],
    slots: 1,
    batchEvents,
    prepare: (event) => event,
    orderKey: (event) => event.stream,
    inherits: true, // rows of a new version are folded by keys that are gone already
    apply: (tx, events) => documents.replace(tx, events),
    committed: () => void log.scrub(),
  });
}

/** Where a view stands that is also behind a forgotten person whom its forgetting reader has not taken out; and behind nothing else of that reader. */
export function withForgetting(standing: Standing, forgetting: Reader | undefined, log: Log): Standing {
  if (!forgetting) return standing;
  const before = (next: Position | undefined): Position => (next === undefined ? log.headKnown.position : ((next - 1) as Position));
  return {
    position: async (key) => {
      const own = await standing.position(key);
      const next = await log.snapshot((tx) => nextForgotten(tx, forgetting.position));
      return next === undefined ? own : earlierPosition(own ?? log.headKnown.position, before(next));
    },
    waitFor: async (position, waitMs, place) => {
      const next = await log.snapshot((tx) => nextForgotten(tx, forgetting.position));
      if (next === undefined || comparePositions(next, position) > 0) return standing.waitFor(position, waitMs, place);
      const { signal } = place;
      const both = [standing.waitFor(position, waitMs, place), forgetting.waitFor(position, waitMs, signal ? { signal } : {})];
      return (await Promise.all(both)).every(Boolean);
    },
    claim: () => {
      const own = standing.claim();
      const forgotten = forgetting.claim();
      return async (tx, key) => {
        const next = await nextForgotten(tx, forgotten(await tx.checkpoints(forgetting.checkpointKey)));
        const held = await own(tx, key);
        return next === undefined ? held : { ...held, position: earlierPosition(held.position, before(next)) };
      };
    },
    elsewhere: () => {
      const own = standing.elsewhere();
      if (!own) return undefined;
      return async (tx, key) => {
        const [held, rows] = await Promise.all([own(tx, key), tx.checkpoints(forgetting.checkpointKey)]);
        if (!held) return undefined;
        const next = await nextForgotten(tx, rowsPlace(rows));
        return next === undefined ? held : { ...held, position: earlierPosition(held.position, before(next)) };
      };
    },
  };
}

/** The first event after a position that says that somebody was forgotten. */
async function nextForgotten(tx: ReadTransaction, after: Position): Promise<Position | undefined> {
  if (!(await tx.eventTypes(0)).includes(forgottenType)) return undefined;
  const [event] = await tx.events({ after, upTo: (await tx.head()).position, limit: 1, types: [forgottenType] });
  return event?.position;
}

/** The log, read together with what each forgotten person's documents are to be folded from. */
class AffectedDocuments implements LogSource {
  readonly #definition: AnyView;
  readonly #log: Log;
  readonly #codec: EventCodec;
  readonly #types: readonly string[];
  #plans = new Map<string, Plan>();

  constructor(definition: AnyView, log: Log, codec: EventCodec) {
    this.#definition = definition;
    this.#log = log;
    this.#codec = codec;
    this.#types = [...definition.handlers.keys()];
  }

  get store(): string {
    return this.#log.store;
  }

  get epochs(): LogSource["epochs"] {
    return this.#log.epochs;
  }

  async read(query: { after: Position; limit: number } & EventFilter): Promise<LogPage> {
    const found = await this.#log.read({ ...query, limit: Math.min(query.limit, batchEvents) });
    const plans = new Map<string, Plan>();
    for (const event of found.events) plans.set(event.id, this.#plans.get(event.id) ?? (await this.#plan(event)));
    this.#plans = plans;
    return found;
  }

  head(): Promise<Head> {
    return this.#log.head();
  }

  seen(): ReturnType<LogSource["seen"]> {
    return this.#log.seen();
  }

  doubt(claim: Claim): Promise<void> {
    return this.#log.doubt(claim);
  }

  onAdvance(listener: () => void): () => void {
    return this.#log.onAdvance(listener);
  }

  /** Folds the documents of these persons anew. */
  async replace(tx: WriteTransaction, forgotten: readonly StoredEvent[]): Promise<void> {
    const { name, version } = this.#definition;
    const stored = await storedVersion(tx, name, version);
    if (!stored || !isKept(stored.state)) return;
    const head = await tx.head();
    const slots = await slotsOf(tx, this.#log.store, this.#definition);
    const reached = (key: string): Position =>
      stored.kind === "strong-view" ? head.position : (slots[slotOf(key, slots.length)]?.position ?? origin);
    if (this.#definition.sql) return this.#buildAgain(tx, forgotten);
    for (const event of forgotten) {
      const plan = this.#plans.get(event.id) ?? (await this.#plan(event, tx));
      const last = [...plan.keys].map(reached).reduce(laterPosition, origin);
      const events = [...plan.events, ...(await this.#between(tx, plan.upTo, last))];
      const fold = new DocumentFold(this.#definition);
      fold.begin(plan.keys);
      const passed = await this.#neverApplied(tx, plan.keys);
      const items = this.#items(events, plan.keys).filter(
        ({ event: { id, position }, key }) => comparePositions(position, reached(key)) <= 0 && !passed.has(id),
      );
      (await fold.fold(tx, items))();
      await fold.save(tx);
    }
  }

  /** Events that the view's reader has passed without applying them: set aside, or discarded. */
  async #neverApplied(tx: ReadTransaction, keys: ReadonlySet<string>): Promise<ReadonlySet<string>> {
    const of = { reader: this.#definition.name, version: this.#definition.version, source: this.#log.store };
    const passed = new Set((await tx.parking.discards(of)).map((row) => row.eventId));
    for (const key of keys) for (const { eventId } of await tx.parking.events(of, key, Number.MAX_SAFE_INTEGER)) passed.add(eventId);
    return passed;
  }

  async #buildAgain(tx: WriteTransaction, forgotten: readonly StoredEvent[]): Promise<void> {
    const concerned = forgotten.some((event) => (this.#plans.get(event.id)?.keys.size ?? 1) > 0);
    if (!concerned) return;
    const { name, version } = this.#definition;
    await recordDiscards(tx, { reader: name, version });
    await tx.dropView(name, version);
    await register(tx, this.#definition, this.#log);
    await rowsOf(this.#definition).prepare(tx);
  }

  async #plan(event: StoredEvent, tx?: ReadTransaction): Promise<Plan> {
    const keys = new Set<string>();
    const person = forgottenIn(event.stream);
    for (let after = 0; ; ) {
      const query = { after, limit: page };
      const own = tx ? await tx.persons.events(person, query) : await this.#log.snapshot((read) => read.persons.events(person, query));
      for (const { key } of this.#items(own)) keys.add(key);
      if (own.length < page) break;
      after = own.at(-1)?.position ?? after;
    }
    const upTo = tx ? (await tx.head()).position : (await this.#log.head()).position;
    const events: StoredEvent[] = [];
    for (let after = origin; !this.#definition.sql && keys.size > 0 && comparePositions(after, upTo) < 0; ) {
      const found = await this.#page(after, upTo, tx);
      for (const stored of found) if (this.#items([stored], keys).length > 0) events.push(stored);
      if (found.length < page) break;
      after = (found.at(-1) as StoredEvent).position;
      await this.#log.host.timers.turn();
    }
    return { keys, events, upTo };
  }

  async #between(tx: ReadTransaction, after: Position, upTo: Position): Promise<StoredEvent[]> {
    if (comparePositions(after, upTo) >= 0) return [];
    return tx.events({ after, upTo, limit: Number.MAX_SAFE_INTEGER, types: this.#types });
  }

  #page(after: Position, upTo: Position, tx: ReadTransaction | undefined): Promise<StoredEvent[]> {
    const query = { after, upTo, limit: page, types: this.#types };
    return tx ? tx.events(query) : this.#log.snapshot((read) => read.events(query));
  }

  /** Those of the events that the view folds, with their documents. */
  #items(events: readonly StoredEvent[], keys?: ReadonlySet<string>): KeyedEvent[] {
    return events
      .filter((event) => this.#definition.handlers.has(event.type))
      .map((event) => keyed(this.#definition, this.#codec.decode(event)))
      .filter(({ event, key }) => !isDropped(event) && (!keys || keys.has(key)));
  }
}
