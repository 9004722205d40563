import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type * as Sqlite from "node:sqlite";
import { beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { sqlite } from "./index.ts";
import { isSafe } from "./open.ts";

// Another SQLite than the one at hand: what a connection would answer, and what it was asked.
const other = vi.hoisted(() => ({ answers: new Map<string, string | number>(), asked: [] as string[] }));
vi.mock("node:sqlite", async (original) => {
  const actual = await original<typeof Sqlite>();
  type Statement = ReturnType<InstanceType<typeof actual.DatabaseSync>["prepare"]>;
  class DatabaseSync extends actual.DatabaseSync {
    override prepare(sql: string): Statement {
      other.asked.push(sql);
      const answer = other.answers.get(sql);
      if (answer === undefined) return super.prepare(sql);
      return super.prepare(typeof answer === "number" ? `SELECT ${answer}` : `SELECT '${answer}'`);
    }
    override exec(sql: string): void {
      other.asked.push(sql);
      super.exec(sql);
    }
  }
  return { ...actual, DatabaseSync };
});

beforeEach(() => {
  other.answers.clear();
  other.asked.length = 0;
});

function newFile(): string {
  const directory = mkdtempSync(join(tmpdir(), "convergent-sqlite-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return join(directory, "store.db");
}

test.each<[string, boolean]>([
  ["3.6.23", false],
  ["3.7.0", false],
  ["3.44.6", false],
  ["3.51.2", false],
  ["3.51.3", true],
  ["3.53.4", true],
  ["4.0.0", true],
])("SQLite %s is safe: %o", (version, isExpected) => {
  expect(isSafe(version)).toBe(isExpected);
});

test("a release that can corrupt a WAL is refused before it touches the file's tables", async () => {
  other.answers.set("SELECT sqlite_version()", "3.51.2");
  await expect(sqlite(newFile()).open({ name: "orders" })).rejects.toMatchObject({ code: "sqlite_unsupported" });
  expect(other.asked).toEqual(["SELECT sqlite_version()"]);
});

test("every connection is told to sync at each commit, and a store that would not is refused", async () => {
  const file = newFile();
  const store = await sqlite(file).open({ name: "orders" });
  await store.read((tx) => tx.head());
  await store.close();
  expect(other.asked.filter((sql) => sql.includes("synchronous = FULL"))).toHaveLength(2);
  expect(other.asked.filter((sql) => sql === "PRAGMA synchronous")).toHaveLength(2);
  other.answers.set("PRAGMA synchronous", 1);
  await expect(sqlite(file).open({ name: "orders" })).rejects.toMatchObject({
    code: "store_unwritable",
    message: expect.stringContaining("synchronous") as string,
  });
});

test("a file system without WAL is refused", async () => {
  other.answers.set("PRAGMA journal_mode = WAL", "delete");
  await expect(sqlite(newFile()).open({ name: "orders" })).rejects.toMatchObject({ code: "store_unwritable" });
});
