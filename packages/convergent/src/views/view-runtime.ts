/**
 * A view at work: keeps its documents by a reader (eventual) or inside appends (strong), and answers reads with the
 * level they ask for. An answer's `asOf` and its value come from one snapshot: the label is never better than the value.
 */
import { ConvergentError } from "../errors/error.ts";
import { EventCodec } from "../log/codec.ts";
import type { Log } from "../log/log.ts";
import type { DefinitionRow, ReadTransaction, WriteTransaction } from "../log/store.ts";
import { comparePositions } from "../position/position.ts";
import type { FindOptions, Page, Reading, ReadOptions } from "../protocol/reading.ts";
import type { Inboxes } from "../readers/inboxes.ts";
import { Reader, type ReaderFailure } from "../readers/reader.ts";
import { Answers } from "./answers.ts";
import { type KeyedEvent, keyed, storableKey } from "./fold.ts";
import { type Conditions, cursorAfter, findQuery } from "./find-query.ts";
import type { StrongViews } from "./strong-views.ts";
import { requireUnique } from "./unique.ts";
import { type AnyView, fingerprint } from "./view.ts";
import { rowsOf, type ViewRows } from "./view-rows.ts";

export class ViewRuntime {
  readonly definition: AnyView;
  readonly reader: Reader<KeyedEvent>;
  readonly #log: Log;
  readonly #rows: ViewRows;
  readonly #answers: Answers;
  #strong = false;

  constructor(definition: AnyView, log: Log, inboxes: Inboxes, onFailure: (failure: ReaderFailure) => void) {
    this.definition = definition;
    this.#log = log;
    this.#rows = rowsOf(definition);
    const { decode, isUnknown } = new EventCodec(definition.from);
    this.reader = new Reader<KeyedEvent>({
      name: definition.name,
      version: definition.version,
      source: log,
      effects: log,
      types: [...definition.handlers.keys()],
      others: isUnknown,
      prepare: (event) => keyed(definition, decode(event)),
      orderKey: (item) => item.key,
      derived: true,
      failed: onFailure,
      apply: (tx, items) => this.#apply(tx, items),
    });
    this.#answers = new Answers({ view: definition.name, log, inboxes, reader: this.reader, neverBehind: () => this.#strong });
  }

  /** Checks the stored definition against this one, builds a strong view to head, and starts the reader. Throws `definition_changed`. */
  async start(strong: StrongViews): Promise<void> {
    await this.#log.transact((tx) => this.#register(tx));
    if (this.definition.consistency === "eventual") {
      this.reader.start();
      return;
    }
    while (!(await this.#switch(strong))) await this.reader.catchUp();
    this.#strong = true;
  }

  async stop(): Promise<void> {
    if (!this.#strong) await this.reader.stop();
  }

  /** One document. Throws `not_fresh` when asked to, `token_invalid`, `token_epoch`. */
  async get(key: string, options: ReadOptions = {}): Promise<Reading<unknown>> {
    const { name, version } = this.definition;
    const stored = storableKey(key);
    return this.#answers.answer({ ...options, key: stored }, async (tx) => {
      const [text] = await tx.documents(name, version, [stored]);
      return { value: text === undefined ? undefined : (JSON.parse(text) as unknown) };
    });
  }

  /** A page of documents by declared indexes. Throws `index_not_declared`, `cursor_invalid`, and what `get` throws. */
  async find(conditions: Conditions, options: FindOptions = {}): Promise<Page<unknown>> {
    const query = findQuery(this.definition, conditions, options);
    return this.#answers.answer(options, async (tx) => {
      const hits = query.limit === 0 ? [] : await tx.find({ ...query, limit: query.limit + 1 });
      const page = hits.slice(0, query.limit);
      const last = page.at(-1);
      const value = page.map((hit) => ({ key: hit.key, value: JSON.parse(hit.document) as unknown }));
      return {
        value,
        ...(last && hits.length > query.limit ? { cursor: cursorAfter(query, last) } : {}),
        ...(options.count ? { count: await tx.count(query) } : {}),
      };
    });
  }

  /** How many documents meet the conditions. Throws `index_not_declared`, and what `get` throws. */
  async count(conditions: Conditions, options: ReadOptions = {}): Promise<Reading<number>> {
    const query = findQuery(this.definition, conditions, {});
    return this.#answers.answer(options, async (tx) => ({ value: await tx.count(query) }));
  }

  async #apply(tx: WriteTransaction, items: readonly KeyedEvent[]): Promise<void> {
    // Another process has switched the view that this one still builds: appends fold these events.
    if (this.definition.consistency === "strong" && (await this.#storedAs(tx)) === "strong-view") return;
    await this.#rows.apply(tx, items);
  }

  /** Remembers the definition, or compares it with what is remembered. Throws `definition_changed`. */
  async #register(tx: WriteTransaction): Promise<void> {
    const { name, version } = this.definition;
    const stored = (await tx.definitions()).find((row) => row.name === name && row.version === version);
    const print = fingerprint(this.definition);
    if (stored && stored.fingerprint !== print) {
      throw new ConvergentError(
        "definition_changed",
        `the view "${name}" is defined otherwise than when its rows were written, under the same version ${version}; raise its version, or delete its rows with: convergent view reset ${name}`,
        { details: { stored: stored.fingerprint, defined: print } },
      );
    }
    if (stored) return;
    await tx.dropView(name, version); // leftovers of a process that went on after a reset
    await tx.saveDefinition(this.#row("view"));
    await this.#rows.prepare(tx);
  }

  // Built as an eventual view and switched under the lock: at that moment nothing can be appended that it has not folded.
  async #switch(strong: StrongViews): Promise<boolean> {
    return this.#log.transact(async (tx) => {
      const head = await tx.lock();
      if ((await this.#storedAs(tx)) !== "strong-view") {
        if (comparePositions(this.reader.position, head.position) < 0) return false;
        await requireUnique(tx, this.definition);
        await tx.saveDefinition(this.#row("strong-view"));
        await this.#retireOlder(tx);
      }
      strong.activate(this.definition, this.#log);
      return true;
    });
  }

  // From here on a release that knows only the older version is refused its appends.
  async #retireOlder(tx: WriteTransaction): Promise<void> {
    const { name, version } = this.definition;
    const older = (await tx.definitions()).filter((row) => row.kind === "strong-view" && row.name === name && row.version < version);
    for (const row of older) await tx.saveDefinition({ ...row, kind: "view" });
  }

  async #storedAs(tx: ReadTransaction): Promise<DefinitionRow["kind"] | undefined> {
    return (await tx.definitions()).find((row) => row.name === this.definition.name && row.version === this.definition.version)?.kind;
  }

  #row(kind: DefinitionRow["kind"]): DefinitionRow {
    return {
      kind,
      name: this.definition.name,
      version: this.definition.version,
      fingerprint: fingerprint(this.definition),
      state: "active",
      reason: "",
    };
  }
}
