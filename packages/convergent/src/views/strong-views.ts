/**
 * Strong views: folded inside the append, in its transaction, before positions are given; what they hold is never
 * behind. The store remembers which views are strong, and a process that lacks one of them may not append, because its
 * events would be missing there (`definitions_outdated`).
 */
import type { StrongFold } from "../log/admission.ts";
import { ConvergentError } from "../errors/error.ts";
import { type StoredEvent, toEnvelope } from "../log/event.ts";
import type { Log } from "../log/log.ts";
import type { WriteTransaction } from "../log/store.ts";
import { DocumentFold, keyed } from "./fold.ts";
import type { AnyView } from "./view.ts";

export class StrongViews {
  readonly #active: AnyView[] = [];

  /** Installs the guard, and the fold once a view is activated. */
  install(log: Log): void {
    log.useStrongViews(this.#active.length > 0 ? () => this.#fold() : undefined, (tx) => this.#guard(tx));
  }

  /** From the next append on, `definition` is folded inside it. To be called inside the transaction that registers it. */
  activate(definition: AnyView, log: Log): void {
    this.#active.push(definition);
    this.install(log);
  }

  async #guard(tx: WriteTransaction): Promise<void> {
    for (const row of await tx.definitions()) {
      if (
        row.kind !== "strong-view" ||
        this.#active.some((definition) => definition.name === row.name && definition.version === row.version)
      )
        continue;
      throw new ConvergentError(
        "definitions_outdated",
        `this store keeps the strong view "${row.name}" (version ${row.version}), which this process does not know; start a release that has it, or remove it with: convergent view reset ${row.name}`,
        {
          details: { view: row.name, version: row.version },
        },
      );
    }
  }

  #fold(): StrongFold {
    const folds = this.#active.map((definition) => ({ definition, fold: new DocumentFold(definition) }));
    return {
      apply: async (tx, events) => {
        for (const { definition, fold } of folds) await fold.apply(tx, relevant(definition, events));
      },
      save: async (tx) => {
        for (const { fold } of folds) await fold.save(tx);
      },
    };
  }
}

function relevant(definition: AnyView, events: readonly StoredEvent[]): ReturnType<typeof keyed>[] {
  return events.filter((event) => definition.handlers.has(event.type)).map((event) => keyed(definition, toEnvelope(event)));
}
