/**
 * Imports what `exportLog` wrote into an empty store: the same positions, versions, times, ids and digests, so that the
 * copy compares equal, reactions that go on where they were, and behind all that a new epoch, because the two logs go on apart (L5).
 *
 * Every line is checked as it is taken in. What is wrong is told by line, and the store then holds a part that nobody may
 * use: whoever calls this gives it a store under a temporary name and throws that away.
 */
import { ConvergentError } from "../errors/error.ts";
import { beginEpoch } from "../log/epochs.ts";
import type { StoredEvent } from "../log/event.ts";
import type { Epoch, IdKey, IdRecord, Store, StreamHead } from "../log/store.ts";
import { KeptRows } from "./kept-lines.ts";
import { saveKept } from "./kept.ts";
import { type AppendNote, type ExportEnd, type ExportHeader, type ExportLine, readLine } from "./lines.ts";
import { LogDigest } from "./log-digest.ts";
import { disorder } from "./order.ts";
import { type Problem, Problems } from "./problems.ts";
import type { Progress } from "./verify.ts";

/** What is checked and written in one transaction. */
const batchLines = 2000;
const batchCharacters = 4_000_000;

/** Streams remembered once a problem was found and nothing is written any more; versions of further ones are not checked. */
const streamsRememberedMax = 100_000;

/** What came of an import: all of it is in the store, or nothing. */
export type ImportOutcome =
  | {
      readonly kind: "imported";
      readonly events: number;
      readonly ids: number;
      readonly digest: string;
      /** Readers that are no views and go on where they were: reactions; `undefined` of a file of version 1, which says nothing of them. */
      readonly readers: number | undefined;
      /** The epoch that begins behind what was imported. */
      readonly epoch: Epoch;
    }
  /** `at` is a line's number, from 1 on. */
  | { readonly kind: "refused"; readonly problems: readonly Problem[]; readonly problemCount: number };

/** The header of an export, read from its first line: it names the store. Throws `invalid_input`. */
export function readHeader(line: string): ExportHeader {
  let first: ExportLine;
  try {
    first = readLine(line);
  } catch (cause) {
    throw noExport(cause instanceof Error ? cause.message : String(cause), cause);
  }
  if (first.kind === "header") return first.header;
  throw noExport("it is no header");
}

function noExport(why: string, cause?: unknown): ConvergentError {
  return new ConvergentError("invalid_input", `this is no export: line 1: ${why}; convergent export makes one`, { cause });
}

/**
 * Imports lines into an empty store of the service that the header names. When it is refused, or fails, the store holds a
 * part and is to be thrown away. Throws `invalid_input` when the store is not empty.
 */
export async function importLog(
  store: Store,
  lines: AsyncIterable<string>,
  options: { readonly onProgress?: (progress: Progress) => void } = {},
): Promise<ImportOutcome> {
  const head = await store.read((tx) => tx.head());
  if (head.position > 0)
    throw new ConvergentError(
      "invalid_input",
      `the store of "${store.identity.store}" holds ${head.position} events; import into a new one`,
    );
  const work = new Import(store);
  let batch: string[] = [];
  let size = 0;
  for await (const line of lines) {
    batch.push(line);
    size += line.length;
    if (batch.length < batchLines && size < batchCharacters) continue;
    await work.take(batch);
    options.onProgress?.(work.progress);
    batch = [];
    size = 0;
  }
  await work.take(batch);
  options.onProgress?.(work.progress);
  return work.end();
}

class Import {
  readonly #store: Store;
  readonly #problems = new Problems();
  readonly #digest = new LogDigest();
  /** Where streams stand by lines that were not written, because a problem had been found. */
  readonly #unwritten = new Map<string, number>();
  #line = 0;
  #header: ExportHeader | undefined;
  #position = 0;
  #at = 0;
  #ids = 0;
  #sum: string | undefined;
  readonly #kept = new KeptRows();

  constructor(store: Store) {
    this.#store = store;
  }

  get progress(): Progress {
    return { done: this.#position, of: this.#header?.last ?? 0 };
  }

  /** Checks lines and writes them, unless something is wrong with them or with those before. */
  async take(lines: readonly string[]): Promise<void> {
    const read = lines.map(attempt);
    const streams = read.flatMap((line) => (typeof line !== "string" && line.kind === "event" ? [line.event.stream] : []));
    const heads = await this.#headsOf([...new Set(streams)]);
    const known = await this.#knownIds(read.flatMap((line) => (typeof line === "string" ? [] : recordsIn(line))));
    const events: StoredEvent[] = [];
    const ids: IdRecord[] = [];
    for (const line of read) {
      this.#line++;
      const wrong = typeof line === "string" ? line : this.#accept(line, heads);
      if (wrong !== undefined) this.#problems.add(this.#line, wrong);
      if (typeof line === "string") {
        this.#position++; // it was an event, most likely: the next one is not out of place
        continue;
      }
      if (line.kind === "event") events.push(line.event);
      for (const record of recordsIn(line)) {
        if (known.has(nameOf(record))) this.#problems.add(this.#line, `the id ${JSON.stringify(record.id)} came before`);
        known.add(nameOf(record));
        ids.push(record);
      }
    }
    this.#ids += ids.length;
    if (this.#problems.count === 0) await this.#write(events, ids);
    else for (const [stream, version] of heads) if (this.#unwritten.size < streamsRememberedMax) this.#unwritten.set(stream, version);
  }

  async end(): Promise<ImportOutcome> {
    if (this.#sum === undefined) this.#problems.add(this.#line + 1, "the end of the export is missing; the file was cut off");
    const { told, count } = this.#problems;
    if (count > 0) return { kind: "refused", problems: told, problemCount: count };
    const { host } = this.#store;
    const { epoch } = await this.#store.write(async (tx) => {
      await tx.lock();
      await saveKept(tx, this.#kept);
      for (const past of this.#header?.epochs ?? []) await tx.beginEpoch(past);
      return beginEpoch(tx, host.random);
    });
    const readers = (this.#header?.version ?? 1) > 1 ? this.#kept.readers : undefined;
    return { kind: "imported", events: this.#digest.events, ids: this.#ids, readers, digest: this.#sum ?? "", epoch };
  }

  /** Takes a line in; says what is wrong with it, if something is. */
  #accept(line: ExportLine, heads: Map<string, number>): string | undefined {
    if (this.#sum !== undefined) return "it follows the end of the export";
    if ((line.kind === "header") !== (this.#line === 1)) return line.kind === "header" ? "it is a second header" : "the header is missing";
    switch (line.kind) {
      case "header":
        return this.#begin(line.header);
      case "event":
        return this.#acceptEvent(line.event, line.appends, heads);
      case "voided":
        return undefined;
      case "kept":
        return this.#header && this.#kept.add(line.kept, this.#header);
      case "end":
        this.#sum = this.#digest.end();
        return this.#atEnd(line.end);
    }
  }

  #begin(header: ExportHeader): string | undefined {
    this.#header = header;
    const owner = this.#store.identity.store;
    if (header.store !== owner) return `the export is of "${header.store}", and the store belongs to "${owner}"`;
    if (header.first > 1) return `the export begins at position ${header.first}; only one that begins at 1 can be imported`;
    return isInOrder(header) ? undefined : "its epochs are none: each has an id of its own and begins no earlier than the one before it";
  }

  #acceptEvent(event: StoredEvent, appends: readonly AppendNote[], heads: Map<string, number>): string | undefined {
    const wrong = [
      ...disorder(event, { position: this.#position, at: this.#at, version: heads.get(event.stream) ?? 0 }),
      ...(appends.some(({ firstVersion }) => firstVersion < 1 || firstVersion > event.version)
        ? ["its append has no such first version"]
        : []),
    ];
    this.#position = event.position;
    this.#at = event.at;
    heads.set(event.stream, event.version);
    this.#digest.add(event);
    return wrong.length > 0 ? `position ${event.position}: ${wrong.join("; ")}` : undefined;
  }

  #atEnd(end: ExportEnd): string | undefined {
    if (this.#problems.count > 0) return undefined; // of which this would be the consequence
    if (end.events !== this.#digest.events) return `the export had ${end.events} events, and ${this.#digest.events} came`;
    if (this.#header?.last !== this.#position)
      return `the header says that the export ends at position ${this.#header?.last ?? 0}, and it ends at ${this.#position}`;
    if (end.kept !== this.#kept.count) return `the export had ${end.kept} rows of readers, and ${this.#kept.count} came`;
    return end.digest === this.#sum ? undefined : "the digest of the whole export does not fit what came";
  }

  async #headsOf(streams: readonly string[]): Promise<Map<string, number>> {
    const stored = await this.#store.read((tx) => tx.streamHeads(streams));
    return new Map(streams.map((stream, index) => [stream, this.#unwritten.get(stream) ?? stored[index]?.version ?? 0]));
  }

  async #knownIds(records: readonly IdRecord[]): Promise<Set<string>> {
    const stored = records.length > 0 ? await this.#store.read((tx) => tx.ids(records)) : [];
    return new Set(stored.flatMap((record) => (record ? [nameOf(record)] : [])));
  }

  async #write(events: readonly StoredEvent[], ids: readonly IdRecord[]): Promise<void> {
    const heads = new Map(events.map(({ stream, version, position }): [string, StreamHead] => [stream, { version, position }]));
    if (events.length + ids.length > 0) await this.#store.write((tx) => tx.insert({ events, heads, ids }));
  }
}

function attempt(text: string): ExportLine | string {
  try {
    return readLine(text);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function isInOrder({ epochs, last }: ExportHeader): boolean {
  const firsts = [1, ...epochs.map(({ first }) => first), last + 1];
  return (
    firsts[1] === 1 &&
    new Set(epochs.map(({ id }) => id)).size === epochs.length &&
    firsts.every((first, index) => first >= (firsts[index - 1] ?? 0))
  );
}

/** What a line says is to be remembered. */
function recordsIn(line: ExportLine): readonly IdRecord[] {
  if (line.kind === "voided") return [line.record];
  return line.kind === "event" ? line.appends.map((append) => recordOf(line.event, append)) : [];
}

function nameOf({ scope, id }: IdKey): string {
  return JSON.stringify([scope, id]);
}

function recordOf(event: StoredEvent, append: AppendNote): IdRecord {
  const { stream, version, position, at } = event;
  return { ...append, state: "done", stream, lastVersion: version, position, at };
}
