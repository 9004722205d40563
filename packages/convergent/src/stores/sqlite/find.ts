/** Pages, counts and doubles of documents in SQLite, in steps that do not hold the event loop for long. */
import type { DocumentHit, DocumentQuery, DocumentRange } from "../../log/store.ts";
import { all, conditionsOf, hitOf, pageOf, type Tables, walkOf } from "../document-ranges.ts";
import type { Database } from "./database.ts";

// CROSS JOIN and INDEXED BY fix the plan: without statistics SQLite may start from the documents and sort.
const tables: Tables = {
  documents: (alias) => `convergent_documents ${alias} INDEXED BY convergent_documents_by_key`,
  entries: (alias) => `convergent_index_entries ${alias} INDEXED BY convergent_index_entries_by_value`,
  entriesOfDocument: "convergent_index_entries",
  eachTime: "",
  documentOf: (entry) =>
    `CROSS JOIN convergent_documents d ON d.view = ${entry}.view AND d.version = ${entry}.version AND d.key = ${entry}.key`,
  limit: "LIMIT ? + 0",
};

export function findDocuments(database: Database, query: DocumentQuery): DocumentHit[] {
  const { sql, values } = pageOf(query, tables);
  return database.all(sql, ...values).map(hitOf);
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
  const { table, value, place, upTo } = walkOf(range, tables, after);
  const step = all(place);
  const row = database.get(
    `SELECT ${value}, i.key FROM ${table} WHERE ${step.sql} ORDER BY ${value}, i.key LIMIT 1 OFFSET ?`,
    ...step.values,
    rows - 1,
  );
  const end = row && { value: row[0] as string, key: row[1] as string };
  const counted = all([...place, ...(end ? [upTo(end)] : []), ...conditionsOf(range, tables)]);
  const count = database.get(`SELECT count(*) FROM ${table} WHERE ${counted.sql}`, ...counted.values)?.[0] as number;
  return { count, end };
}

/** Looks for two documents with the same value in one step of a range; where it ended, unless it was the last one, the next one begins. */
export function findDuplicate(
  database: Database,
  range: DocumentRange & { readonly field: string },
  rows: number,
): { readonly keys: readonly [string, string] | undefined; readonly end: string | undefined } {
  const { table, place } = walkOf(range, tables);
  const { sql, values } = all(place);
  const end = database.get(`SELECT i.value FROM ${table} WHERE ${sql} ORDER BY i.value, i.key LIMIT 1 OFFSET ?`, ...values, rows - 1)?.[0];
  const step = all([...place, ...(end === undefined ? [] : [{ sql: "i.value <= ?", values: [end as string] }])]);
  const keys = database.get(
    `SELECT min(i.key), max(i.key) FROM ${table} WHERE ${step.sql} GROUP BY i.value HAVING count(*) > 1 LIMIT 1`,
    ...step.values,
  );
  return { keys: keys && [keys[0] as string, keys[1] as string], end: end as string | undefined };
}
