import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sqlite } from "convergent/sqlite";
import { afterEach, beforeEach, expect, test } from "vitest";
import { DataFolder, deleteData } from "./data-folder.ts";
import { ShopProblem } from "./shop-problem.ts";
import { startShop } from "./shop.ts";

let above: string;
let path: string;
beforeEach(() => {
  above = mkdtempSync(join(tmpdir(), "shop-data-"));
  path = join(above, "deep", "data");
});
afterEach(() => rmSync(above, { recursive: true }));

/** Opens and closes a shop, so that its files are there. */
async function shopWasHere(): Promise<void> {
  const folder = DataFolder.open(path);
  const shop = await startShop({ storeOf: (service) => sqlite(folder.fileOf(service)) });
  await shop.stop();
  folder.close();
}

function refusal(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof ShopProblem) return error.message;
    throw error;
  }
  return "";
}

test("the folder is made, and one process at a time has it", () => {
  const folder = DataFolder.open(path);
  expect(refusal(() => DataFolder.open(path, { waitMs: 0 }))).toMatch(/is running on the data in .*stop that one first/);
  expect(refusal(() => deleteData(path))).toMatch(/is running on the data/);
  folder.close();
  DataFolder.open(path).close();
});

test("deleting takes all that the shop made, and the folder with it", async () => {
  await shopWasHere();
  expect(deleteData(path)).toEqual({ databases: 5, others: [] });
  expect(existsSync(path)).toBe(false);
  expect(deleteData(path)).toEqual({ databases: 0, others: [] });
});

test("deleting leaves what somebody else put into the folder", async () => {
  await shopWasHere();
  writeFileSync(join(path, "notes.txt"), "mine");
  writeFileSync(join(path, "orders.db.backup"), "mine");
  mkdirSync(join(path, "old"));
  expect(deleteData(path).others).toEqual(["notes.txt", "old", "orders.db.backup"]);
  expect(readFileSync(join(path, "notes.txt"), "utf8")).toBe("mine");
});

test("a folder with files of the shop's names that it did not make is neither used nor emptied", () => {
  mkdirSync(path, { recursive: true });
  writeFileSync(join(path, "orders.db"), "mine");
  expect(refusal(() => DataFolder.open(path))).toMatch(/orders\.db, which this shop did not make/);
  expect(deleteData(path)).toEqual({ databases: 0, others: [] });
  expect(readdirSync(path)).toEqual(["orders.db"]);
});

test("a file that only has the mark's name is left alone", () => {
  mkdirSync(path, { recursive: true });
  writeFileSync(join(path, "convergent-shop.db"), "somebody else's notes, long enough to be no empty database file");
  writeFileSync(join(path, "orders.db"), "mine");
  expect(refusal(() => DataFolder.open(path))).toMatch(/is not the file this shop marks its folder with/);
  expect(refusal(() => deleteData(path))).toMatch(/is not the file/);
  expect(readdirSync(path)).toHaveLength(2);
});

test("a broken database can be deleted", async () => {
  await shopWasHere();
  writeFileSync(join(path, "orders.db"), "garbage");
  expect(deleteData(path)).toMatchObject({ databases: 5 });
});

test("a folder that cannot be used is named, with the way out", () => {
  writeFileSync(join(above, "file"), "");
  expect(refusal(() => DataFolder.open(join(above, "file", "data")))).toMatch(/file\/data cannot be used .* DATA_DIR/);
  mkdirSync(path, { recursive: true });
  chmodSync(path, 0o500);
  const said = refusal(() => DataFolder.open(path).close());
  chmodSync(path, 0o700);
  // The superuser writes anywhere: then there is nothing to refuse.
  if (process.getuid?.() === 0) expect(said).toBe("");
  else expect(said).toMatch(/data cannot be used .* DATA_DIR/);
});
