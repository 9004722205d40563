/**
 * The caller's transaction as something that is asked one statement with text parameters. Clients of `pg`, Kysely and Drizzle are told
 * apart by what they have; none of them is imported, because all that is needed is on the object that the caller holds.
 */
import type { UserTransaction } from "../../log/staging.ts";

/** One statement in the caller's transaction; rows by the names of their columns. Errors come as the caller's library throws them. */
export type Ask = (text: string, values: readonly unknown[]) => Promise<ReadonlyArray<Record<string, unknown>>>;

type Row = Record<string, unknown>;

/** How to ask in a transaction. */
export function askIn(tx: UserTransaction): Ask {
  if ("query" in tx && typeof tx.query === "function") {
    const query = tx.query as (text: string, values: readonly unknown[]) => PromiseLike<{ readonly rows: readonly Row[] }>;
    return async (text, values) => (await query.call(tx, text, values)).rows;
  }
  if ("executeQuery" in tx) {
    const execute = tx.executeQuery as (compiled: Compiled) => PromiseLike<{ readonly rows: readonly Row[] }>;
    return async (text, values) => (await execute.call(tx, compiled(text, values))).rows;
  }
  const execute = (tx as { readonly execute: (wrapper: unknown) => PromiseLike<unknown> }).execute;
  return async (text, values) => {
    // Drizzle asks whatever it executes for SQL, and that for its text and parameters.
    const wrapper = { getSQL: () => ({ toQuery: () => ({ sql: text, params: values }) }) };
    const result = (await execute.call(tx, wrapper)) as readonly Row[] | { readonly rows: readonly Row[] };
    return "rows" in result ? result.rows : result; // its drivers answer with one or the other
  };
}

/** What `CompiledQuery.raw` of Kysely makes. */
interface Compiled {
  readonly sql: string;
  readonly parameters: readonly unknown[];
  readonly query: { readonly kind: "RawNode"; readonly sqlFragments: readonly string[]; readonly parameters: readonly never[] };
  readonly queryId: { readonly queryId: string };
}

function compiled(sql: string, parameters: readonly unknown[]): Compiled {
  return { sql, parameters, query: { kind: "RawNode", sqlFragments: [sql], parameters: [] }, queryId: { queryId: "convergent" } };
}
