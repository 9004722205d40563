/**
 * Cleans up after rebuilds: versions that are marked are deleted, whoever marked them and whoever began; retired ones
 * are marked once no living process uses them. Never touches what answers reads, is built, or belongs to no part.
 */
import type { Log } from "../log/log.ts";
import type { DefinitionRow, ReadTransaction } from "../log/store.ts";
import { dropRows } from "./dropping.ts";
import type { RebuildNews } from "./rebuild.ts";
import { setState, storedVersion } from "./versions.ts";

/** How often it looks, and at how many looks in a row nobody may be seen to use a version. */
const lookMs = 1_000;
const looksMin = 3;

export interface JanitorOptions {
  readonly log: Log;
  /** Whether a process that lives uses this version. */
  readonly isUsed: (tx: ReadTransaction, row: DefinitionRow) => Promise<boolean>;
  readonly news: (news: RebuildNews) => void;
  /** What else is cleaned up at each look. */
  readonly also?: () => Promise<void>;
}

export class Janitor {
  readonly #options: JanitorOptions;
  readonly #unused = new Map<string, number>();
  #running: Promise<void> | undefined;
  #rouse: (() => void) | undefined;
  #stopped = false;

  constructor(options: JanitorOptions) {
    this.#options = options;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#rouse?.();
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      await this.#look().catch(() => undefined); // the store is away, for instance: looked at again
      await this.#options.also?.().catch(() => undefined);
      if (!this.#stopped) await this.#nap();
    }
  }

  async #look(): Promise<void> {
    const { log, isUsed, news } = this.#options;
    const rows = await log.snapshot(async (tx) => {
      const retired: DefinitionRow[] = [];
      const marked: DefinitionRow[] = [];
      for (const row of await tx.definitions()) {
        if (row.state === "dropping") marked.push(row);
        else if (row.state === "retired" && !(await isUsed(tx, row))) retired.push(row);
      }
      return { retired, marked };
    });
    const unused = new Map(rows.retired.map((row) => [nameOf(row), (this.#unused.get(nameOf(row)) ?? 0) + 1]));
    this.#unused.clear();
    for (const [name, looks] of unused) this.#unused.set(name, looks);
    const due = rows.retired.filter((row) => (unused.get(nameOf(row)) ?? 0) >= looksMin);
    for (const row of due) if (await this.#mark(row)) rows.marked.push(row);
    for (const row of rows.marked) {
      await dropRows(log, row, () => this.#stopped);
      if (!this.#stopped) news({ kind: "dropped", view: row.name, version: row.version });
    }
  }

  #mark({ name, version }: DefinitionRow): Promise<boolean> {
    const { log, isUsed } = this.#options;
    return log.transact(async (tx) => {
      const row = await storedVersion(tx, name, version);
      if (row?.state !== "retired" || (await isUsed(tx, row))) return false;
      await setState(tx, row, "dropping");
      return true;
    });
  }

  async #nap(): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = this.#options.log.host.timers.after(lookMs, resolve);
      this.#rouse = () => {
        timer.cancel();
        resolve();
      };
    });
  }
}

function nameOf({ name, version }: DefinitionRow): string {
  return `${version} ${name}`;
}
