/**
 * SQL as a store offers it to views with tables of their own: statements on the tables of one version of one view, in
 * the transaction that is open. A store that speaks no SQL has none of this.
 */

/** What a statement's parameters may be. */
export type SqlValue = string | number | null;

/** A row by the names of its columns. */
export type SqlRow = Readonly<Record<string, unknown>>;

/** Whose tables: those whose names begin with the prefix of this version of this view. */
export interface SqlOwner {
  readonly view: string;
  readonly version: number;
}

/** A table of a view, by its whole name, with its columns as `CREATE TABLE` lists them. */
export interface OwnTable {
  readonly name: string;
  readonly columns: string;
  /** Columns of each index. */
  readonly indexes: readonly string[];
}

export interface SqlRead {
  /** The rows of one statement that changes nothing. Throws `sql_failed`, with `tableMissing` when one of the tables is not there. */
  rows(owner: SqlOwner, text: string, values: readonly SqlValue[]): Promise<SqlRow[]>;
}

export interface SqlWrite {
  /** Runs one statement, whose rows and number of changed rows it answers. It may change own tables only. Throws `sql_failed`. */
  run(owner: SqlOwner, text: string, values: readonly SqlValue[]): Promise<{ readonly rows: SqlRow[]; readonly changed: number }>;
  /** Creates the tables that are missing, with their indexes. Throws `definition_invalid`. */
  create(owner: SqlOwner, tables: readonly OwnTable[]): Promise<void>;
}

/** How the names of a version's tables begin. Views' names hold no underscore, so no two versions share a beginning. */
export function tablePrefix({ view, version }: SqlOwner): string {
  return `view_${view}_${version}_`;
}
