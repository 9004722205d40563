/**
 * Admission: decides a batch of appends inside one write transaction and writes what was admitted. The rules of the
 * log live here once, for every store:
 *
 * - L1: the head is read under the lock; positions follow it without gaps, and time never runs backwards.
 * - L3: `expected` is compared with the stream head read in this transaction, as earlier appends of the batch left it.
 * - L4: an id is looked up here, inside the append, whatever was looked up before.
 * - Strong views are folded before positions are given, so that one that throws refuses its own append alone.
 *
 * Each append of a batch has its own outcome; a batch costs three questions and one insert, however large. An append to
 * several streams is one of them: its parts follow each other, and all are admitted or none is.
 */
import type { Host } from "../host/host.ts";
import { ConvergentError } from "../errors/error.ts";
import { advance, type Position } from "../position/position.ts";
import { type AppendId, type AppendPart, type AppendRequest, meets, requireExpected } from "./append.ts";
import { canonicalJson, digestOf, eventDigest, notJson } from "./digest.ts";
import type { StoredEvent } from "./event.ts";
import { requireUnmarked } from "./marks.ts";
import type { Head, IdKey, IdRecord, Store, StreamHead, WriteTransaction } from "./store.ts";

/** Ids are remembered for at least this long (L4). */
export const idsKeptMs: number = 7 * 24 * 3_600_000;

/** An append made ready outside the lock: everything that costs time and needs no position. */
export interface PreparedAppend {
  readonly request: AppendRequest;
  readonly events: ReadonlyArray<Omit<StoredEvent, "position" | "version" | "at">>;
  readonly idKey: IdKey | undefined;
  readonly digest: string;
}

/** Several appends made ready, to be admitted together or not at all. */
export interface PreparedTogether {
  readonly parts: readonly PreparedAppend[];
  readonly idKey: IdKey | undefined;
  readonly digest: string;
}

export type Prepared = PreparedAppend | PreparedTogether;

export type Admitted =
  | {
      readonly kind: "appended";
      /** Of all parts. */
      readonly events: readonly StoredEvent[];
      readonly record: IdRecord | undefined;
      readonly repeated: boolean;
    }
  | { readonly kind: "conflict"; readonly version: number /** Of the part. */; readonly index?: number }
  | { readonly kind: "refused"; readonly reason: unknown };

/**
 * A store that can decide and write a batch by itself, by the rules of `admit`, in one statement.
 */
export interface BatchStore extends Store {
  /** Whether other processes write at the same time, so that most batches wait for one of theirs. */
  readonly isContended: boolean;
  /**
   * The outcomes, in order; undefined when there is something to decide that the store cannot, and then nothing is written.
   * Batches may overlap: they take effect in the order in which they were given.
   */
  appendBatch(
    batch: readonly Prepared[],
    options: { readonly now: number; readonly idsBefore: number },
  ): Promise<Array<Admitted | ConvergentError> | undefined>;
}

/** Whether a store decides batches by itself. */
export function decidesBatches(store: Store): store is BatchStore {
  return "appendBatch" in store;
}

/** The events that an append wrote. */
export function eventsOf(outcome: Admitted | ConvergentError): readonly StoredEvent[] {
  return outcome instanceof ConvergentError || outcome.kind !== "appended" ? [] : outcome.events;
}

/** A strong view as the append sees it. */
export interface StrongFold {
  /** Asks at once for what folding these events will ask for one by one. They may have other positions in the end. */
  expect(tx: WriteTransaction, events: readonly StoredEvent[]): Promise<void>;
  /** Applies events to the documents held for this transaction; throws to refuse them, leaving the documents as they were. */
  apply(tx: WriteTransaction, events: readonly StoredEvent[]): Promise<void>;
  /** Writes the documents that changed since the transaction began. */
  save(tx: WriteTransaction): Promise<void>;
}

/** Events in one append: what one transaction writes without holding others up for long. */
export const eventsMax = 10_000;

/** Serialises events and computes digests, outside the lock. Throws `invalid_input` for what cannot be stored as it is. */
export function prepareAppend(request: AppendRequest, host: Host): PreparedAppend {
  requireStorable(request);
  const metadata = jsonOf(request.metadata ?? {});
  const { stream } = request;
  const events = request.events.map(({ type, data, marks }) => {
    const content = {
      id: host.random.id(),
      stream,
      type,
      data: jsonOf(data),
      metadata: marks ? jsonOf({ ...request.metadata, ...marks }) : metadata,
      digest: "",
    };
    content.digest = eventDigest(content);
    return content;
  });
  const id = request.id;
  return {
    request,
    events,
    idKey: id && { scope: id.scope, id: id.id },
    digest: id ? (id.digest ?? digestOf(canonicalJson([request.stream, request.events]))) : "",
  };
}

/** The same for several appends at once. */
export function prepareTogether(parts: readonly AppendPart[], id: AppendId | undefined, host: Host): PreparedTogether {
  const count = parts.reduce((sum, part) => sum + part.events.length, 0);
  if (parts.length === 0 || count > eventsMax)
    throw new ConvergentError(
      "invalid_input",
      `an append to several streams has 1 part or more and at most ${eventsMax} events; this one has ${parts.length} parts and ${count} events`,
    );
  if (parts.some((part) => "id" in part))
    throw new ConvergentError("invalid_input", "parts of one append have no ids of their own: the whole is remembered under one id");
  for (const text of id ? [id.scope, id.id] : []) requireText(text);
  return {
    parts: parts.map((part) => prepareAppend(part, host)),
    idKey: id && { scope: id.scope, id: id.id },
    digest: id ? (id.digest ?? digestOf(canonicalJson(parts.map((part) => [part.stream, part.events])))) : "",
  };
}

/**
 * Under which key a part is remembered: made of where the whole ended, and with a character that no caller's id holds. The
 * whole is written first, so that it is forgotten no later than its parts.
 */
export function partKey(whole: IdRecord, index: number): IdKey {
  return { scope: whole.scope, id: `\u0000${whole.position}.${index}` };
}

// Refused before the transaction begins, so that nobody else's append shares the failure.
function requireStorable({ stream, expected, events, id, metadata = {} }: AppendRequest): void {
  if (events.length === 0 || events.length > eventsMax)
    throw new ConvergentError("invalid_input", `an append holds 1 to ${eventsMax} events; this one to ${stream} holds ${events.length}`);
  const slash = stream.indexOf("/");
  if (slash < 1 || slash === stream.length - 1)
    throw new ConvergentError("invalid_input", `"${stream}" is no stream: it is written entity/id`);
  requireExpected(expected);
  requireUnmarked(metadata);
  requireText(stream);
  for (const { type } of events) requireText(type);
  if (!id) return;
  requireText(id.scope);
  requireText(id.id);
}

/** Throws `invalid_input` for text that is not well-formed Unicode or holds NUL: stores would keep it differently. */
export function requireText(text: string): void {
  if (text.isWellFormed() && !text.includes("\u0000")) return;
  throw new ConvergentError("invalid_input", "names and ids are well-formed text without NUL characters");
}

function jsonOf(value: unknown): string {
  try {
    return JSON.stringify(value) ?? "null";
  } catch (cause) {
    throw notJson(cause);
  }
}

/** What a batch is decided with. */
export interface Admission {
  readonly strong: StrongFold | undefined;
  readonly host: Host;
  /** Ids whose appends are older than this may be forgotten. */
  readonly idsBefore: number;
}

/** Decides and writes a batch inside `tx`. Positions are given in the order of the batch. */
export async function admit(
  tx: WriteTransaction,
  batch: readonly Prepared[],
  { strong, host, idsBefore }: Admission,
): Promise<Array<Admitted | ConvergentError>> {
  const ledger = await Ledger.read(tx, batch, host);
  const outcomes: Array<Admitted | ConvergentError> = [];
  if (strong && tx.isDistant && batch.length > 1) await strong.expect(tx, ledger.provisional(batch));
  const applyStrong = strong && ((events: readonly StoredEvent[]) => strong.apply(tx, events));
  for (const append of batch)
    outcomes.push(await ("parts" in append ? admitTogether(append, ledger, applyStrong) : admitOne(append, ledger, applyStrong)));
  host.reached("append.admitted");
  if (ledger.events.length > 0) {
    await strong?.save(tx);
    await tx.insert({ events: ledger.events, heads: ledger.changedHeads, ids: ledger.newIds });
    // Twice the batch: the table of ids shrinks even while it is written at full speed.
    if (ledger.newIds.length > 0) await tx.forgetIds(idsBefore, 2 * ledger.newIds.length);
    host.reached("append.inserted");
  }
  return outcomes;
}

type ApplyStrong = ((events: readonly StoredEvent[]) => Promise<void>) | undefined;

function earlier({ idKey, digest }: Prepared, ledger: Ledger): Admitted | ConvergentError | undefined {
  const known = idKey && ledger.id(idKey);
  return known && outcomeOfKnown(known, digest);
}

/** The answer for an id that is known already; `digest` is that of the request that came with it now. */
export function outcomeOfKnown(known: IdRecord, digest: string): Admitted | ConvergentError {
  if (known.state === "void") return voided(known);
  return known.digest === digest ? { kind: "appended", events: [], record: known, repeated: true } : reused(known);
}

async function admitTogether(append: PreparedTogether, ledger: Ledger, applyStrong: ApplyStrong): Promise<Admitted | ConvergentError> {
  const known = earlier(append, ledger);
  if (known) return known;
  const versions = new Map<string, number>();
  const parts: StoredEvent[][] = [];
  let count = 0;
  for (const [index, { request, events }] of append.parts.entries()) {
    const version = versions.get(request.stream) ?? ledger.version(request.stream);
    if (!meets(request.expected, version)) return { kind: "conflict", version, index };
    parts.push(events.map((event, place) => ({ ...event, ...ledger.place(count + place + 1), version: version + place + 1 })));
    versions.set(request.stream, version + events.length);
    count += events.length;
  }
  const events = parts.flat();
  try {
    await applyStrong?.(events);
  } catch (reason) {
    return { kind: "refused", reason };
  }
  const { idKey, digest } = append;
  const record = idKey && recordOf(idKey, digest, parts.at(-1) as StoredEvent[]);
  ledger.add(events, record);
  if (record) parts.forEach((part, index) => ledger.remember(recordOf(partKey(record, index), "", part)));
  return { kind: "appended", events, record, repeated: false };
}

async function admitOne(append: PreparedAppend, ledger: Ledger, applyStrong: ApplyStrong): Promise<Admitted | ConvergentError> {
  const known = earlier(append, ledger);
  if (known) return known;
  const { request, idKey, digest } = append;
  const version = ledger.version(request.stream);
  if (!meets(request.expected, version)) return { kind: "conflict", version };
  const events = append.events.map((event, index): StoredEvent => ({ ...event, ...ledger.place(index + 1), version: version + index + 1 }));
  try {
    await applyStrong?.(events);
  } catch (reason) {
    return { kind: "refused", reason };
  }
  const record = idKey && recordOf(idKey, digest, events);
  ledger.add(events, record);
  return { kind: "appended", events, record, repeated: false };
}

/** What is remembered of events of one stream. */
export function recordOf(key: IdKey, digest: string, events: readonly StoredEvent[]): IdRecord {
  const { version: firstVersion } = events[0] as StoredEvent;
  const { stream, version: lastVersion, position, at } = events.at(-1) as StoredEvent;
  return { ...key, digest, state: "done", stream, firstVersion, lastVersion, position, at };
}

/** What is remembered of an id that is refused for ever. */
export function voidRecord(key: IdKey, head: Head, now: number): IdRecord {
  const at = Math.max(now, head.at);
  return { ...key, digest: "", state: "void", stream: "", firstVersion: 0, lastVersion: 0, position: head.position, at };
}

/** The error for an id that is refused for ever. */
export function voided(key: IdKey): ConvergentError {
  return new ConvergentError(
    "id_voided",
    `the id ${key.id} was voided and is refused for ever; ask again with a new id if the operation is still wanted`,
    { details: { id: key.id } },
  );
}

/** The error for an id that was used with other content. */
export function reused(key: IdKey): ConvergentError {
  return new ConvergentError(
    "idempotency_key_reused",
    `the id ${key.id} was used before with other content; use a new id for a new request`,
    { details: { id: key.id } },
  );
}

/** Head, stream heads and ids as this transaction found them and as the batch has changed them so far. */
class Ledger {
  readonly events: StoredEvent[] = [];
  readonly changedHeads: Map<string, StreamHead> = new Map();
  readonly newIds: IdRecord[] = [];
  /** The time of every event of this batch. */
  readonly at: number;
  #last: Position;
  readonly #heads: ReadonlyMap<string, StreamHead | undefined>;
  readonly #ids: Map<string, IdRecord>;

  private constructor(head: Head, heads: ReadonlyMap<string, StreamHead | undefined>, ids: Map<string, IdRecord>) {
    this.at = head.at;
    this.#last = head.position;
    this.#heads = heads;
    this.#ids = ids;
  }

  static async read(tx: WriteTransaction, batch: readonly Prepared[], host: Host): Promise<Ledger> {
    const named = new Set<string>();
    for (const append of batch) {
      if ("parts" in append) for (const part of append.parts) named.add(part.request.stream);
      else named.add(append.request.stream);
    }
    const streams = [...named];
    const keys = batch.flatMap((append) => append.idKey ?? []);
    const [head, heads, records] = await ledgerRows(tx, streams, keys);
    const ids = new Map<string, IdRecord>();
    for (const record of records) if (record) ids.set(nameOf(record), record);
    const at = Math.max(host.clock.now(), head.at); // L1: never backwards, whatever the clock does
    return new Ledger({ position: head.position, at }, new Map(streams.map((stream, index) => [stream, heads[index]])), ids);
  }

  /** Where the next event but `count - 1` goes. */
  place(count: number): { position: Position; at: number } {
    return { position: advance(this.#last, count), at: this.at };
  }

  /** The events of a batch as they would be if all of it were admitted. */
  provisional(batch: readonly Prepared[]): StoredEvent[] {
    const all = batch.flatMap((append) => ("parts" in append ? append.parts.flatMap(({ events }) => events) : append.events));
    return all.map((event, index) => ({ ...event, ...this.place(index + 1), version: this.version(event.stream) + 1 }));
  }

  version(stream: string): number {
    return (this.changedHeads.get(stream) ?? this.#heads.get(stream))?.version ?? 0;
  }

  id(key: IdKey): IdRecord | undefined {
    return this.#ids.get(nameOf(key));
  }

  add(events: readonly StoredEvent[], record: IdRecord | undefined): void {
    for (let index = 0; index < events.length; index++) {
      const event = events[index] as StoredEvent;
      this.events.push(event);
      // The last one of a run of its stream.
      if (events[index + 1]?.stream !== event.stream)
        this.changedHeads.set(event.stream, { version: event.version, position: event.position });
    }
    this.#last = (events.at(-1) as StoredEvent).position;
    if (record) this.remember(record);
  }

  remember(record: IdRecord): void {
    this.newIds.push(record);
    this.#ids.set(nameOf(record), record);
  }
}

async function ledgerRows(
  tx: WriteTransaction,
  streams: readonly string[],
  keys: readonly IdKey[],
): Promise<readonly [Head, ReadonlyArray<StreamHead | undefined>, ReadonlyArray<IdRecord | undefined>]> {
  const ids = (): Promise<ReadonlyArray<IdRecord | undefined>> => (keys.length > 0 ? tx.ids(keys) : Promise.resolve([]));
  if (tx.isDistant) return Promise.all([tx.lock(), tx.streamHeads(streams), ids()]);
  const head = await tx.lock();
  return [head, await tx.streamHeads(streams), await ids()];
}

function nameOf(key: IdKey): string {
  return `${key.scope.length}.${key.scope}${key.id}`;
}
