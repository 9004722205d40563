/**
 * Views: documents shaped for their readers, folded from events. `version` belongs to the definition: rows of two
 * versions never mix. The stages `view → on` are what lets each handler know its event's type.
 */
import { ConvergentError } from "../errors/error.ts";
import type { AnyEntity, EventOf } from "../entities/entity.ts";
import type { Envelope } from "../log/event.ts";
import type { OutputOf, Schema } from "../log/schema.ts";
import { requireEarlier, requireEmitted, requireNamed } from "./named.ts";
import { type AnyQueries, type SqlForm, sqlView } from "./sql-view.ts";

/** `eventual`: a reader follows behind. `strong`: applied inside the append, in its transaction. */
export type Consistency = "eventual" | "strong";

/** Folds one event into a document. Pure. It returns the new document; `undefined` deletes it. */
export type Handler<Document, Event> = (document: Document | undefined, event: Event) => Document | undefined;

/** A view: the documents it keeps, whose events make them, and by which fields they are found. */
export interface View<Name extends string, Document, Index extends string, From extends readonly AnyEntity[] = readonly AnyEntity[]> {
  readonly kind: "view";
  readonly name: Name;
  readonly version: number;
  readonly from: From;
  readonly document: Schema<unknown, Document>;
  readonly indexes: readonly Index[];
  /** Those of the indexes of whose values no two documents have the same. */
  readonly unique: readonly Index[];
  readonly consistency: Consistency;
  readonly key: (event: Envelope) => string;
  readonly handlers: ReadonlyMap<string, Handler<Document, Envelope>>;
  /** The version it replaces, which this process keeps as well until the new one is built. */
  readonly replaces?: { readonly view: AnyView; readonly as?: (old: unknown) => Document | undefined };
  /** Of a view that keeps tables instead of documents. */
  readonly sql?: SqlForm;
  readonly queries?: AnyQueries;
}

/** A view of any types. */
// biome-ignore lint/suspicious/noExplicitAny: the document appears as parameter and as result
// oxlint-disable-next-line typescript/no-explicit-any -- the document appears as parameter and as result, so no narrower bound accepts every view
export type AnyView = View<string, any, any>;

/** The documents of a view. */
type DocumentOf<V> = V extends View<string, infer Document, string> ? Document : never;

/**
 * The older definition of the same view. While the new version is built, this process keeps the older one current, and
 * answers reads from it, each document turned into a new one by `as`, which may be left out when it is one already.
 */
export type Replaces<Previous extends AnyView, Document> = { readonly view: Previous } & (DocumentOf<Previous> extends Document
  ? { readonly as?: (old: DocumentOf<Previous>) => Document | undefined }
  : { readonly as: (old: DocumentOf<Previous>) => Document | undefined });

/** Fields that hold text, numbers or booleans, or nothing. */
export type UniqueField<Document> = {
  readonly [Field in keyof Document & string]-?: NonNullable<Document[Field]> extends string | number | boolean ? Field : never;
}[keyof Document & string];

export interface ViewShape<
  From extends readonly AnyEntity[],
  Document extends Schema,
  Index extends string,
  Unique extends string = never,
  Previous extends AnyView = AnyView,
> {
  /** Version of the definition; a higher one builds its own rows from the first event. Default 1. */
  readonly version?: number;
  /** The entities whose events it folds. */
  readonly from: From;
  /** Schema of a document; checked on every write. */
  readonly document: Document;
  /** The document an event belongs to. */
  readonly key: (event: EventOf<From[number]>) => string;
  /** Fields of the document by which it can be found, sorted and ranged. */
  readonly indexes?: readonly Index[];
  /**
   * Fields of which no two documents may have the same value; each is an index, too. An append that would break this is
   * refused alone, and its command is `rejected` with `unique`. Null and absent are never the same. Strong views only.
   */
  readonly unique?: readonly Unique[];
  readonly consistency?: Consistency;
  /** The definition before this one, with the one that it replaced in its turn, so that reads stay current while this version is built. Without it they are answered from the rows the older version left. */
  readonly replaces?: Replaces<Previous, OutputOf<Document>>;
}

/** A view that lacks its handlers. */
export interface NeedsOn<Name extends string, From extends readonly AnyEntity[], Document, Index extends string> {
  /** One handler an event type, keyed `entity.event`. Events without one do not touch the view. */
  on(
    by: { readonly [Type in EventOf<From[number]>["type"]]?: Handler<Document, Extract<EventOf<From[number]>, { type: Type }>> },
  ): View<Name, Document, Index, From>;
}

function documentView<
  const Name extends string,
  const From extends readonly AnyEntity[],
  Document extends Schema,
  const Index extends keyof OutputOf<Document> & string = never,
  const Unique extends UniqueField<OutputOf<Document>> = never,
  Previous extends AnyView = AnyView,
>(name: Name, shape: ViewShape<From, Document, Index, Unique, Previous>): NeedsOn<Name, From, OutputOf<Document>, Index | Unique> {
  const version = shape.version ?? 1;
  requireNamed(name, version);
  const unique = shape.unique ?? [];
  const consistency = shape.consistency ?? "eventual";
  if (unique.length > 0 && consistency !== "strong")
    throw new ConvergentError(
      "definition_invalid",
      `the view "${name}" is eventual and cannot keep ${unique.join(", ")} unique: by the time it sees an event the append is done; add consistency: "strong"`,
    );
  requireEarlier(shape.replaces?.view, name, version);
  return {
    on: (by) => {
      requireEmitted(name, shape.from, Object.keys(by));
      return {
        kind: "view",
        name,
        version,
        from: shape.from,
        document: shape.document,
        indexes: [...new Set<Index | Unique>([...(shape.indexes ?? []), ...unique])],
        unique,
        consistency,
        key: shape.key as (event: Envelope) => string,
        ...(shape.replaces ? { replaces: shape.replaces as unknown as NonNullable<AnyView["replaces"]> } : {}),
        handlers: new Map(Object.entries(by) as Array<[string, Handler<OutputOf<Document>, Envelope>]>),
      };
    },
  };
}

/**
 * Begins a view. `view(name, …)` folds events into documents; `view.sql(name, …)` keeps tables of its own. Throws
 * `definition_invalid` for a name, version or handler that cannot be.
 */
export const view: typeof documentView & {
  /** Begins a view that keeps tables of its own, changed and asked by SQL. */
  readonly sql: typeof sqlView;
} = Object.assign(documentView, { sql: sqlView });
