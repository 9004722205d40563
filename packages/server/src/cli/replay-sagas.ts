/** `convergent replay-sagas`: what the code of a module makes of the sagas that a store holds, before it runs them. */
import { ConvergentError, Log, type ReplayedSaga, replaySagas } from "convergent";
import { loadModule } from "./load-module.ts";
import { countOfEvents, ProgressLine } from "./progress.ts";
import { exportedServices } from "./service-order.ts";
import { driverOf, ownerOf, shown } from "./store-place.ts";

export interface ReplaySagasOptions {
  readonly store: string;
  readonly services: string;
  readonly keys?: string;
  readonly saga?: string;
  readonly id?: string;
  readonly runningOnly?: true;
  readonly json?: true;
}

export async function replayStoredSagas(options: ReplaySagasOptions): Promise<void> {
  const { store, keys, saga, id, runningOnly = false, json } = options;
  const owner = await ownerOf(store);
  const { services } = exportedServices(await loadModule(options.services), options.services);
  const service = services.find(({ name }) => name === owner);
  if (!service)
    throw new ConvergentError(
      "not_found",
      `${shown(store)} is the store of "${owner}", and ${options.services} exports ${services.map(({ name }) => name).join(", ")}`,
    );
  const progress = new ProgressLine({ what: `replaying sagas of ${shown(store)}`, amount: countOfEvents });
  const log = await Log.open(await driverOf(store, keys === undefined ? {} : { keys }), owner);
  const differing: ReplayedSaga[] = [];
  let count = 0;
  try {
    const choice = { ...(saga === undefined ? {} : { saga }), ...(id === undefined ? {} : { id }), runningOnly };
    for await (const replayed of replaySagas(service, log, { ...choice, progress: (reached) => progress.show(reached) })) {
      count++;
      if (!replayed.difference) continue;
      differing.push(replayed);
      if (!json) console.log(sentenceOf(replayed));
    }
  } catch (error) {
    progress.clear();
    throw error;
  } finally {
    await log.close();
  }
  progress.end(countOfSagas(count));
  if (id !== undefined && count === 0 && !runningOnly) throw new ConvergentError("saga_not_found", `${shown(store)} has no saga "${id}"`);
  if (json) console.log(JSON.stringify({ store: owner, replayed: count, differing }));
  else if (differing.length > 0) console.log(`${differing.length} of ${countOfSagas(count)} would not go on with this code`);
  else console.log(`the code does what the history of ${countOfSagas(count)} says`);
  if (differing.length > 0) process.exitCode = 1;
}

function sentenceOf({ saga, id, version, difference }: ReplayedSaga): string {
  return `saga ${saga} ${id}${version === 1 ? "" : ` (version ${version})`}: ${difference?.message}`;
}

function countOfSagas(count: number): string {
  return `${count.toLocaleString("en")} saga${count === 1 ? "" : "s"}`;
}
