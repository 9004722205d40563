// The SQLite store of every subject of ours: as a user opens it, with nothing set.
import { join } from "node:path";
import type { StoreDriver } from "convergent";
import { sqlite } from "convergent/sqlite";

export const storeFile = "convergent.db";

export function fileIn(directory: string): string {
  return join(directory, storeFile);
}

export function sqliteStore(directory: string): StoreDriver {
  return sqlite(fileIn(directory));
}
