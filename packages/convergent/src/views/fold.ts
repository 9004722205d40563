/** Folds events into documents within one transaction: each document is read once and written once, however many events touch it. */
import { ConvergentError } from "../errors/error.ts";
import type { Envelope } from "../log/event.ts";
import { validated } from "../log/schema.ts";
import type { DocumentRow, WriteTransaction } from "../log/store.ts";
import { encodeIndexValue } from "./index-value.ts";
import type { AnyView } from "./view.ts";

/** An event with the document it belongs to. */
export interface KeyedEvent {
  readonly event: Envelope;
  readonly key: string;
}

/** The event with its key. Throws when the view's `key` does not give one. */
export function keyed(definition: AnyView, event: Envelope): KeyedEvent {
  const key: unknown = definition.key(event);
  if (typeof key !== "string" || key === "")
    throw new ConvergentError(
      "definition_invalid",
      `the key of the view "${definition.name}" is no text for the event at position ${event.position} (${event.type})`,
    );
  return { event, key };
}

export class DocumentFold {
  readonly #definition: AnyView;
  // `null` stands for "no document", so that it differs from "not read yet".
  readonly #documents = new Map<string, unknown>();
  readonly #changed = new Set<string>();

  constructor(definition: AnyView) {
    this.#definition = definition;
  }

  /** Applies events in order. When one throws, the documents are as they were before the call. */
  async apply(tx: WriteTransaction, events: readonly KeyedEvent[]): Promise<void> {
    await this.#read(tx, events);
    const after = new Map<string, unknown>();
    for (const { event, key } of events) {
      const handler = this.#definition.handlers.get(event.type);
      if (!handler) continue;
      const before = after.has(key) ? after.get(key) : this.#documents.get(key);
      const document: unknown = handler(before ?? undefined, event);
      after.set(
        key,
        document === undefined
          ? null
          : await validated(
              this.#definition.document,
              document,
              `the document "${key}" of the view ${this.#definition.name}, after ${event.type} at ${event.position},`,
            ),
      );
    }
    for (const [key, document] of after) {
      this.#documents.set(key, document);
      this.#changed.add(key);
    }
  }

  /** Writes what changed. */
  async save(tx: WriteTransaction): Promise<void> {
    if (this.#changed.size === 0) return;
    await tx.saveDocuments([...this.#changed].map((key) => this.#row(key)));
    this.#changed.clear();
  }

  async #read(tx: WriteTransaction, events: readonly KeyedEvent[]): Promise<void> {
    const missing = [...new Set(events.map(({ key }) => key))].filter((key) => !this.#documents.has(key));
    if (missing.length === 0) return;
    const found = await tx.documents(this.#definition.name, this.#definition.version, missing);
    missing.forEach((key, index) => {
      const text = found[index];
      this.#documents.set(key, text === undefined ? null : JSON.parse(text));
    });
  }

  #row(key: string): DocumentRow {
    const { name, version, indexes } = this.#definition;
    const document = this.#documents.get(key);
    if (document === null || document === undefined) return { view: name, version, key, document: undefined, indexes: [] };
    const entries = (indexes as readonly string[]).flatMap((field) => {
      const value = (document as Record<string, unknown>)[field];
      return value === undefined ? [] : [{ field, value: encodeIndexValue(value, field) }];
    });
    return { view: name, version, key, document: JSON.stringify(document), indexes: entries };
  }
}
