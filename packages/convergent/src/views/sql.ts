/**
 * SQL on a view's own tables, as handlers and queries are given it. In a text, `{totals}` stands for the table `totals`
 * of the version at hand, so that a version that is built does not touch the one that answers. Parameters are bound, never
 * written into the text. What has text and parameters, such as a query that Kysely has compiled, is taken as it is.
 */
import { ConvergentError } from "../errors/error.ts";
import { type SqlOwner, type SqlRead, type SqlRow, type SqlValue, type SqlWrite, tablePrefix } from "../log/sql.ts";

/** What may be bound; true and false are 1 and 0. */
export type SqlParameter = string | number | boolean | null;

/** A statement as query builders compile it. */
export interface CompiledStatement {
  readonly sql: string;
  readonly parameters: readonly unknown[];
}

/** Reads of a view's own tables: within one query all of one moment. */
export interface SqlReader<Table extends string = string> {
  /** All rows. Throws `sql_failed`. */
  all<Row = SqlRow>(statement: string | CompiledStatement, ...parameters: readonly SqlParameter[]): Promise<Row[]>;
  /** The first row, if there is one. Throws `sql_failed`. */
  get<Row = SqlRow>(statement: string | CompiledStatement, ...parameters: readonly SqlParameter[]): Promise<Row | undefined>;
  /** The table's name in the store, for query builders; it is quoted in SQL. */
  table(name: Table): string;
}

/** Reads and changes of a view's own tables, in the transaction that moves the view's checkpoint. */
export interface Sql<Table extends string = string> extends SqlReader<Table> {
  /** Runs a statement and answers how many rows it changed. Throws `sql_failed`. */
  run(statement: string | CompiledStatement, ...parameters: readonly SqlParameter[]): Promise<number>;
}

/** The tables of one version, by the names the definition gives them. */
export interface OwnTables extends SqlOwner {
  readonly names: ReadonlySet<string>;
}

export function sqlReader(tables: OwnTables, sql: SqlRead): SqlReader {
  return readerOver(tables, (text, values) => sql.rows(tables, text, values));
}

/** What a handler is given, and a promise of all that it began: a handler need not wait for each statement. */
export function sqlWriter(tables: OwnTables, sql: SqlWrite): { readonly sql: Sql; readonly settled: () => Promise<void> } {
  const begun: Array<Promise<unknown>> = [];
  const kept = <T>(running: Promise<T>): Promise<T> => {
    running.catch(() => undefined); // `settled` throws it, whether the handler looks or not
    begun.push(running);
    return running;
  };
  const run = async (statement: string | CompiledStatement, parameters: readonly SqlParameter[]): Promise<number> => {
    const { text, values } = resolved(tables, statement, parameters);
    return (await sql.run(tables, text, values)).changed;
  };
  const reader = readerOver(tables, async (text, values) => (await sql.run(tables, text, values)).rows);
  return {
    sql: {
      all: (...given) => kept(reader.all(...given)),
      get: (...given) => kept(reader.get(...given)),
      run: (statement, ...parameters) => kept(run(statement, parameters)),
      table: (name) => tableName(tables, name),
    },
    settled: async () => {
      for (const running of begun) await running;
    },
  };
}

/** The name of a table in the store. Throws `definition_invalid` for one that the view does not have. */
export function tableName(tables: OwnTables, name: string): string {
  if (tables.names.has(name)) return tablePrefix(tables) + name;
  const known = [...tables.names].join(", ");
  throw new ConvergentError("definition_invalid", `the view "${tables.view}" has no table "${name}"; it has ${known}`, {
    details: { view: tables.view, table: name },
  });
}

function readerOver(tables: OwnTables, rows: (text: string, values: readonly SqlValue[]) => Promise<SqlRow[]>): SqlReader {
  const all = async (statement: string | CompiledStatement, parameters: readonly SqlParameter[]): Promise<SqlRow[]> => {
    const { text, values } = resolved(tables, statement, parameters);
    return rows(text, values);
  };
  return {
    all: async <Row>(statement: string | CompiledStatement, ...parameters: readonly SqlParameter[]) =>
      (await all(statement, parameters)) as Row[],
    get: async <Row>(statement: string | CompiledStatement, ...parameters: readonly SqlParameter[]) =>
      (await all(statement, parameters))[0] as Row | undefined,
    table: (name) => tableName(tables, name),
  };
}

function resolved(
  tables: OwnTables,
  statement: string | CompiledStatement,
  parameters: readonly unknown[],
): { readonly text: string; readonly values: readonly SqlValue[] } {
  const { sql, parameters: given } = typeof statement === "string" ? { sql: statement, parameters } : statement;
  return { text: named(tables, sql), values: given.map((value, index) => bindable(tables, value, index)) };
}

const texts = new WeakMap<OwnTables, Map<string, string>>();

/** Texts kept of one version; those of a definition are few, and a builder's repeat. */
const textsMax = 256;

// The quotes are the placeholder's own when it stands bare; a builder has quoted it as it quotes any name.
function named(tables: OwnTables, sql: string): string {
  let known = texts.get(tables);
  if (!known) texts.set(tables, (known = new Map<string, string>()));
  let text = known.get(sql);
  if (text === undefined) {
    text = sql.replaceAll(/"\{(\w+)\}"|\{(\w+)\}/g, (_, quoted?: string, bare?: string) => `"${tableName(tables, quoted ?? bare ?? "")}"`);
    if (known.size >= textsMax) known.clear();
    known.set(sql, text);
  }
  return text;
}

function bindable({ view }: OwnTables, value: unknown, index: number): SqlValue {
  if (typeof value === "boolean") return value ? 1 : 0;
  if (value === null || typeof value === "string" || (typeof value === "number" && Number.isFinite(value))) return value;
  throw new ConvergentError(
    "sql_failed",
    `parameter ${index + 1} of a statement of the view "${view}" is ${Array.isArray(value) ? "a list" : typeof value}; text, finite numbers, booleans and null can be bound`,
    { details: { view } },
  );
}
