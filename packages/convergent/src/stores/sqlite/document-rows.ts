/** A document and the entries of its indexes, as they are written. */
import type { DocumentRow } from "../../log/store.ts";
import type { Database } from "./database.ts";
import * as sql from "./queries.ts";

// Only what differs is written: most changes of a document leave its indexed fields as they were.
export function saveDocument(database: Database, row: DocumentRow): void {
  const { view, version, key, document } = row;
  if (document === undefined) database.run(sql.deleteDocument, view, version, key);
  else database.run(sql.saveDocument, view, version, key, document);
  const wanted = new Map(document === undefined ? [] : row.indexes.map(({ field, value }) => [field, value]));
  for (const entry of database.all(sql.readIndexEntries, view, version, key)) {
    const field = entry[0] as string;
    if (!wanted.has(field)) database.run(sql.deleteIndexEntry, view, version, key, field);
    else if (wanted.get(field) === entry[1]) wanted.delete(field);
  }
  for (const [field, value] of wanted) database.run(sql.saveIndexEntry, view, version, key, field, value);
}
