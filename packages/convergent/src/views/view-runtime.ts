/**
 * A view at work: keeps its documents by a reader (eventual) or inside appends (strong), and answers reads with the
 * level they ask for. An answer's `asOf` and its value come from one snapshot: the label is never better than the value.
 */
import { ConvergentError, isConvergentError } from "../errors/error.ts";
import type { Log } from "../log/log.ts";
import type { DefinitionRow, ReadTransaction } from "../log/store.ts";
import { comparePositions, type Position } from "../position/position.ts";
import type { Counted, FindOptions, Page, Reading, ReadOptions } from "../protocol/reading.ts";
import type { Inboxes } from "../readers/inboxes.ts";
import { Answers } from "./answers.ts";
import { storableKey } from "./fold.ts";
import { consistencyIn } from "./fingerprint.ts";
import { forgettingReader, withForgetting } from "./forgetting.ts";
import { type Conditions, cursorAfter, findQuery, requireDocuments } from "./find-query.ts";
import type { Asked, Label } from "./level.ts";
import { predecessorOf, predecessorsOf } from "./predecessors.ts";
import { readyQuery } from "./sql-rows.ts";
import type { Reader } from "../readers/reader.ts";
import type { ReaderSetting } from "../readers/reader-options.ts";

import type { StrongViews } from "./strong-views.ts";
import { requireUnique } from "./unique.ts";
import { Rebuild, type RebuildNews } from "./rebuild.ts";
import { CannotAnswer, type OlderRows, standingOf } from "./standing.ts";
import { isKept, putInPlace, versionsOf } from "./versions.ts";
import type { AnyView } from "./view.ts";
import { type ReadEvent, viewReader } from "./view-reader.ts";
import { rowsOf } from "./view-rows.ts";

/** How often the build of a strong view is measured while a service starts. */
const measureMs = 100;

/** What a view at work needs of its service. */
export interface ViewOptions {
  readonly log: Log;
  readonly inboxes: Inboxes;
  readonly setting: ReaderSetting;
  readonly news: (news: RebuildNews) => void;
}

/** A view at work: its reader and the reads of its documents. */
export class ViewRuntime {
  readonly definition: AnyView;
  /** How the version gets into its place. */
  readonly rebuild: Rebuild;
  readonly #log: Log;
  readonly #forgetting: Reader | undefined;
  readonly #forgettingReplaced: readonly Reader[];
  readonly #answers: Answers;
  readonly #newReader: () => Reader<ReadEvent>;
  #reader: Reader<ReadEvent>;
  #strong = false;

  constructor(definition: AnyView, { log, inboxes, setting, news }: ViewOptions) {
    this.definition = definition;
    this.#log = log;
    this.#newReader = () => viewReader(definition, log, setting, () => this.rebuild.state === "building");
    this.#reader = this.#newReader();
    const reader = (): Reader<ReadEvent> => this.#reader;
    this.rebuild = new Rebuild({ definition, log, reader, rows: rowsOf(definition), news, setting });
    this.#forgetting = forgettingReader({ definition, log, setting });
    const older = predecessorsOf(definition).map(({ view }) => forgettingReader({ definition: view, log, setting }));
    this.#forgettingReplaced = older.filter((reader) => reader !== undefined);
    const standing = standingOf({ definition, log, reader, rebuild: this.rebuild, strong: () => this.#strong });
    this.#answers = new Answers({ view: definition.name, log, inboxes, standing: withForgetting(standing, this.#forgetting, log) });
  }

  /** The reader of its own rows. */
  get reader(): Reader<ReadEvent> {
    return this.#reader;
  }

  /** Checks the stored definition against this one, builds a strong view to head, and starts the reader. Throws `definition_changed`. */
  async start(strong: StrongViews): Promise<void> {
    await this.rebuild.register();
    this.#forgetting?.start();
    for (const reader of this.#forgettingReplaced) reader.start();
    if (this.definition.consistency === "eventual") {
      this.reader.start();
      this.rebuild.watch();
      return;
    }
    while (!(await this.#switch(strong))) await this.#build();
    this.#strong = true;
  }

  async stop(): Promise<void> {
    await this.rebuild.stop();
    await this.#forgetting?.stop();
    for (const reader of this.#forgettingReplaced) await reader.stop();
    if (!this.#strong) await this.reader.stop();
  }

  /** The readers that take forgotten persons out of it. */
  get forgetting(): Reader[] {
    return [...(this.#forgetting ? [this.#forgetting] : []), ...this.#forgettingReplaced];
  }

  /** Resolves true once the rows that answer reads hold everything up to a position, false after `waitMs`. */
  waitFor(position: Position, waitMs: number): Promise<boolean> {
    return this.#answers.holds(position, waitMs);
  }

  /** One document. Throws `not_fresh` when asked to, `rebuilding`, `token_invalid`, `token_epoch`. */
  async get(key: string, options: ReadOptions = {}): Promise<Reading<unknown>> {
    return this.#document(key, options, (value) => value, JSON.parse as (text: string) => unknown);
  }

  /** One document as the JSON text it is stored in, for those who only pass it on. Throws what `get` throws. */
  async text(key: string, options: ReadOptions = {}): Promise<Reading<string | undefined>> {
    return this.#document(key, options, JSON.stringify as (value: unknown) => string, (text) => text);
  }

  // From a value as an older version's was shaped, or from the text that is stored.
  async #document<Form>(
    key: string,
    options: ReadOptions,
    ofValue: (value: unknown) => Form,
    ofText: (text: string) => Form,
  ): Promise<Reading<Form | undefined>> {
    requireDocuments(this.definition);
    const { name, version } = this.definition;
    const stored = storableKey(key);
    return this.#answer({ ...options, key: stored }, async (tx): Promise<{ value: Form | undefined; fresh?: boolean }> => {
      const older = await this.rebuild.olderIn(tx);
      const [text] = await tx.documents(name, older?.version ?? version, [stored]);
      if (!older) return { value: text === undefined ? undefined : ofText(text) };
      if (text !== undefined) {
        const shaped = await older.shaped(JSON.parse(text), stored);
        return { value: shaped === undefined ? undefined : ofValue(shaped) };
      }
      // What the older version has no document for, the newer one may have.
      return { value: undefined, ...(older.isWhole ? {} : { fresh: false }) };
    });
  }

  /** A page of documents by declared indexes. Throws `index_not_declared`, `cursor_invalid`, and what `get` throws. */
  async find(conditions: Conditions, options: FindOptions = {}): Promise<Page<unknown>> {
    const asked = this.rebuild.older ? undefined : findQuery(this.definition, conditions, options);
    return this.#answer(options, async (tx) => {
      const older = await this.rebuild.olderIn(tx);
      const query = asked && !older ? asked : this.#query(older, conditions, options);
      const hits = query.limit === 0 ? [] : await tx.find({ ...query, limit: query.limit + 1 });
      const page = hits.slice(0, query.limit);
      const last = page.at(-1);
      const value: Array<{ key: string; value: unknown }> = [];
      for (const { key, document } of page) {
        const stored = JSON.parse(document) as unknown;
        value.push({ key, value: older ? await older.shaped(stored, key) : stored });
      }
      return {
        value,
        ...(last && hits.length > query.limit ? { cursor: cursorAfter(query, last) } : {}),
        ...(options.count ? { count: await tx.count(query) } : {}),
      };
    }) as Promise<Page<unknown>>;
  }

  /** How many documents meet the conditions. Throws `index_not_declared`, and what `get` throws. */
  async count(conditions: Conditions, options: ReadOptions = {}): Promise<Counted> {
    const asked = this.rebuild.older ? undefined : findQuery(this.definition, conditions, {});
    return this.#answer(options, async (tx) => {
      const older = await this.rebuild.olderIn(tx);
      return { value: await tx.count(asked && !older ? asked : this.#query(older, conditions, {})) };
    }) as Promise<Counted>;
  }

  /** Throws `rebuilding` for what only the version can answer that is being built. */
  async #answer<Body extends object>(asked: Asked, body: (tx: ReadTransaction) => Promise<Body>): Promise<Body & Label> {
    try {
      return await this.#answers.answer(asked, body);
    } catch (error) {
      if (!(error instanceof CannotAnswer)) throw error;
      throw this.rebuild.notYet(error);
    }
  }

  #query(older: OlderRows | undefined, conditions: Conditions, options: FindOptions): ReturnType<typeof findQuery> {
    if (!older) return findQuery(this.definition, conditions, options);
    const query = findQuery({ ...this.definition, version: older.version }, conditions, options);
    const fields = [query.field, ...query.where.map(({ field }) => field)];
    const lacking = fields.find((field) => field !== undefined && !older.indexes.includes(field));
    if (lacking === undefined) return query;
    throw new CannotAnswer(`version ${older.version} has no index "${lacking}"`);
  }

  /** What a query of a view with tables of its own answers. Throws `not_found`, `invalid_input`, `sql_failed`, and what `get` throws. */
  async query(name: string, input: unknown, options: ReadOptions = {}): Promise<Reading<unknown>> {
    const { definition } = this;
    const run = await readyQuery(definition, name, input);
    return this.#answer(options, async (tx) => {
      const older = await this.rebuild.olderIn(tx);
      if (!older) return { value: await run(tx) };
      // The older definition knows its tables, if this process has it; otherwise they may be the same.
      const known = predecessorOf(definition, older.version)?.view;
      const asks = known && Object.hasOwn(known.queries ?? {}, name);
      return { value: await (asks ? (await readyQuery(known, name, input))(tx) : run(tx, older.version)) };
    });
  }

  // Applies what there is, measured and verified on the way: nobody is served before that is done.
  async #build(): Promise<void> {
    try {
      const caught = this.reader.catchUp().then(() => "caught up");
      const measured = (): Promise<string> => {
        this.rebuild.measure();
        return this.#log.host.timers.sleep(measureMs).then(() => "measured");
      };
      while ((await Promise.race([caught, measured()])) === "measured");
      await this.rebuild.verify();
    } catch (error) {
      if (!isConvergentError(error, "rebuilding")) throw error;
    }
    // What a reader knows of rows that were dropped since, it would take for true.
    if (await this.rebuild.beginAnew()) this.#reader = this.#newReader();
  }

  // Built as an eventual view and switched under the lock: at that moment nothing can be appended that it has not folded.
  async #switch(strong: StrongViews): Promise<boolean> {
    const { name, version } = this.definition;
    const claim = this.rebuild.claim();
    const switched = await this.#log.transact(async (tx) => {
      const head = await tx.lock();
      const rows = await versionsOf(tx, name);
      requireNewest(rows, version);
      const own = rows.find((row) => row.version === version);
      if (!own || !isKept(own.state)) return undefined;
      if (own.kind !== "strong-view") {
        const { position, isVerified } = await claim(tx);
        if (comparePositions(position, head.position) < 0) return undefined;
        if (own.state === "building" && !(await isVerified())) return undefined;
        await requireUnique(tx, this.definition);
        // From here on a release that knows only the older version is refused its appends.
        await putInPlace(tx, { ...own, kind: "strong-view" }, this.#log);
      }
      strong.activate(this.definition, this.#log);
      return "active";
    });
    if (switched) await this.rebuild.finish(switched);
    return switched !== undefined;
  }
}

// Two versions of a strong view cannot both be folded inside appends: the releases would refuse each other's. And beside a
// newer version that is eventual, a strong one would refuse the appends of its release.
function requireNewest(rows: readonly DefinitionRow[], version: number): void {
  const newer = rows.find(
    (row) => row.version > version && (row.kind === "strong-view" || (isKept(row.state) && consistencyIn(row) === "eventual")),
  );
  if (!newer) return;
  throw new ConvergentError(
    "definitions_outdated",
    `this store keeps the view "${newer.name}" in version ${newer.version} already, and this process has version ${version}, which is strong; start the newer release, or, to go back, delete the view's rows: convergent view reset ${newer.name}`,
    { details: { view: newer.name, version: newer.version } },
  );
}
