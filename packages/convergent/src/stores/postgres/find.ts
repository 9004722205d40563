/** Pages, counts and doubles of documents in PostgreSQL. */
import type { DocumentHit, DocumentQuery, DocumentRange } from "../../log/store.ts";
import { all, type Clause, conditionsOf, hitOf, pageOf, type Tables, walkOf } from "../document-ranges.ts";
import type { Values } from "../rows.ts";
import type { Statements } from "./statements.ts";

// Plans are fixed as far as they can be. A view that was just built has no statistics, and without them all indexes look alike: a
// condition on a further field walked along all documents with its value for each one of the page (9,000 of them: a minute
// instead of 60 ms), and a page may begin with the documents and sort them.
const tables: Tables = {
  documents: (alias) => `documents ${alias}`,
  entries: (alias) => `index_entries ${alias}`,
  entriesOfDocument: "index_entries",
  eachTime: " OFFSET 0",
  documentOf: (entry) =>
    `CROSS JOIN LATERAL (SELECT * FROM documents o WHERE o.view = ${entry}.view AND o.version = ${entry}.version AND o.key = ${entry}.key OFFSET 0) d`,
  limit: "LIMIT ?",
};

export async function findDocuments(statements: Statements, query: DocumentQuery): Promise<DocumentHit[]> {
  return (await run(statements, pageOf(query, tables))).map(hitOf);
}

export async function countDocuments(statements: Statements, range: DocumentRange): Promise<number> {
  const { table, place } = walkOf(range, tables);
  const { sql, values } = all([...place, ...conditionsOf(range, tables)]);
  const [row] = await run(statements, { sql: `SELECT count(*) FROM ${table} WHERE ${sql}`, values });
  return row?.[0] as number;
}

export async function findDuplicate(
  statements: Statements,
  range: DocumentRange & { readonly field: string },
): Promise<readonly [string, string] | undefined> {
  const { table, place } = walkOf(range, tables);
  const { sql, values } = all(place);
  const text = `SELECT min(i.key), max(i.key) FROM ${table} WHERE ${sql} GROUP BY i.value HAVING count(*) > 1 ORDER BY i.value LIMIT 1`;
  const [row] = await run(statements, { sql: text, values });
  return row && [row[0] as string, row[1] as string];
}

function run(statements: Statements, { sql, values }: Clause): Promise<Values[]> {
  let count = 0;
  return statements.rows(
    sql.replace(/\?/g, () => `$${++count}`),
    values,
  );
}
