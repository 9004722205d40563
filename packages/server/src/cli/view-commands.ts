/**
 * `convergent view list | cancel | rebuild | drop`: what operators do about the versions of views. Orders are written into
 * the store; a server that has it open notices within a second.
 */
import {
  cancelRebuild,
  ConvergentError,
  dropRows,
  dropVersions,
  Log,
  resumeRebuild,
  type Store,
  viewVersions,
  type WriteTransaction,
} from "convergent";
import type { Command } from "commander";
import { confirmed } from "./confirmation.ts";
import { examples } from "./examples.ts";
import { driverOf, openStore, ownerOf, shown, storeHelp } from "./store-place.ts";
import { listViews } from "./view-list.ts";

interface VersionOptions {
  readonly store: string;
  readonly version: number;
}

interface DropOptions {
  readonly store: string;
  readonly version?: number;
  readonly yes?: true;
}

/** Adds the commands below `convergent view`. */
export function addViewCommands(view: Command, wholeNumber: (text: string) => number): void {
  view
    .command("list")
    .description("shows the versions of each view: which one answers, which is being built and how long that will take")
    .option("--url <url>", "address of a gateway, for example http://localhost:4000")
    .option("--store <store>", storeHelp)
    .option("--json", "as JSON")
    .addHelpText("after", examples("convergent view list --url http://localhost:4000"))
    .action(listViews);
  view
    .command("cancel")
    .description("stops the build of a version; the version before it goes on answering")
    .argument("<name>", "wire name of the view")
    .requiredOption("--version <n>", "the version that is being built", wholeNumber)
    .requiredOption("--store <store>", `${storeHelp}; a server may have it open`)
    .addHelpText("after", examples("convergent view cancel order-summary --version 2 --store data/orders.db"))
    .action(cancel);
  view
    .command("rebuild")
    .description("lets a build go on that was cancelled, or begin anew after it failed")
    .argument("<name>", "wire name of the view")
    .requiredOption("--store <store>", `${storeHelp}; a server may have it open`)
    .addHelpText("after", examples("convergent view rebuild order-summary --store data/orders.db"))
    .action(rebuild);
  view
    .command("drop")
    .description("deletes the rows of a view that no service has any more, or of one version that answers no reads")
    .argument("<name>", "wire name of the view")
    .requiredOption("--store <store>", `${storeHelp}; a server may have it open`)
    .option("--version <n>", "only this version", wholeNumber)
    .option("--yes", "do not ask")
    .addHelpText("after", examples("convergent view drop order-summary --version 1 --store data/orders.db"))
    .action(drop);
}

async function cancel(name: string, { store, version }: VersionOptions): Promise<void> {
  await ordered(store, (tx) => cancelRebuild(tx, name, version));
  console.log(`version ${version} of ${name} is not built any further; to go on: convergent view rebuild ${name} --store ${shown(store)}`);
}

async function rebuild(name: string, { store }: { readonly store: string }): Promise<void> {
  const version = await ordered(store, (tx) => resumeRebuild(tx, name));
  console.log(`version ${version} of ${name} is built by the server as soon as it looks, or when it starts`);
}

async function drop(name: string, options: DropOptions): Promise<void> {
  const { store, version } = options;
  const owner = await ownerOf(store);
  const what = `${version === undefined ? "every version" : `version ${version}`} of the view "${name}" in ${shown(store)}, the store of ${owner}`;
  if (!options.yes && !(await confirmed(`Delete the rows of ${what}?`))) {
    console.log("nothing was deleted");
    return;
  }
  const versions = await ordered(store, (tx) => dropVersions(tx, name, version));
  const log = await Log.open(await driverOf(store), owner);
  try {
    for (const one of versions) await dropRows(log, { name, version: one });
  } finally {
    await log.close();
  }
  console.log(`deleted ${what}`);
}

async function ordered<T>(path: string, order: (tx: WriteTransaction) => Promise<T>): Promise<T> {
  const store: Store = await openStore(path);
  try {
    return await store.write(order);
  } catch (error) {
    if (!(error instanceof ConvergentError) || error.code !== "not_found") throw error;
    const known = [...new Set((await store.read((tx) => viewVersions(tx, store.identity.store))).map(({ view }) => view))];
    throw new ConvergentError("not_found", `${error.message} (${shown(path)}); it holds ${known.join(", ") || "none"}`, {
      details: { known },
    });
  } finally {
    await store.close();
  }
}
