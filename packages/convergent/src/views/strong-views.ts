/**
 * Strong views: folded inside the append, in its transaction, before positions are given; what they hold is never
 * behind. The store remembers which views are strong, and a process that lacks one of them may not append, because its
 * events would be missing there (`definitions_outdated`).
 */
import type { StrongFold } from "../log/admission.ts";
import { ConvergentError } from "../errors/error.ts";
import { EventCodec } from "../log/codec.ts";
import type { StoredEvent } from "../log/event.ts";
import type { Log } from "../log/log.ts";
import type { DefinitionRow, WriteTransaction } from "../log/store.ts";
import { DocumentFold, type KeyedEvent, keyedIn } from "./fold.ts";
import type { AnyView } from "./view.ts";

export class StrongViews {
  readonly #active: AnyView[] = [];
  readonly #codecs = new Map<AnyView, EventCodec>();

  /** Installs the guard, and the fold once a view is activated. */
  install(log: Log): void {
    log.useStrongViews(this.#active.length > 0 ? () => this.#fold() : undefined, (tx) => this.#guard(tx));
  }

  /** From the next append on, `definition` is folded inside it. To be called inside the transaction that registers it. */
  activate(definition: AnyView, log: Log): void {
    this.#active.push(definition);
    this.#codecs.set(definition, new EventCodec(definition.from, log));
    this.install(log);
  }

  async #guard(tx: WriteTransaction): Promise<void> {
    const stored = await tx.definitions({ kind: "strong-view" });
    const unknown = stored.find((row) => !this.#active.some((definition) => isStored(definition, row)));
    if (unknown) {
      throw new ConvergentError(
        "definitions_outdated",
        `this store keeps the strong view "${unknown.name}" in version ${unknown.version}, which this process does not have; start a release that has it, or delete it with: convergent view reset ${unknown.name}`,
        { details: { view: unknown.name, version: unknown.version } },
      );
    }
    const lacking = this.#active.find((definition) => !stored.some((row) => isStored(definition, row)));
    if (lacking) {
      throw new ConvergentError(
        "definitions_outdated",
        `the strong view "${lacking.name}" in version ${lacking.version} was reset, or replaced by a newer release, while this process ran; start it again`,
        { details: { view: lacking.name, version: lacking.version } },
      );
    }
  }

  #fold(): StrongFold {
    const folds = this.#active.map((definition) => ({ definition, fold: new DocumentFold(definition, { unique: true }) }));
    return {
      expect: async (tx, events) => {
        await Promise.all(folds.map(({ definition, fold }) => fold.expect(tx, this.#keysOf(definition, events))));
      },
      // Every view must be able to hold the events before any of them does.
      apply: async (tx, events) => {
        const held: Array<() => void> = [];
        for (const { definition, fold } of folds) held.push(await fold.fold(tx, this.#relevant(definition, events)));
        for (const hold of held) hold();
      },
      save: async (tx) => {
        for (const { fold } of folds) await fold.save(tx);
      },
    };
  }

  // A key that cannot be had is met again when its event is folded.
  #keysOf(definition: AnyView, events: readonly StoredEvent[]): string[] {
    return events.flatMap((event) => {
      try {
        return this.#relevant(definition, [event]).map(({ key }) => key);
      } catch {
        return [];
      }
    });
  }

  #relevant(definition: AnyView, events: readonly StoredEvent[]): KeyedEvent[] {
    const codec = this.#codecs.get(definition) as EventCodec;
    return events.filter((event) => definition.handlers.has(event.type)).map((event) => keyedIn(definition, codec, event));
  }
}

function isStored(definition: AnyView, row: DefinitionRow): boolean {
  return definition.name === row.name && definition.version === row.version;
}
