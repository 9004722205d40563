/** `convergent verify`: reads a whole store and says whether it is sound, and whether another one holds the same. */
import { existsSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { differences, type Verification, verifyStore } from "convergent";
import { countOfEvents, ProgressLine } from "./progress.ts";
import { kindOf, ownerOfFile } from "./store-file.ts";
import { isPostgres, openStore, shown } from "./store-place.ts";

export interface VerifyOptions {
  readonly store: string;
  readonly against?: string;
  readonly json?: true;
}

export async function verify(options: VerifyOptions): Promise<void> {
  const found = await verifyFile(options.store);
  const other = options.against === undefined ? undefined : await verifyFile(options.against);
  const differing = other ? differences(found, other) : [];
  if (options.json) console.log(JSON.stringify({ ...found, ...(other ? { against: other, differing } : {}) }));
  else {
    tell(options.store, found);
    if (other) tell(options.against as string, other);
    for (const { first, last, events } of differing)
      console.log(`positions ${first} to ${last} differ: ${countOfEvents(events[0])} here, ${countOfEvents(events[1])} there`);
    if (other && differing.length === 0) console.log("both hold the same events");
  }
  if (found.problemCount + (other?.problemCount ?? 0) + differing.length > 0) process.exitCode = 1;
}

/** Verifies a store; of a file, the pages of its database too. Throws `not_found` and the `store_…` codes. */
export async function verifyFile(path: string): Promise<Verification> {
  requireStore(path);
  const progress = new ProgressLine({ what: `verifying ${shown(path)}` });
  try {
    const pages = !isPostgres(path) && kindOf(path) === "sqlite" ? damagedPages(path) : [];
    const store = await openStore(path);
    try {
      const found = await verifyStore(store, { onProgress: (reached) => progress.show(reached) });
      progress.end(countOfEvents(found.events));
      const problems = [...pages.map((message) => ({ at: 0, message })), ...found.problems];
      return { ...found, problems, problemCount: found.problemCount + pages.length };
    } finally {
      await store.close();
    }
  } catch (error) {
    progress.clear();
    throw error;
  }
}

// Opening a file that does not exist would make one. What is damaged is told by reading it.
function requireStore(path: string): void {
  if (!isPostgres(path) && !existsSync(path)) ownerOfFile(path);
}

/** What SQLite finds wrong with its own pages and indexes, at most 20 sentences. */
function damagedPages(path: string): string[] {
  const database = new DatabaseSync(path, { timeout: 5000 });
  try {
    const rows = database.prepare("PRAGMA integrity_check(20)").all();
    return rows.map((row) => String(row["integrity_check"])).filter((said) => said !== "ok");
  } catch (error) {
    return [error instanceof Error ? error.message : String(error)];
  } finally {
    database.close();
  }
}

/** Prints what was found. */
function tell(path: string, found: Verification): void {
  const { store, events, ids, digest, problems, problemCount } = found;
  console.log(`${shown(path)}: the store of ${store}, ${countOfEvents(events)}, ${ids} remembered ids, digest ${digest}`);
  for (const { at, message } of problems) console.log(at > 0 ? `  position ${at}: ${message}` : `  ${message}`);
  if (problemCount > problems.length) console.log(`  and ${problemCount - problems.length} more`);
  console.log(problemCount === 0 ? "  sound: no gap in positions or versions, every digest fits" : `  ${problemCount} problems`);
}
