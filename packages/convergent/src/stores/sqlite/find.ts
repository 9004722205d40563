/**
 * A page of documents as one statement: it runs along one index from where the last page ended, so the hundredth page
 * costs what the first did, and rows that come and go in between shift nothing. Counts run along the same indexes.
 */
import type { DocumentHit, DocumentQuery, DocumentRange } from "../../log/store.ts";
import type { Database, SqlValue } from "./database.ts";

interface Clause {
  readonly sql: string;
  readonly values: readonly SqlValue[];
}

export function findDocuments(database: Database, query: DocumentQuery): DocumentHit[] {
  const { sql, values } = query.field === undefined ? alongKeys(query) : alongIndex(query, query.field);
  return database.all(sql, ...values).map((row) => ({ key: row[0] as string, value: row[1] as string, document: row[2] as string }));
}

interface Step {
  readonly after: DocumentQuery["after"];
  /** Rows looked at, whether they meet the further conditions or not. */
  readonly rows: number;
}

/** Counts one step of a range, and says where it ended, unless it was the last one. */
export function countDocuments(
  database: Database,
  range: DocumentRange,
  { after, rows }: Step,
): { readonly count: number; readonly end: DocumentQuery["after"] } {
  // A query for a page is a range, too; all of its documents count, wherever the page begins.
  const { after: _, ...whole }: DocumentRange & Pick<DocumentQuery, "after"> = range;
  const query: DocumentQuery = { ...whole, descending: false, limit: 1, ...(after ? { after } : {}) };
  const { table, value, place, upTo } = range.field === undefined ? keyIndex(query) : valueIndex(query, range.field);
  const step = all(place);
  const row = database.get(
    `SELECT ${value}, i.key FROM ${table} WHERE ${step.sql} ORDER BY ${value}, i.key LIMIT 1 OFFSET ?`,
    ...step.values,
    rows - 1,
  );
  const end = row && { value: row[0] as string, key: row[1] as string };
  const counted = all([...place, ...(end ? [upTo(end)] : []), ...range.where.map((condition) => has(condition, "i"))]);
  const count = database.get(`SELECT count(*) FROM ${table} WHERE ${counted.sql}`, ...counted.values)?.[0] as number;
  return { count, end };
}

/** Looks for two documents with the same value in one step of a range; where it ended, unless it was the last one, the next one begins. */
export function findDuplicate(
  database: Database,
  range: DocumentRange & { readonly field: string },
  rows: number,
): { readonly keys: readonly [string, string] | undefined; readonly end: string | undefined } {
  const { table, place } = valueIndex({ ...range, descending: false, limit: 1 }, range.field);
  const { sql, values } = all(place);
  const end = database.get(`SELECT i.value FROM ${table} WHERE ${sql} ORDER BY i.value, i.key LIMIT 1 OFFSET ?`, ...values, rows - 1)?.[0];
  const step = all([...place, ...(end === undefined ? [] : [{ sql: "i.value <= ?", values: [end] }])]);
  const keys = database.get(
    `SELECT min(i.key), max(i.key) FROM ${table} WHERE ${step.sql} GROUP BY i.value HAVING count(*) > 1 LIMIT 1`,
    ...step.values,
  );
  return { keys: keys && [keys[0] as string, keys[1] as string], end: end as string | undefined };
}

interface Index {
  readonly table: string;
  /** The column that the index is sorted by. */
  readonly value: string;
  readonly place: readonly Clause[];
  readonly upTo: (end: { readonly value: string; readonly key: string }) => Clause;
}

function keyIndex(query: DocumentQuery): Index {
  const place: Clause[] = [
    { sql: "i.view = ? AND i.version = ?", values: [query.view, query.version] },
    ...bounds("i.key", query.after ? keepTo(query.to) : query),
    ...(query.after ? [{ sql: "i.key > ?", values: [query.after.key] }] : []),
  ];
  const table = "convergent_documents i INDEXED BY convergent_documents_by_key";
  return { table, value: "i.key", place, upTo: ({ key }) => ({ sql: "i.key <= ?", values: [key] }) };
}

function valueIndex(query: DocumentQuery, field: string): Index {
  const place: Clause[] = [
    { sql: "i.view = ? AND i.version = ? AND i.field = ?", values: [query.view, query.version, field] },
    ...placeOf(query, "i"),
  ];
  const isOneValue = query.from !== undefined && query.from === query.to;
  return {
    table: "convergent_index_entries i INDEXED BY convergent_index_entries_by_value",
    value: "i.value",
    place,
    upTo: ({ value, key }) =>
      isOneValue ? { sql: "i.key <= ?", values: [key] } : { sql: "(i.value, i.key) <= (?, ?)", values: [value, key] },
  };
}

function alongKeys(query: DocumentQuery): Clause {
  const clauses: Clause[] = [
    { sql: "d.view = ? AND d.version = ?", values: [query.view, query.version] },
    ...bounds("d.key", query),
    ...(query.after ? [{ sql: `d.key ${query.descending ? "<" : ">"} ?`, values: [query.after.key] }] : []),
    ...query.where.map((condition) => has(condition, "d")),
  ];
  const { sql, values } = all(clauses);
  return {
    sql: `SELECT d.key, d.key, d.document FROM convergent_documents d INDEXED BY convergent_documents_by_key
      WHERE ${sql} ORDER BY d.key${query.descending ? " DESC" : ""} LIMIT ? + 0`,
    values: [...values, query.limit],
  };
}

// CROSS JOIN and INDEXED BY fix the plan: without statistics SQLite may start from the documents and sort.
function alongIndex(query: DocumentQuery, field: string): Clause {
  const clauses: Clause[] = [
    { sql: "e.view = ? AND e.version = ? AND e.field = ?", values: [query.view, query.version, field] },
    ...placeOf(query, "e"),
    ...query.where.map((condition) => has(condition, "d")),
  ];
  const { sql, values } = all(clauses);
  const order = query.descending ? "e.value DESC, e.key DESC" : "e.value, e.key";
  return {
    sql: `SELECT e.key, e.value, d.document
      FROM convergent_index_entries e INDEXED BY convergent_index_entries_by_value
      CROSS JOIN convergent_documents d ON d.view = e.view AND d.version = e.version AND d.key = e.key
      WHERE ${sql} ORDER BY ${order} LIMIT ? + 0`,
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

function has(condition: { readonly field: string; readonly from?: string; readonly to?: string }, table: "d" | "i"): Clause {
  const { sql, values } = all([{ sql: "w.field = ?", values: [condition.field] }, ...bounds("w.value", condition)]);
  return {
    sql: `EXISTS (SELECT 1 FROM convergent_index_entries w WHERE w.view = ${table}.view AND w.version = ${table}.version AND w.key = ${table}.key AND ${sql})`,
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

function all(clauses: readonly Clause[]): Clause {
  return { sql: clauses.map((clause) => clause.sql).join(" AND "), values: clauses.flatMap((clause) => clause.values) };
}
