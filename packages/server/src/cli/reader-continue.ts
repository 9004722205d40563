/**
 * `convergent reader continue`: after a restore, reactions of other services stand past the fork. This puts a reaction's
 * checkpoint back into the present history, so that it goes on; nothing of what it caused is undone.
 */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { type Continued, type ContinueFrom, continueReader, ConvergentError, type PresentLog, type Store } from "convergent";
import { confirmed } from "./confirmation.ts";
import { isPostgres, openStore, ownerOf, requireUnused, shown } from "./store-place.ts";

export interface ContinueOptions {
  readonly store: string;
  readonly source?: string;
  readonly from: "fork" | "head" | number;
  readonly yes?: true;
}

export async function continueReading(name: string, options: ContinueOptions): Promise<void> {
  const { store: path, from } = options;
  const owner = await ownerOf(path);
  // A running server would go on writing the positions it remembers.
  await requireUnused(path);
  const store = await openStore(path);
  try {
    const sources = await sourcesOf(store, name, path);
    const logs: PresentLog[] = [];
    for (const source of sources)
      logs.push(source === owner ? await logOf(store) : await presentLog(placeOfSource(source, options), source));
    if (!options.yes && !(await confirmed(`Let "${name}" of ${owner} go on ${placeName(from)} of ${sources.join(", ")}?`))) {
      console.log("nothing was changed");
      return;
    }
    const all = await store.write(async (tx) => {
      const continued: Continued[] = [];
      for (const log of logs) continued.push(...(await continueReader(tx, name, log, from as ContinueFrom)));
      return continued;
    });
    if (all.length === 0) console.log(`"${name}" knows only what is in the present history of ${sources.join(", ")}; nothing was changed`);
    for (const each of all) tell(each, owner);
  } finally {
    await store.close();
  }
}

function tell({ reader, source, version, reached, position, removed }: Continued, owner: string): void {
  const aside = removed > 0 ? ` ${removed} events that it had set aside are gone with that history.` : "";
  console.log(
    `"${reader}" (version ${version}) of ${owner} goes on behind position ${position} of ${source}; it had applied up to ${reached}.${aside}\n` +
      `What it caused by events that are lost stays in ${owner}: look at it, and put it right by commands. ` +
      "Events that it meets again have no second effect, as long as their ids are remembered (a week).",
  );
}

/** The logs that a reaction follows. Throws `invalid_input` for a view, `not_found`. */
async function sourcesOf(store: Store, name: string, path: string): Promise<string[]> {
  const { rows, definitions } = await store.read(async (tx) => ({ rows: await tx.checkpoints(), definitions: await tx.definitions() }));
  const views = new Set(definitions.map((row) => row.name));
  if (views.has(name))
    throw new ConvergentError(
      "invalid_input",
      `"${name}" is a view, which is built again: convergent view reset ${name} --store ${shown(path)}`,
    );
  const sources = rows.filter((row) => row.reader === name).map(({ source }) => source);
  if (sources.length > 0) return [...new Set(sources)];
  const known = [...new Set(rows.map(({ reader }) => reader))].filter((reader) => !views.has(reader));
  throw new ConvergentError("not_found", `${shown(path)} holds no reaction "${name}"; it holds ${known.join(", ") || "none"}`, {
    details: { known },
  });
}

function placeOfSource(source: string, options: ContinueOptions): string {
  if (options.source !== undefined) return options.source;
  if (isPostgres(options.store)) {
    const url = new URL(options.store);
    url.searchParams.set("schema", source);
    return url.href;
  }
  const beside = [".db", ".journal"].map((end) => join(dirname(options.store), source + end)).find((path) => existsSync(path));
  if (beside !== undefined) return beside;
  throw new ConvergentError("not_found", `there is no store of ${source} beside ${options.store}; name it by --source`);
}

async function presentLog(path: string, source: string): Promise<PresentLog> {
  const owner = await ownerOf(path);
  if (owner !== source)
    throw new ConvergentError("store_mismatch", `${shown(path)} belongs to the service "${owner}", and the reader follows "${source}"`);
  const store = await openStore(path);
  try {
    return await logOf(store);
  } finally {
    await store.close();
  }
}

async function logOf(store: Store): Promise<PresentLog> {
  const { epochs, head } = await store.read(async (tx) => ({ epochs: await tx.epochs(), head: await tx.head() }));
  return { store: store.identity.store, epochs, head: head.position };
}

function placeName(from: ContinueOptions["from"]): string {
  if (from === "fork") return "behind the last event that stayed";
  return from === "head" ? "behind the last event" : `behind position ${from}`;
}
