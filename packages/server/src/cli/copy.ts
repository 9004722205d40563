/**
 * `convergent copy`: a store becomes another one of whatever kind, beside its server; run again, it goes on where it stopped. No
 * service opens the copy before it is finished, and it is finished only when nobody writes to the source any more.
 */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { ConvergentError, type Epoch, serviceInCopy, type Store, StoreCopy, unfinishedCopyOf } from "convergent";
import { countOfEvents, ProgressLine } from "./progress.ts";
import { kindOf } from "./store-file.ts";
import { driverOf, isInUse, isPostgres, openStore, ownerIfThere, ownerOf, requireUnused, shown, witnessed } from "./store-place.ts";

export interface CopyOptions {
  readonly from: string;
  readonly to: string;
  readonly switch?: true;
  readonly cancel?: true;
  readonly json?: true;
}

/** What one run has done. */
interface Copied {
  readonly events: number;
  readonly ids: number;
  readonly position: number;
  readonly epoch: Epoch;
  readonly rate: number;
}

export async function copy(options: CopyOptions): Promise<void> {
  const { from, to } = options;
  const name = await ownerOf(from);
  if (serviceInCopy(name) !== undefined)
    throw new ConvergentError(
      "invalid_input",
      `${shown(from)} is itself an unfinished copy; finish it first, or copy from where it comes from`,
    );
  if (!isPostgres(to) && kindOf(to) === "journal")
    throw new ConvergentError(
      "invalid_input",
      `${to} is a journal, which is made by convergent import; copy into an SQLite file or a PostgreSQL schema`,
    );
  if (options.cancel) return cancel(options, name);
  const isOpen = options.switch !== true && (await isInUse(from));
  const source = await openStore(from);
  try {
    const target = await openTarget(to, name);
    try {
      tell(options, name, await run({ source, target, isOpen }, options));
    } finally {
      await target.close();
    }
  } finally {
    await source.close();
  }
  if (!isPostgres(to)) await witnessed(to);
}

interface Stores {
  readonly source: Store;
  readonly target: Store;
  /** Whether a process has the source open that may go on writing. */
  readonly isOpen: boolean;
}

async function run({ source, target, isOpen }: Stores, options: CopyOptions): Promise<Copied> {
  const { from, to } = options;
  const work = await StoreCopy.begin(source, target);
  const copying = new ProgressLine({ what: `copying ${shown(from)} to ${shown(to)}` });
  const first = await inProgress(copying, () => work.bring({ onProgress: (reached) => copying.show(reached) }));
  copying.end(`up to position ${first.position}, ${countOfEvents(first.events)}${copying.rateIn(first.events)}`);
  const rate = copying.rate(first.events);
  await compare(work, options);
  if (isOpen)
    throw new ConvergentError(
      "store_in_use",
      `${shown(to)} holds everything up to position ${first.position} and is not finished, because a process has ${shown(from)} open and may go on writing. ` +
        "Stop its server and run the same command again, which brings the rest; or add --switch, which has the old store refuse writes from then on",
    );
  if (!options.switch) return { ...first, rate, epoch: await work.finish() };
  await source.write((tx) => tx.saveMove(isPostgres(to) ? shown(to) : resolve(to)));
  console.error(`${shown(from)} takes no more writes`);
  const rest = await work.bring();
  await compare(work, options);
  return { events: first.events + rest.events, ids: first.ids + rest.ids, position: rest.position, rate, epoch: await work.finish() };
}

async function compare(work: StoreCopy, { from, to }: CopyOptions): Promise<void> {
  const comparing = new ProgressLine({ what: `comparing ${shown(from)} with ${shown(to)}` });
  const { events } = await inProgress(comparing, () => work.verify({ onProgress: (reached) => comparing.show(reached) }));
  comparing.end(`${countOfEvents(events)} are the same`);
}

async function inProgress<T>(line: ProgressLine, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    line.clear();
    throw error;
  }
}

/** The target under the name of a copy. Throws `invalid_input` or `store_mismatch` when something else is there. */
async function openTarget(to: string, name: string): Promise<Store> {
  const owner = await ownerIfThere(to);
  const driver = await driverOf(to);
  if (owner === undefined || serviceInCopy(owner) === name) return driver.open({ name: unfinishedCopyOf(name) });
  if (owner !== name)
    throw new ConvergentError("store_mismatch", `${shown(to)} belongs to "${owner}", and the source is the store of "${name}"`);
  await requireUnused(to);
  const store = await driver.open({ name });
  try {
    const { position } = await store.read((tx) => tx.head());
    if (position > 0)
      throw new ConvergentError(
        "invalid_input",
        `${shown(to)} holds ${countOfEvents(position)} of ${name} and is no unfinished copy; copy to a place where nothing is, or remove what is there`,
      );
    await store.write((tx) => tx.saveOwner({ store: unfinishedCopyOf(name), key: store.identity.key }));
  } finally {
    await store.close();
  }
  return driver.open({ name: unfinishedCopyOf(name) });
}

/** Takes a switch back that was not finished. */
async function cancel({ from, to }: CopyOptions, name: string): Promise<void> {
  if ((await ownerIfThere(to)) === name)
    throw new ConvergentError(
      "invalid_input",
      `${shown(to)} is finished and may have gone on; to go back, copy it to a new place by convergent copy --from ${shown(to)}`,
    );
  const source = await openStore(from);
  try {
    await source.write((tx) => tx.saveMove(undefined));
  } finally {
    await source.close();
  }
  console.log(`${shown(from)} takes writes again; what is in ${shown(to)} stays an unfinished copy, which a further run goes on with`);
}

function tell({ from, to, json, switch: isSwitch }: CopyOptions, name: string, copied: Copied): void {
  const { events, ids, position, epoch, rate } = copied;
  if (json) {
    console.log(JSON.stringify({ store: name, to: shown(to), events, ids, position, epoch, rate }));
    return;
  }
  console.log(
    `${shown(to)} is now the store of ${name} up to position ${position}; this run brought ${countOfEvents(events)} and ${ids} ids. ` +
      `Count and digest of every 10,000 positions are those of ${shown(from)}.\n` +
      `Its epoch ${epoch.id} begins at position ${epoch.first}: tokens up to ${position} stay valid, later ones of the old store are answered with token_epoch. ` +
      "Views are built again when the service starts.",
  );
  console.log(
    isSwitch
      ? `${shown(from)} refuses writes from now on (store_moved). Start the service with the new store.`
      : `${shown(from)} is as it was; what is written to it from now on is not in the copy.`,
  );
  const keys = `${from}-keys`;
  if (isPostgres(from) || existsSync(keys))
    console.log(
      `The keys of persons are no part of it: ${isPostgres(to) ? "give its service" : `move to ${to}-keys`} the file ${isPostgres(from) ? "that the old one has as `keys`, if there is one" : keys}.`,
    );
}
