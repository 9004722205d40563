/**
 * Folds events into documents within one transaction: each document is read once and written once, however many events
 * touch it. Documents are held as the text that is stored, so that a handler is given the same value within a batch as
 * after it, and may do with it what it likes.
 */
import { ConvergentError } from "../errors/error.ts";
import { type EventCodec, isDropped, requireReadable } from "../log/codec.ts";
import { type Envelope, type StoredEvent, streamOf } from "../log/event.ts";
import { isSealed } from "../log/marks.ts";
import { validatedAtOnce } from "../log/schema.ts";
import type { DocumentRow, WriteTransaction } from "../log/store.ts";
import { encodeIndexValue } from "./index-value.ts";
import { type ForgottenValues, forgottenValuesOf, UniqueOwners } from "./unique.ts";
import type { AnyView } from "./view.ts";

/** An event with the document it belongs to. */
export interface KeyedEvent {
  readonly event: Envelope;
  readonly key: string;
}

/** The event with its key. Throws when the view's `key` does not give one. */
export function keyed(definition: AnyView, event: Envelope): KeyedEvent {
  // An event that means nothing any more belongs to no document; it has a key so that it can pass like any other.
  if (isDropped(event)) return { event, key: streamOf(event.entity, event.entityId) };
  const key: unknown = definition.key(event);
  if (typeof key !== "string" || key === "")
    throw new ConvergentError(
      "definition_invalid",
      `the key of the view "${definition.name}" is no text for the event at position ${event.position} (${event.type})`,
    );
  return { event, key: storableKey(key) };
}

/** A stored event with its key. Throws, beside what `keyed` throws, when the key depends on a personal field: it would not be the same once the person is forgotten. */
export function keyedIn(definition: AnyView, codec: EventCodec, stored: StoredEvent): KeyedEvent {
  const item = keyed(definition, codec.decode(stored));
  if (!isSealed(stored.metadata) || keyed(definition, codec.decodeForgotten(stored)).key === item.key) return item;
  throw new ConvergentError(
    "definition_invalid",
    `the key of the view "${definition.name}" comes from a personal field of ${stored.type}, so that the document could not be found when its person is forgotten; take the key from something else`,
  );
}

/** A key as it is stored: half a surrogate pair, which no database keeps, becomes the replacement character. */
export function storableKey(key: string): string {
  return key.toWellFormed();
}

/** A document as it will be stored. */
type Held = Pick<DocumentRow, "document" | "indexes">;

const none: Held = { document: undefined, indexes: [] };

export class DocumentFold {
  readonly #definition: AnyView;
  readonly #documents = new Map<string, Held>();
  readonly #changed = new Set<string>();
  readonly #owners: UniqueOwners | undefined;
  readonly #forgotten: ForgottenValues;

  /** `unique`: whether to refuse events that lead to two documents with the same value of a unique field. */
  constructor(definition: AnyView, options: { readonly unique?: boolean } = {}) {
    this.#definition = definition;
    this.#forgotten = forgottenValuesOf(definition);
    this.#owners = options.unique && definition.unique.length > 0 ? new UniqueOwners(definition) : undefined;
  }

  /** Documents to be folded anew, from nothing: whatever lies under these keys is replaced. */
  begin(keys: Iterable<string>): void {
    for (const key of keys) {
      this.#documents.set(key, none);
      this.#changed.add(key);
    }
  }

  /** Reads documents that events are going to be folded into. */
  async expect(tx: WriteTransaction, keys: readonly string[]): Promise<void> {
    await this.#read(tx, keys);
  }

  /**
   * Folds events, in order. Nothing is changed before the function it returns is called. Throws when a handler does, unless
   * `failed` is given: it is then told of the event, and later events of its document are left out.
   */
  async fold(tx: WriteTransaction, events: readonly KeyedEvent[], failed?: (index: number, error: unknown) => void): Promise<() => void> {
    await this.#read(
      tx,
      events.map(({ key }) => key),
    );
    const after = new Map<string, Held>();
    const left = new Set<string>();
    for (const [index, each] of events.entries()) {
      if (left.has(each.key)) continue;
      try {
        const folded = this.#next(each, after.get(each.key) ?? this.#documents.get(each.key) ?? none);
        const next = folded instanceof Promise ? await folded : folded;
        if (next) after.set(each.key, next);
      } catch (error) {
        if (!failed) throw error;
        failed(index, error);
        left.add(each.key);
      }
    }
    const own = await this.#owners?.claim(
      tx,
      [...after].map(([key, held]) => ({ key, before: this.#documents.get(key)?.indexes ?? [], after: held.indexes })),
    );
    return () => {
      own?.();
      for (const [key, held] of after) {
        this.#documents.set(key, held);
        this.#changed.add(key);
      }
    };
  }

  /** Writes what changed. */
  async save(tx: WriteTransaction): Promise<void> {
    if (this.#changed.size === 0) return;
    const { name: view, version, indexes } = this.#definition;
    const isIndexed = indexes.length > 0;
    await tx.saveDocuments([...this.#changed].map((key) => ({ view, version, key, isIndexed, ...(this.#documents.get(key) ?? none) })));
    this.#changed.clear();
  }

  #next({ event, key }: KeyedEvent, { document }: Held): Held | undefined | Promise<Held> {
    requireReadable(event);
    const handler = this.#definition.handlers.get(event.type);
    if (!handler || isDropped(event)) return undefined;
    const next: unknown = handler(document === undefined ? undefined : JSON.parse(document), event);
    return next === undefined ? none : this.#held(next, key, event);
  }

  async #read(tx: WriteTransaction, keys: readonly string[]): Promise<void> {
    const missing = [...new Set(keys)].filter((key) => !this.#documents.has(key));
    if (missing.length === 0) return;
    const found = await tx.documents(this.#definition.name, this.#definition.version, missing);
    missing.forEach((key, index) => {
      const document = found[index];
      const indexes = this.#owners && document !== undefined ? this.#entries(JSON.parse(document) as Record<string, unknown>) : [];
      this.#documents.set(key, { document, indexes });
    });
  }

  #held(document: unknown, key: string, { type, position }: Envelope): Held | Promise<Held> {
    const { name } = this.#definition;
    const what = (): string => `the document "${key}" of the view ${name}, after ${type} at ${position},`;
    const checked: unknown = validatedAtOnce(this.#definition.document, document, what);
    return checked instanceof Promise ? checked.then((value) => this.#asStored(value)) : this.#asStored(checked);
  }

  #asStored(document: unknown): Held {
    const text = JSON.stringify(document);
    const isIndexed = this.#definition.indexes.length > 0;
    return { document: text, indexes: isIndexed ? this.#entries(JSON.parse(text) as Record<string, unknown>) : none.indexes };
  }

  #entries(fields: Readonly<Record<string, unknown>>): DocumentRow["indexes"] {
    return (this.#definition.indexes as readonly string[]).flatMap((field) => {
      const value = this.#forgotten.get(field)?.has(fields[field]) ? null : fields[field];
      return value === undefined ? [] : [{ field, value: encodeIndexValue(value, field) }];
    });
  }
}
