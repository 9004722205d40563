/**
 * A page of documents as one statement: it runs along one index from where the last page ended, so the hundredth page
 * costs what the first did, and rows that come and go in between shift nothing. Counts run along the same indexes.
 *
 * The same for every store that speaks SQL: what differs are the names of the tables and how a plan is fixed. Parameters are
 * written `?`.
 */
import type { DocumentHit, DocumentQuery, DocumentRange } from "../log/store.ts";
import type { Values } from "./rows.ts";

/** A part of a statement, and the values of its parameters. */
export interface Clause {
  readonly sql: string;
  readonly values: ReadonlyArray<string | number>;
}

/** How a store names its tables, and how it is told to use an index. */
export interface Tables {
  /** Key, text and so on of each document: `<table> <alias>`, along its key. */
  documents(alias: string): string;
  /** Values of indexes: `<table> <alias>`, along field, value and key. */
  entries(alias: string): string;
  /** Entries of a document, by its key. */
  readonly entriesOfDocument: string;
  /** What ends a question that is to be asked for each document of the page, and not turned round. */
  readonly eachTime: string;
  /** Joins the document `d` of an entry. */
  documentOf(entry: string): string;
  /** `LIMIT` of one parameter. */
  readonly limit: string;
}

/** Where an index is walked along. */
export interface Walk {
  readonly table: string;
  /** The column that the index is sorted by. */
  readonly value: string;
  readonly place: readonly Clause[];
  readonly upTo: (end: { readonly value: string; readonly key: string }) => Clause;
}

/** The statement of a page, whose rows `hitOf` reads. */
export function pageOf(query: DocumentQuery, tables: Tables): Clause {
  return query.field === undefined ? alongKeys(query, tables) : alongIndex(query, query.field, tables);
}

export function hitOf(row: Values): DocumentHit {
  return { key: row[0] as string, value: row[1] as string, document: row[2] as string };
}

/** All of a range, or what lies behind a row of it, without its further conditions; the index's alias is `i`. */
export function walkOf(range: DocumentRange, tables: Tables, after?: DocumentQuery["after"]): Walk {
  // A query for a page is a range, too; all of its documents count, wherever the page begins.
  const { after: _, ...whole }: DocumentRange & Pick<DocumentQuery, "after"> = range;
  const query: DocumentQuery = { ...whole, descending: false, limit: 1, ...(after ? { after } : {}) };
  return range.field === undefined ? keyWalk(query, tables) : valueWalk(query, range.field, tables);
}

/** The further conditions of a range, on the row `i`. */
export function conditionsOf(range: DocumentRange, tables: Tables): Clause[] {
  return range.where.map((condition) => has(condition, "i", tables));
}

export function all(clauses: readonly Clause[]): Clause {
  return { sql: clauses.map((clause) => clause.sql).join(" AND "), values: clauses.flatMap((clause) => clause.values) };
}

function keyWalk(query: DocumentQuery, tables: Tables): Walk {
  const place: Clause[] = [
    { sql: "i.view = ? AND i.version = ?", values: [query.view, query.version] },
    ...bounds("i.key", query.after ? keepTo(query.to) : query),
    ...(query.after ? [{ sql: "i.key > ?", values: [query.after.key] }] : []),
  ];
  return { table: tables.documents("i"), value: "i.key", place, upTo: ({ key }) => ({ sql: "i.key <= ?", values: [key] }) };
}

function valueWalk(query: DocumentQuery, field: string, tables: Tables): Walk {
  const place: Clause[] = [
    { sql: "i.view = ? AND i.version = ? AND i.field = ?", values: [query.view, query.version, field] },
    ...placeOf(query, "i"),
  ];
  const isOneValue = query.from !== undefined && query.from === query.to;
  return {
    table: tables.entries("i"),
    value: "i.value",
    place,
    upTo: ({ value, key }) =>
      isOneValue ? { sql: "i.key <= ?", values: [key] } : { sql: "(i.value, i.key) <= (?, ?)", values: [value, key] },
  };
}

function alongKeys(query: DocumentQuery, tables: Tables): Clause {
  const clauses: Clause[] = [
    { sql: "d.view = ? AND d.version = ?", values: [query.view, query.version] },
    ...bounds("d.key", query),
    ...(query.after ? [{ sql: `d.key ${query.descending ? "<" : ">"} ?`, values: [query.after.key] }] : []),
    ...query.where.map((condition) => has(condition, "d", tables)),
  ];
  const { sql, values } = all(clauses);
  return {
    sql: `SELECT d.key, d.key, d.document FROM ${tables.documents("d")}
      WHERE ${sql} ORDER BY d.key${query.descending ? " DESC" : ""} ${tables.limit}`,
    values: [...values, query.limit],
  };
}

function alongIndex(query: DocumentQuery, field: string, tables: Tables): Clause {
  const clauses: Clause[] = [
    { sql: "e.view = ? AND e.version = ? AND e.field = ?", values: [query.view, query.version, field] },
    ...placeOf(query, "e"),
    ...query.where.map((condition) => has(condition, "d", tables)),
  ];
  const { sql, values } = all(clauses);
  const order = query.descending ? "e.value DESC, e.key DESC" : "e.value, e.key";
  return {
    sql: `SELECT e.key, e.value, d.document
      FROM ${tables.entries("e")}
      ${tables.documentOf("e")}
      WHERE ${sql} ORDER BY ${order} ${tables.limit}`,
    values: [...values, query.limit],
  };
}

// The end of the last page takes the place of the bound on its side: with both, SQLite seeks to the bound and walks over
// all earlier pages (50,000 documents, page 900 of 50: 3.06 ms with both, 0.06 ms like this, as the first page).
function placeOf(query: DocumentQuery, table: "e" | "i"): Clause[] {
  const { from, to, after, descending } = query;
  const value = `${table}.value`;
  const key = `${table}.key`;
  if (!after) return bounds(value, query);
  if (from !== undefined && from === to)
    return [
      { sql: `${value} = ?`, values: [from] },
      { sql: `${key} ${descending ? "<" : ">"} ?`, values: [after.key] },
    ];
  const beyond: Clause = { sql: `(${value}, ${key}) ${descending ? "<" : ">"} (?, ?)`, values: [after.value, after.key] };
  return [beyond, ...bounds(value, descending ? keepFrom(from) : keepTo(to))];
}

function keepFrom(from: string | undefined): { from?: string } {
  return from === undefined ? {} : { from };
}

function keepTo(to: string | undefined): { to?: string } {
  return to === undefined ? {} : { to };
}

function has(
  condition: { readonly field: string; readonly from?: string; readonly to?: string },
  table: "d" | "i",
  { entriesOfDocument, eachTime }: Tables,
): Clause {
  const { sql, values } = all([{ sql: "w.field = ?", values: [condition.field] }, ...bounds("w.value", condition)]);
  return {
    sql: `EXISTS (SELECT 1 FROM ${entriesOfDocument} w WHERE w.view = ${table}.view AND w.version = ${table}.version AND w.key = ${table}.key AND ${sql}${eachTime})`,
    values,
  };
}

function bounds(column: string, range: { readonly from?: string; readonly to?: string }): Clause[] {
  if (range.from !== undefined && range.from === range.to) return [{ sql: `${column} = ?`, values: [range.from] }];
  return [
    ...(range.from === undefined ? [] : [{ sql: `${column} >= ?`, values: [range.from] }]),
    ...(range.to === undefined ? [] : [{ sql: `${column} <= ?`, values: [range.to] }]),
  ];
}
