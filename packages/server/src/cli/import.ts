/**
 * `convergent import`: an export becomes a store with the same positions, versions, times, ids and digests. Every line is
 * checked first; until the last one has passed, nothing lies under the store's name.
 */
import { existsSync } from "node:fs";
import { ConvergentError, type ExportHeader, type ImportOutcome, importLog, readHeader } from "convergent";
import { beginStore, putStore, removeStore } from "./place.ts";
import { countOfEvents, ProgressLine } from "./progress.ts";
import { kindOf, ownerOfFile } from "./store-file.ts";
import { fileDriver, openStore, requireFilePlace } from "./store-place.ts";
import { linesOf } from "./text-lines.ts";

export interface ImportOptions {
  readonly from: string;
  readonly store: string;
  readonly json?: true;
}

/** Said of a file of version 1. */
const withoutReaders =
  "The file was made by an older release and does not say how far reactions were: each begins at the first event, and repeats the commands whose ids are no longer remembered. " +
  "To have them go on where they were, export the store again by this release.";

export async function importStore(options: ImportOptions): Promise<void> {
  const { from, store: path } = options;
  requireFilePlace(path, "import into a new file, and copy that by convergent copy --from FILE --to postgres://…");
  const { store: name } = await headerOf(from);
  await requireEmpty(path, name);
  const part = beginStore(path);
  const progress = new ProgressLine({ what: `importing ${from}` });
  try {
    const outcome = await importInto(part, options, name, progress);
    if (outcome.kind === "refused") {
      progress.clear();
      removeStore(part);
      refuse(outcome, options);
      return;
    }
    await putStore(part, path);
    progress.end(`${countOfEvents(outcome.events)}${progress.rateIn(outcome.events)}`);
    const { kind: _, ...facts } = outcome;
    if (options.json) console.log(JSON.stringify({ store: name, rate: progress.rate(outcome.events), ...facts }));
    else
      console.log(
        `${path} is now the store of ${name}: ${countOfEvents(outcome.events)}, ${outcome.ids} remembered ids, ${readersIn(outcome)}digest ${outcome.digest}.\n` +
          `Its epoch ${outcome.epoch.id} begins at position ${outcome.epoch.first}; it signs tokens with a key of its own, so tokens of the other store are not valid here.`,
      );
    if (outcome.readers === undefined) console.error(withoutReaders);
  } catch (error) {
    progress.clear();
    removeStore(part);
    throw error;
  }
}

async function importInto(part: string, options: ImportOptions, name: string, progress: ProgressLine): Promise<ImportOutcome> {
  const store = await fileDriver(part, kindOf(options.store)).open({ name });
  try {
    return await importLog(store, linesOf(options.from), { onProgress: (reached) => progress.show(reached) });
  } finally {
    await store.close();
  }
}

async function headerOf(path: string): Promise<ExportHeader> {
  for await (const line of linesOf(path)) return readHeader(line);
  throw new ConvergentError("invalid_input", `${path} is empty; convergent export makes a file that can be imported`);
}

async function requireEmpty(path: string, name: string): Promise<void> {
  if (!existsSync(path)) return;
  const owner = ownerOfFile(path);
  const store = await openStore(path);
  const head = await store.read((tx) => tx.head());
  await store.close();
  if (head.position > 0)
    throw new ConvergentError("invalid_input", `${path} holds ${countOfEvents(head.position)} of ${owner}; import into a new file`);
  if (owner !== name)
    throw new ConvergentError("store_mismatch", `${path} belongs to the service "${owner}", and the export is of "${name}"`);
}

function refuse(outcome: Extract<ImportOutcome, { kind: "refused" }>, { from, store, json }: ImportOptions): void {
  const { problems, problemCount } = outcome;
  process.exitCode = 1;
  if (json) {
    console.log(JSON.stringify({ problems, problemCount }));
    return;
  }
  for (const { at, message } of problems) console.error(`${from}:${at}: ${message}`);
  if (problemCount > problems.length) console.error(`and ${problemCount - problems.length} more`);
  console.error(`convergent: ${problemCount} problems in ${from}; nothing was imported, and ${store} is as it was\n(invalid_input)`);
}

function readersIn({ readers = 0 }: Extract<ImportOutcome, { kind: "imported" }>): string {
  return readers === 0 ? "" : `the places of ${readers === 1 ? "1 reader" : `${readers} readers`}, `;
}
