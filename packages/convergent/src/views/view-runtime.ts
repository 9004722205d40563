/**
 * A view at work: keeps its documents by a reader (eventual) or inside appends (strong), and answers reads with the
 * level they ask for. An answer's `asOf` and its value come from one snapshot: the label is never better than the value.
 */
import { ConvergentError } from "../errors/error.ts";
import { durationMs } from "../host/duration.ts";
import { toEnvelope } from "../log/event.ts";
import type { Log } from "../log/log.ts";
import { horizonMs } from "../log/token-issuer.ts";
import type { DefinitionRow, ReadTransaction, WriteTransaction } from "../log/store.ts";
import { comparePositions, earlierPosition, laterPosition, origin, type Position } from "../position/position.ts";
import { parseToken } from "../position/token.ts";
import type { FindOptions, Page, Reading, ReadOptions } from "../protocol/reading.ts";
import type { Inboxes } from "../readers/inboxes.ts";
import { Reader, type ReaderFailure } from "../readers/reader.ts";
import { type KeyedEvent, keyed, storableKey } from "./fold.ts";
import { type Conditions, cursorAfter, findQuery } from "./find-query.ts";
import type { StrongViews } from "./strong-views.ts";
import { type AnyView, fingerprint } from "./view.ts";
import { rowsOf, type ViewRows } from "./view-rows.ts";

const waitDefaultMs = 1000;

/** What a read asks for, as positions of this log. */
interface Level {
  readonly position: Position;
  /** Something was asked for, so `fresh` speaks of that and not of head. */
  readonly asked: boolean;
  /** Other stores whose entries were not covered in time, and those of which nothing is known here. */
  readonly unmet: readonly string[];
  readonly unchecked: readonly string[];
}

export class ViewRuntime {
  readonly definition: AnyView;
  readonly reader: Reader<KeyedEvent>;
  readonly #log: Log;
  readonly #inboxes: Inboxes;
  readonly #rows: ViewRows;
  #strong = false;

  constructor(definition: AnyView, log: Log, inboxes: Inboxes, onFailure: (failure: ReaderFailure) => void) {
    this.definition = definition;
    this.#log = log;
    this.#inboxes = inboxes;
    this.#rows = rowsOf(definition);
    this.reader = new Reader<KeyedEvent>({
      name: definition.name,
      version: definition.version,
      source: log,
      effects: log,
      types: [...definition.handlers.keys()],
      prepare: (event) => keyed(definition, toEnvelope(event)),
      orderKey: (item) => item.key,
      derived: true,
      failed: onFailure,
      apply: (tx, items) => this.#apply(tx, items),
    });
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
    return this.#answer(options, storableKey(key), async (tx) => {
      const [text] = await tx.documents(name, version, [storableKey(key)]);
      return { value: text === undefined ? undefined : (JSON.parse(text) as unknown) };
    });
  }

  /** A page of documents by declared indexes. Throws `index_not_declared`, `cursor_invalid`, and what `get` throws. */
  async find(conditions: Conditions, options: FindOptions = {}): Promise<Page<unknown>> {
    const query = findQuery(this.definition, conditions, options);
    return this.#answer(options, undefined, async (tx) => {
      const hits = await tx.find({ ...query, limit: query.limit + 1 });
      const page = hits.slice(0, query.limit);
      const last = page.at(-1);
      const value = page.map((hit) => ({ key: hit.key, value: JSON.parse(hit.document) as unknown }));
      return last && hits.length > query.limit ? { value, cursor: cursorAfter(query, last) } : { value };
    });
  }

  async #answer<Body extends object>(
    options: ReadOptions,
    key: string | undefined,
    body: (tx: ReadTransaction) => Promise<Body>,
  ): Promise<Body & Omit<Reading<never>, "value">> {
    const level = await this.#level(options, key);
    const claim = this.reader.claim();
    const reading = await this.#log.snapshot(async (tx) => {
      const head = await tx.head();
      const held = this.#strong ? head.position : claim(await tx.checkpoints(this.reader.checkpointKey), key);
      const asOf = earlierPosition(held, head.position);
      const next = comparePositions(asOf, head.position) < 0 ? await this.#log.timeAt((asOf + 1) as Position, tx) : undefined;
      const behind = { positions: head.position - asOf, ms: next === undefined ? 0 : Math.max(0, this.#log.host.clock.now() - next) };
      const covered = level.unmet.length === 0 && level.unchecked.length === 0;
      const met = covered && comparePositions(asOf, level.position) >= 0 && behind.ms <= horizonMs;
      const fresh = level.asked ? met : behind.positions === 0;
      const label = { asOf, behind, fresh, token: await this.#log.tokenAt(asOf, tx) };
      return {
        ...(await body(tx)),
        ...label,
        ...(level.unchecked.length > 0 ? { unchecked: level.unchecked } : {}),
        ...(level.unmet.length > 0 ? { unmet: level.unmet } : {}),
      };
    });
    if (reading.fresh || options.stale !== "error") return reading;
    const { asOf, behind, unmet = [], unchecked = [] } = reading;
    const missing = [...unmet, ...unchecked];
    throw new ConvergentError(
      "not_fresh",
      `the view "${this.definition.name}" stands at position ${asOf}, ${behind.positions} behind, and did not reach what was asked for in time${missing.length > 0 ? `: what the token names of ${missing.join(", ")} has not arrived` : ""}`,
      { details: { asOf, behind, unmet, unchecked } },
    );
  }

  // Waits for what was asked for, at most as long as was asked for; what was not reached is found again in the snapshot.
  async #level(options: ReadOptions, key: string | undefined): Promise<Level> {
    const asked = options.after !== undefined || options.strong === true;
    const waitMs = options.wait === undefined ? waitDefaultMs : durationMs(options.wait);
    if (!asked) return { position: origin, asked, unmet: [], unchecked: [] };
    const elapsed = (): number => this.#log.host.clock.elapsed();
    const deadline = elapsed() + waitMs;
    let position = options.strong ? (await this.#log.head()).position : origin;
    let unmet: readonly string[] = [];
    let unchecked: readonly string[] = [];
    if (options.after !== undefined) {
      const demand = await this.#log.demand(typeof options.after === "string" ? parseToken(options.after) : options.after);
      const exchanged = await this.#inboxes.exchange(demand.foreign, deadline, options.signal);
      position = laterPosition(laterPosition(position, demand.position), exchanged.position);
      ({ unmet, unchecked } = exchanged);
    }
    if (!this.#strong)
      await this.reader.waitFor(position, deadline - elapsed(), {
        ...(key === undefined ? {} : { key }),
        ...(options.signal ? { signal: options.signal } : {}),
      });
    return { position, asked, unmet, unchecked };
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
