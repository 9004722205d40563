/** The rows of a view that keeps tables of its own: made with the version, changed by its handlers, asked by its queries. */
import { ConvergentError, isConvergentError } from "../errors/error.ts";
import { isDropped, requireReadable } from "../log/codec.ts";
import { validated } from "../log/schema.ts";
import type { OwnTable, SqlOwner } from "../log/sql.ts";
import type { ReadTransaction, WriteTransaction } from "../log/store.ts";
import { ItemError } from "../readers/verdict.ts";
import type { KeyedEvent } from "./fold.ts";
import { type OwnTables, sqlReader, sqlWriter, tableName } from "./sql.ts";
import { CannotAnswer } from "./standing.ts";
import type { AnyQuery, SqlForm } from "./sql-view.ts";
import type { AnyView } from "./view.ts";
import type { ViewRows } from "./view-rows.ts";

export function sqlRows({ name: view, version }: AnyView, form: SqlForm): ViewRows {
  const tables = tablesOf({ view, version }, form);
  return {
    prepare: async (tx) => {
      if (!tx.sql)
        throw new ConvergentError(
          "sql_unsupported",
          `the view "${view}" keeps tables of its own, and this store speaks no SQL; start the service with sqlite("data/….db") or postgres("postgres://…"), or write the view as documents`,
          { details: { view } },
        );
      await tx.sql.create(tables, ownTables(tables, form));
    },
    apply: async (tx, items) => {
      // Somebody may have reset the view since, and the tables with it.
      await tx.sql?.create(tables, ownTables(tables, form));
      await apply(tx, { tables, form }, items);
      return [];
    },
  };
}

async function apply(
  tx: WriteTransaction,
  { tables, form }: { readonly tables: OwnTables; readonly form: SqlForm },
  items: readonly KeyedEvent[],
): Promise<void> {
  if (!tx.sql) return;
  for (const [index, { event }] of items.entries()) {
    const { sql, settled } = sqlWriter(tables, tx.sql);
    try {
      requireReadable(event);
      if (isDropped(event)) continue;
      await form.handlers.get(event.type)?.(event, sql);
      await settled();
    } catch (error) {
      throw new ItemError(index, error); // what it has written is taken back with the transaction
    }
  }
}

/** A query made ready: its input has been checked. It asks the tables of its definition's version, or of an older one. */
export type ReadyQuery = (tx: ReadTransaction, version?: number) => Promise<unknown>;

/** Throws `not_found` with the queries there are, and `invalid_input`. */
export async function readyQuery(definition: AnyView, name: string, input: unknown): Promise<ReadyQuery> {
  const { name: view, sql: form, queries = {} } = definition;
  const query = Object.hasOwn(queries, name) ? (queries[name] as AnyQuery) : undefined;
  if (!form || !query) {
    const known = Object.keys(queries);
    throw new ConvergentError(
      "not_found",
      `the view "${view}" has no query "${name.slice(0, 100)}"; it has ${known.join(", ") || "none"}`,
      {
        details: { known },
      },
    );
  }
  const checked: unknown = await validated(query.input as never, input, `the input of the query ${view}.${name}`);
  return async (tx, version = definition.version) => {
    if (!tx.sql) throw new ConvergentError("sql_unsupported", `the view "${view}" keeps tables of its own, and this store speaks no SQL`);
    try {
      return await query.run(sqlReader(tablesOf({ view, version }, form), tx.sql), checked);
    } catch (error) {
      if (!isConvergentError(error, "sql_failed")) throw error;
      const isOther = version !== definition.version || error.details["tableMissing"] === true;
      if (!isOther) throw error;
      throw new CannotAnswer(`the tables of version ${version} do not answer "${name}"`, { cause: error });
    }
  };
}

const known = new WeakMap<SqlForm, Map<number, OwnTables>>();

function tablesOf(owner: SqlOwner, form: SqlForm): OwnTables {
  let versions = known.get(form);
  if (!versions) known.set(form, (versions = new Map<number, OwnTables>()));
  let tables = versions.get(owner.version);
  if (!tables) versions.set(owner.version, (tables = { ...owner, names: new Set(Object.keys(form.tables)) }));
  return tables;
}

function ownTables(tables: OwnTables, form: SqlForm): OwnTable[] {
  return Object.entries(form.tables).map(([table, columns]) => ({
    name: tableName(tables, table),
    columns,
    indexes: form.indexes[table] ?? [],
  }));
}
