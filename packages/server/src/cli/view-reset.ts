/** `convergent view reset`: deletes what a view has stored. The log is not touched; the next start builds the view from it. */
import { ConvergentError, resetView as resetRows } from "convergent";
import { confirmed } from "./confirmation.ts";
import { openStore, ownerOf, requireUnused, shown } from "./store-place.ts";

export interface ResetOptions {
  readonly store: string;
  readonly yes?: true;
}

export async function resetView(name: string, options: ResetOptions): Promise<void> {
  const owner = await ownerOf(options.store);
  // A running server would fold on from the documents and positions it remembers.
  await requireUnused(options.store);
  const store = await openStore(options.store);
  try {
    const definitions = await store.read((tx) => tx.definitions());
    const versions = definitions.filter((row) => row.name === name).map((row) => row.version);
    if (versions.length === 0) {
      const readers = await store.read((tx) => tx.checkpoints());
      if (readers.some((row) => row.reader === name))
        throw new ConvergentError(
          "invalid_input",
          `"${name}" is no view but a reaction: what it caused is caused, and to react to the same events again would cause it twice. Only views can be built again`,
        );
      const known = definitions.map((row) => row.name);
      throw new ConvergentError(
        "not_found",
        `${shown(options.store)} (${owner}) holds no view "${name}"; it holds ${known.join(", ") || "none"}`,
        { details: { known } },
      );
    }
    const what = `the documents and checkpoint of "${name}" (version ${versions.join(", ")}) in ${shown(options.store)}, the store of ${owner}`;
    if (!options.yes && !(await confirmed(`Delete ${what}?`))) {
      console.log("nothing was deleted");
      return;
    }
    await store.write((tx) => resetRows(tx, name));
    console.log(`deleted ${what}; it is built again from the first event when ${owner} starts`);
  } finally {
    await store.close();
  }
}
