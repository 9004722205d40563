/**
 * The caller's transaction as something that is asked one statement with text parameters. Clients of `pg`, Kysely and Drizzle are told
 * apart by what they have; none of them is imported, because all that is needed is on the object that the caller holds.
 */
import type { UserTransaction } from "../../log/staging.ts";

/** One statement in the caller's transaction; rows by the names of their columns. Errors come as the caller's library throws them. */
export type Ask = (text: string, values: readonly unknown[]) => Promise<ReadonlyArray<Record<string, unknown>>>;

type Row = Record<string, unknown>;

interface Rows {
  readonly rows: readonly Row[];
}

interface Client {
  query(text: string, values: readonly unknown[]): PromiseLike<Rows>;
}

interface KyselyTransaction {
  executeQuery(query: Compiled): PromiseLike<Rows>;
}

interface DrizzleTransaction {
  /** Its drivers answer with one or the other. */
  execute(wrapper: unknown): PromiseLike<Rows | readonly Row[]>;
}

/** How to ask in a transaction. */
export function askIn(tx: UserTransaction): Ask {
  if ("query" in tx && typeof tx.query === "function") {
    const client = tx as unknown as Client;
    return async (text, values) => (await client.query(text, values)).rows;
  }
  if ("executeQuery" in tx) {
    const kysely = tx as unknown as KyselyTransaction;
    return async (text, values) => (await kysely.executeQuery(compiled(text, values))).rows;
  }
  const drizzle = tx as unknown as DrizzleTransaction;
  return async (text, values) => {
    // It asks whatever it executes for SQL, and that for its text and parameters.
    const result = await drizzle.execute({ getSQL: () => ({ toQuery: () => ({ sql: text, params: values }) }) });
    return "rows" in result ? result.rows : result;
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
