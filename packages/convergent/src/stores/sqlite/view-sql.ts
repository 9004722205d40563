/**
 * Statements of views on tables of their own. SQLite itself says what a statement would touch, when it is prepared: a
 * handler's may read and change the tables of its view, a query's may read them; everything else (other tables, the
 * schema, pragmas, transactions) is refused, and so is what would do something else when it is done again.
 */
import { constants } from "node:sqlite";
import { ConvergentError, isConvergentError } from "../../errors/error.ts";
import { type OwnTable, type SqlOwner, type SqlRead, type SqlRow, type SqlValue, type SqlWrite, tablePrefix } from "../../log/sql.ts";
import type { Database, Guard } from "./database.ts";

type RunStatements = <T>(statements: (database: Database) => T, changes?: "changes") => T;

/** Tables that SQLite makes of an argument. */
const tablesOfValues: ReadonlySet<string> = new Set(["json_each", "json_tree"]);

/** Functions whose answer depends on when and where they are called. `datetime('now')` cannot be told from other dates here. */
const unrepeatable: ReadonlySet<string> = new Set([
  "random",
  "randomblob",
  "current_time",
  "current_date",
  "current_timestamp",
  "changes",
  "total_changes",
  "last_insert_rowid",
]);

export class SqliteSql implements SqlRead, SqlWrite {
  readonly #run: RunStatements;

  constructor(run: RunStatements) {
    this.#run = run;
  }

  async rows(owner: SqlOwner, text: string, values: readonly SqlValue[]): Promise<SqlRow[]> {
    return this.#run((database) => attempt(owner, text, () => database.guarded(text, reading(owner)).rows(values)));
  }

  async run(owner: SqlOwner, text: string, values: readonly SqlValue[]): Promise<{ rows: SqlRow[]; changed: number }> {
    const run = (database: Database): { rows: SqlRow[]; changed: number } => {
      const statement = database.guarded(text, writing(owner));
      return statement.returnsRows ? { rows: statement.rows(values), changed: 0 } : { rows: [], changed: statement.run(values) };
    };
    return this.#run((database) => attempt(owner, text, () => run(database)), "changes");
  }

  async create(_owner: SqlOwner, tables: readonly OwnTable[]): Promise<void> {
    this.#run((database) => createTables(database, tables.flatMap(statementsFor)), "changes");
  }
}

/** The tables of one version of a view, or of all. */
export function ownTables(database: Database, view: string, version?: number): string[] {
  const prefix = version === undefined ? `view_${view}_` : tablePrefix({ view, version });
  return database
    .all("SELECT name FROM sqlite_schema WHERE type = 'table' AND substr(name, 1, ?) = ?", prefix.length, prefix)
    .map((row) => row[0] as string);
}

/** Deletes rows of a table, and the table with the last of them. Answers how many: less than `limit` when it is gone. */
export function dropSomeOfTable(database: Database, table: string, limit: number): number {
  const dropped = database.run(`DELETE FROM "${table}" WHERE rowid IN (SELECT rowid FROM "${table}" LIMIT ? + 0)`, limit);
  if (dropped < limit) database.run(`DROP TABLE "${table}"`);
  return dropped;
}

/** Deletes rows of the tables of one version, and each table with the last of its rows. Answers how many: less than `limit` when none are left. */
export function dropSomeOwnRows(database: Database, owner: SqlOwner, limit: number): number {
  let dropped = 0;
  for (const table of ownTables(database, owner.view, owner.version)) {
    dropped += dropSomeOfTable(database, table, limit - dropped);
    if (dropped === limit) break;
  }
  return dropped;
}

function statementsFor({ name, columns, indexes }: OwnTable): string[] {
  return [
    `CREATE TABLE IF NOT EXISTS "${name}" (${columns}) STRICT`,
    ...indexes.map((index, number) => `CREATE INDEX IF NOT EXISTS "${name}_by_${number + 1}" ON "${name}" (${index})`),
  ];
}

function createTables(database: Database, statements: readonly string[]): void {
  for (const statement of statements) {
    try {
      database.run(statement);
    } catch (cause) {
      if (isConvergentError(cause)) throw cause;
      throw new ConvergentError("definition_invalid", `SQLite refuses the table of a view: ${said(cause)}, in: ${statement}`, { cause });
    }
  }
}

function reading(owner: SqlOwner): Guard {
  const prefix = tablePrefix(owner);
  return {
    name: `read ${prefix}`,
    allows: (action, first) => {
      switch (action) {
        case constants.SQLITE_SELECT:
        case constants.SQLITE_RECURSIVE:
        case constants.SQLITE_FUNCTION:
          return true;
        case constants.SQLITE_READ:
          return first !== null && (first.startsWith(prefix) || tablesOfValues.has(first));
        default:
          return false;
      }
    },
  };
}

function writing(owner: SqlOwner): Guard {
  const prefix = tablePrefix(owner);
  const { allows } = reading(owner);
  return {
    name: `write ${prefix}`,
    allows: (action, first, second) => {
      switch (action) {
        case constants.SQLITE_INSERT:
        case constants.SQLITE_UPDATE:
        case constants.SQLITE_DELETE:
          return first?.startsWith(prefix) ?? false;
        case constants.SQLITE_FUNCTION:
          return !unrepeatable.has(second ?? "");
        default:
          return allows(action, first, second);
      }
    },
  };
}

function attempt<T>(owner: SqlOwner, text: string, run: () => T): T {
  try {
    return run();
  } catch (cause) {
    if (isConvergentError(cause)) throw cause;
    throw new ConvergentError("sql_failed", `a statement of the view "${owner.view}" failed: ${said(cause)}, in: ${text.slice(0, 400)}`, {
      cause,
      details: { view: owner.view, tableMissing: said(cause).includes(`no such table: ${tablePrefix(owner)}`) },
    });
  }
}

function said(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
