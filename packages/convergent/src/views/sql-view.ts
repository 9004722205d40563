/**
 * Views that keep tables of their own: `view.sql(…).on(…).queries(…)`. Handlers change the tables in the transaction that
 * moves the view's checkpoint (R2), in log order. One partition unless a key is declared (R1): events are applied in the
 * order of the log, whatever they belong to. Queries see one snapshot and are answered with the level they ask for.
 */
import type { AnyEntity, EventOf } from "../entities/entity.ts";
import { ConvergentError } from "../errors/error.ts";
import type { Envelope } from "../log/event.ts";
import type { InputOf, OutputOf, Schema } from "../log/schema.ts";
import { requireEarlier, requireEmitted, requireNamed } from "./named.ts";
import type { Sql, SqlReader } from "./sql.ts";
import type { AnyView, View } from "./view.ts";

/** Changes the view's tables for one event. What it begins is waited for. It must do the same whenever it is run. */
export type SqlHandler<Event, Table extends string> = (event: Event, sql: Sql<Table>) => unknown;

/** A question that a view answers: its input, and the rows or whatever else is made of them. */
export interface Query<Input extends Schema, Result> {
  readonly input: Input;
  readonly run: (sql: SqlReader, input: OutputOf<Input>) => Result | Promise<Result>;
}

/** A query of any types. */
// biome-ignore lint/suspicious/noExplicitAny: the input appears as parameter and as result
// oxlint-disable-next-line typescript/no-explicit-any -- the input appears as a parameter, so no narrower bound accepts every query
export type AnyQuery = Query<any, unknown>;
/** The queries of a view, by name. */
export type AnyQueries = Readonly<Record<string, AnyQuery>>;

/** What a view with tables of its own has besides what every view has. */
export interface SqlForm {
  /** Its tables, by name, with their columns as `CREATE TABLE` lists them. */
  readonly tables: Readonly<Record<string, string>>;
  /** For each table, the columns of its indexes. */
  readonly indexes: Readonly<Record<string, readonly string[]>>;
  /** Partitions of its reader; `undefined` is the reader's own number. */
  readonly slots: number | undefined;
  readonly handlers: ReadonlyMap<string, SqlHandler<Envelope, string>>;
}

/** A view that keeps tables of its own and answers queries. */
export interface SqlView<Name extends string, Queries extends AnyQueries> extends View<Name, unknown, never> {
  readonly sql: SqlForm;
  readonly queries: Queries;
}

export interface SqlViewShape<From extends readonly AnyEntity[], Table extends string> {
  /** Version of the definition; a higher one builds its own tables from the first event. Default 1. */
  readonly version?: number;
  /** The entities whose events it follows. */
  readonly from: From;
  /** Columns of each table, as `CREATE TABLE` lists them: `totals: "customer TEXT PRIMARY KEY, orders INTEGER NOT NULL"`, in the dialect of the store. SQLite's are STRICT. */
  readonly tables: Readonly<Record<Table, string>>;
  /** Columns of each index of a table: `totals: ["orders", "customer, orders"]`. */
  readonly indexes?: { readonly [Name in Table]?: readonly string[] };
  /** What an event belongs to, when events of different keys may be applied in any order: a failing one then holds up its own key only. */
  readonly key?: (event: EventOf<From[number]>) => string;
  /** The version it replaces, which this process keeps as well until the new one is built; it answers by its own queries. */
  readonly replaces?: { readonly view: AnyView };
  /** Partitions over which keys are spread. Default: 1 without a key. */
  readonly slots?: number;
}

/** A view with tables that lacks its handlers. */
export interface SqlNeedsOn<Name extends string, From extends readonly AnyEntity[], Table extends string> {
  /** One handler an event type, keyed `entity.event`. Events without one do not touch the view. */
  on(
    by: {
      readonly [Type in EventOf<From[number]>["type"]]?: SqlHandler<Extract<EventOf<From[number]>, { type: Type }>, Table>;
    },
  ): SqlNeedsQueries<Name>;
}

/** A view with tables that lacks its queries. */
export interface SqlNeedsQueries<Name extends string> {
  /** What it can be asked, made by `query(schema, run)`. */
  queries<const Queries extends AnyQueries>(by: Queries): SqlView<Name, Queries>;
}

/** A query of a view with tables of its own: the schema of its input, and how it is answered. It changes nothing. */
export function query<Input extends Schema, Result>(
  input: Input,
  run: (sql: SqlReader, input: OutputOf<Input>) => Result | Promise<Result>,
): Query<Input, Result> {
  return { input, run };
}

/** What a caller gives a query. */
export type QueryInput<Q extends AnyQuery> = InputOf<Q["input"]>;
/** What a query answers. */
export type QueryResult<Q extends AnyQuery> = Q extends { readonly run: (...given: never[]) => infer Result } ? Awaited<Result> : never;

const namePattern = /^[a-z][a-zA-Z0-9_]{0,62}$/;

/** Every event belongs to the same one: their order is the log's. */
const onePartition = (): string => "all";

/** There are no documents. */
const noDocument: Schema = {
  "~standard": { version: 1, vendor: "convergent", validate: () => ({ issues: [{ message: "this view keeps no documents" }] }) },
};

/** Begins a view with tables of its own. Throws `definition_invalid` for what cannot be; `start` throws `sql_unsupported` for a store without SQL. */
export function sqlView<const Name extends string, const From extends readonly AnyEntity[], const Table extends string>(
  name: Name,
  shape: SqlViewShape<From, Table>,
): SqlNeedsOn<Name, From, Table> {
  const { version = 1, from, tables, key, slots } = shape;
  requireNamed(name, version);
  requireEarlier(shape.replaces?.view, name, version);
  requireNames(name, "table", Object.keys(tables));
  for (const table of Object.keys(shape.indexes ?? {}))
    if (!Object.hasOwn(tables, table))
      throw new ConvergentError("definition_invalid", `the view "${name}" declares an index on "${table}", which is none of its tables`);
  if (slots !== undefined && (!Number.isSafeInteger(slots) || slots < 1 || (slots > 1 && !key)))
    throw new ConvergentError(
      "definition_invalid",
      `the view "${name}" has ${slots} slots: give a whole number from 1 on, and a key when it is above 1`,
    );
  return {
    on: (by) => {
      const handlers = Object.entries(by as unknown as Readonly<Record<string, SqlHandler<Envelope, string>>>);
      const types = handlers.map(([type]) => type);
      requireEmitted(name, from, types);
      const form: SqlForm = {
        tables,
        indexes: (shape.indexes ?? {}) as SqlForm["indexes"],
        slots: slots ?? (key ? undefined : 1),
        handlers: new Map(handlers),
      };
      return {
        queries: (queries) => {
          requireNames(name, "query", Object.keys(queries));
          return {
            kind: "view",
            name,
            version,
            from,
            document: noDocument,
            indexes: [],
            unique: [],
            consistency: "eventual",
            key: (key as ((event: Envelope) => string) | undefined) ?? onePartition,
            handlers: new Map(types.map((type) => [type, () => undefined])),
            sql: form,
            queries,
            ...(shape.replaces ? { replaces: shape.replaces } : {}),
          };
        },
      };
    },
  };
}

function requireNames(view: string, what: "table" | "query", names: readonly string[]): void {
  if (what === "table" && names.length === 0) throw new ConvergentError("definition_invalid", `the view "${view}" declares no table`);
  const bad = names.find((name) => !namePattern.test(name));
  if (bad !== undefined)
    throw new ConvergentError(
      "definition_invalid",
      `"${bad}" is no name for a ${what} of the view "${view}": begin with a lower case letter, go on with letters, digits and underscores`,
    );
}
