/**
 * Statements of views on tables of their own. PostgreSQL itself says what a statement would touch: it locks every relation that
 * a statement names before it plans it, so the statement is explained in a transaction that is rolled back, and its locks
 * are read. A handler's may read and change the tables of its view, a query's may read them; everything else is refused, and
 * so is what would do something else when it is done again. Each text is looked at once a process.
 */
import { ConvergentError, isConvergentError } from "../../errors/error.ts";
import { type OwnTable, type SqlOwner, type SqlRead, type SqlRow, type SqlValue, type SqlWrite, tablePrefix } from "../../log/sql.ts";
import type { Connection } from "./connection.ts";
import { sqlState } from "./failure.ts";
import type { Statements } from "./statements.ts";
import { quoted } from "./transactions.ts";

/** Characters of a name in PostgreSQL; a longer one is cut off in silence. */
const nameMax = 63;

/** What a statement may do, by how PostgreSQL locks what it names. */
const reading: ReadonlySet<string> = new Set(["AccessShareLock"]);
const writing: ReadonlySet<string> = new Set(["AccessShareLock", "RowShareLock", "RowExclusiveLock"]);

/** Words whose value depends on when they are said. Functions are asked for by their names. */
const unrepeatable =
  /\b(current_timestamp|current_date|current_time|localtimestamp|localtime|now|statement_timestamp|transaction_timestamp)\b/i;

const undefinedTable = "42P01";

interface Statement {
  readonly owner: SqlOwner;
  readonly text: string;
  readonly how: "reads" | "writes";
  readonly values: readonly SqlValue[];
}

/** Looks at statements, over a connection of its own. */
export type Looks = <T>(look: (connection: Connection) => Promise<T>) => Promise<T>;

/** What is known of texts: undefined for one that is allowed, else why it is not. One for each open store. */
export class KnownStatements {
  readonly #looks: Looks;
  readonly #known = new Map<string, Promise<string | undefined>>();

  constructor(looks: Looks) {
    this.#looks = looks;
  }

  /** Throws what is wrong with the statement. Tables that are missing may be there later, so that is not kept. */
  async check({ owner, text, how, values }: Statement): Promise<void> {
    const name = `${how} ${tablePrefix(owner)} ${text}`;
    let known = this.#known.get(name);
    if (!known) {
      if (this.#known.size >= statementsMax) this.#known.clear();
      known = this.#looks((connection) => refusalOf(connection, { owner, text, how, values }));
      this.#known.set(name, known);
      known.catch(() => this.#known.delete(name));
    }
    const refusal = await known;
    if (refusal !== undefined) throw new Error(refusal);
  }
}

/** Texts that are remembered. */
const statementsMax = 1000;

async function refusalOf(connection: Connection, { owner, text, how, values }: Statement): Promise<string | undefined> {
  const bare = withoutQuotes(text);
  const verb = /^[\s(]*(\w+)/.exec(bare)?.[1]?.toLowerCase() ?? "";
  if (!["select", "with", "values", "table", "insert", "update", "delete", "merge"].includes(verb))
    return `a view may read and change rows, and not: ${verb || "nothing"}`;
  // SELECT … INTO makes a table, and is no INSERT.
  if (/(?<!\binsert\s+)(?<!\bmerge\s+)\binto\b/i.test(bare)) return "a view makes no tables by itself: SELECT INTO";
  const word = how === "writes" ? unrepeatable.exec(bare)?.[0] : undefined;
  if (word !== undefined) return `it would come out differently when it is done again: ${word}`;
  await connection.ask(`EXPLAIN (COSTS OFF) ${text}`, values);
  const locks = await connection.ask(
    "SELECT relation, mode FROM pg_catalog.pg_locks WHERE pid = pg_backend_pid() AND locktype = 'relation'",
  );
  const relations = await connection.ask(
    `SELECT c.oid::bigint, n.nspname = current_schema(), c.relname, c.relkind IN ('i', 'I') FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = ANY ($1::bigint[]::oid[])`,
    [locks.rows.map((row) => Number(row[0]))],
  );
  const allowed = how === "writes" ? writing : reading;
  for (const [oid, isHere, relation, isIndex] of relations.rows as unknown as ReadonlyArray<readonly [number, boolean, string, boolean]>) {
    if (isIndex || relation === "pg_locks") continue;
    const isOwn = isHere && relation.startsWith(tablePrefix(owner));
    const modes = locks.rows.filter((row) => Number(row[0]) === oid).map((row) => row[1] as string);
    if (!isOwn) return `a statement of this view may touch its own tables only, not "${relation}"`;
    const refused = modes.find((mode) => !allowed.has(mode));
    if (refused !== undefined)
      return how === "reads"
        ? `a query changes nothing, and this one would change or lock "${relation}"`
        : `a handler changes rows, not tables: ${refused} of "${relation}"`;
  }
  const called = [...bare.matchAll(/(\w+)"?\s*\(/g)].map((match) => (match[1] as string).toLowerCase());
  const volatile = await connection.ask(
    "SELECT proname FROM pg_catalog.pg_proc WHERE proname = ANY ($1::text[]::name[]) AND provolatile = 'v' LIMIT 1",
    [[...new Set(called)]],
  );
  if (volatile.count > 0)
    return `it would come out differently when it is done again, or does something beside the rows: ${String(volatile.rows[0]?.[0])}()`;
  return undefined;
}

/** A text without what stands in quotes and comments; names in quotes stay. */
function withoutQuotes(text: string): string {
  const parts = /("(?:[^"]|"")*")|\be'(?:[^'\\]|\\[\s\S]|'')*'|'(?:[^']|'')*'|\$(\w*)\$[\s\S]*?\$\2\$|--[^\n]*|\/\*[\s\S]*?\*\//gi;
  return text.replace(parts, (_, name?: string) => name ?? " ");
}

export class PostgresSql implements SqlRead, SqlWrite {
  readonly #statements: Statements;
  readonly #known: KnownStatements;

  constructor(statements: Statements, known: KnownStatements) {
    this.#statements = statements;
    this.#known = known;
  }

  async rows(owner: SqlOwner, text: string, values: readonly SqlValue[]): Promise<SqlRow[]> {
    return (await this.#attempt(owner, text, "reads", values)).rows;
  }

  async run(owner: SqlOwner, text: string, values: readonly SqlValue[]): Promise<{ rows: SqlRow[]; changed: number }> {
    const { rows, count } = await this.#attempt(owner, text, "writes", values);
    return { rows, changed: rows.length > 0 ? 0 : count };
  }

  async create(owner: SqlOwner, tables: readonly OwnTable[]): Promise<void> {
    const present = new Set(await ownTables(this.#statements, owner));
    for (const { name, columns, indexes } of tables.filter((table) => !present.has(table.name))) {
      const statements = [
        `CREATE TABLE ${quoted(name)} (${columns})`,
        ...indexes.map((index, number) => `CREATE INDEX ${quoted(`${name}_by_${number + 1}`)} ON ${quoted(name)} (${index})`),
      ];
      try {
        if (Buffer.byteLength(`${name}_by_${indexes.length}`) > nameMax)
          throw new Error(`its name is longer than ${nameMax} characters; give the view or its table a shorter one`);
        for (const statement of statements) await this.#statements.change(statement, []);
      } catch (cause) {
        if (isConvergentError(cause)) throw cause;
        throw new ConvergentError("definition_invalid", `PostgreSQL refuses the table of a view: ${said(cause)}, in: ${statements[0]}`, {
          cause,
        });
      }
    }
  }

  async #attempt(
    owner: SqlOwner,
    text: string,
    how: "reads" | "writes",
    values: readonly SqlValue[],
  ): Promise<{ rows: SqlRow[]; count: number }> {
    this.#statements.check();
    try {
      await this.#known.check({ owner, text, how, values });
      return await this.#statements.with((connection) => connection.objects(text, values), how === "writes" ? "changes" : undefined);
    } catch (cause) {
      if (isConvergentError(cause)) throw cause;
      throw new ConvergentError("sql_failed", `a statement of the view "${owner.view}" failed: ${said(cause)}, in: ${text.slice(0, 400)}`, {
        cause,
        details: { view: owner.view, tableMissing: sqlState(cause) === undefinedTable && said(cause).includes(tablePrefix(owner)) },
      });
    }
  }
}

/** The tables of one version of a view, or of all. */
export async function ownTables(
  statements: Statements,
  { view, version }: { readonly view: string; readonly version?: number },
): Promise<string[]> {
  const prefix = version === undefined ? `view_${view}_` : tablePrefix({ view, version });
  const rows = await statements.rows(
    "SELECT tablename FROM pg_catalog.pg_tables WHERE schemaname = current_schema() AND starts_with(tablename, $1)",
    [prefix],
  );
  return rows.map((row) => row[0] as string);
}

export async function dropOwnTables(statements: Statements, of: { readonly view: string; readonly version?: number }): Promise<void> {
  for (const table of await ownTables(statements, of)) await statements.change(`DROP TABLE ${quoted(table)}`, []);
}

function said(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
