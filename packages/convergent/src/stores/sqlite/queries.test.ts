import { constants, DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import type { Database } from "./database.ts";
import { findDocuments } from "./find.ts";
import * as history from "./history-queries.ts";
import * as queries from "./queries.ts";
import * as readers from "./reader-queries.ts";
import { createTables } from "./schema.ts";

const page = { view: "orders", version: 1, field: undefined, where: [], descending: false, limit: 10 };

/** Every statement of the store that has a limit. */
const limited = Object.entries({
  ...history,
  ...queries,
  ...readers,
  readEventsOfTypes: queries.readEventsOfTypes(2),
  "a page by key": askedBy((database) => findDocuments(database, page)),
  "a page by an index": askedBy((database) => findDocuments(database, { ...page, field: "status", from: '"a"', to: '"z"' })),
}).filter((entry): entry is [string, string] => typeof entry[1] === "string" && / LIMIT \?/.test(entry[1]));

test("statements with a limit are found", () => {
  expect(limited.length).toBeGreaterThan(12);
});

test.each(limited)("%s is planned once, whatever its limit", (_, sql) => {
  const database = new DatabaseSync(":memory:");
  let planned = 0;
  // Asked while a statement is planned, and at no other time.
  database.setAuthorizer(() => {
    planned += 1;
    return constants.SQLITE_OK;
  });
  database.exec(createTables);
  const statement = database.prepare(sql);
  const values = new Set([...sql.matchAll(/\?(\d?)/g)].map(({ index, 1: number }) => number || `at ${index}`)).size;
  const run = (limit: number): unknown => statement.all(...Array.from({ length: values }, () => limit));
  run(1);
  planned = 0;
  run(1);
  run(100);
  database.close();
  expect(planned).toBe(0);
});

function askedBy(ask: (database: Database) => unknown): string {
  const asked: string[] = [];
  const spy: Pick<Database, "all"> = {
    all: (sql) => {
      asked.push(sql);
      return [];
    },
  };
  ask(spy as Database);
  return asked.join();
}
