/**
 * `convergent restore`: puts a backup in place of a store and begins a new epoch at its end (L5), so that what was written
 * after the backup is answered with `token_epoch` instead of being taken for something else. The backup is copied and
 * verified first and stays as it is.
 */
import { existsSync } from "node:fs";
import { beginEpoch, ConvergentError, type Epoch } from "convergent";
import { copyStore, extentOf, requireFile, requireSound } from "./backup.ts";
import { beginStore, putStore, removeStore } from "./place.ts";
import { kindOf, ownerIfKnown, ownerOfFile, requireFileUnused } from "./store-file.ts";
import { openStore, requireFilePlace, witnessed } from "./store-place.ts";
import { verifyFile } from "./verify.ts";

export interface RestoreOptions {
  readonly from: string;
  readonly to: string;
  readonly force?: true;
  readonly json?: true;
}

export async function restore(options: RestoreOptions): Promise<void> {
  const { from, to } = options;
  for (const place of [from, to])
    requireFilePlace(
      place,
      "restore puts files in place. A dump is put back by pg_restore, and the older log is noticed when the service starts; a file gets into PostgreSQL by convergent copy",
    );
  requireFile(from);
  const name = ownerOfFile(from);
  requireReplaceable(options, name);
  const part = beginStore(to);
  try {
    await copyStore(from, part);
    const found = await verifyFile(part);
    requireSound(found, `the copy of ${from}`);
    const epoch = await forked(part);
    await putStore(part, to);
    await witnessed(to);
    if (options.json) console.log(JSON.stringify({ store: name, to, events: found.events, fork: found.last, epoch, digest: found.digest }));
    else
      console.log(
        `${to} is now ${from}: ${extentOf(found)} of ${name}, digest ${found.digest}.\n` +
          `The epoch ${epoch.id} begins at position ${epoch.first}: tokens and checkpoints up to ${found.last} stay valid, later ones are answered ` +
          `with token_epoch and the fork ${found.last}. Clients drop such a token and tell their user; reactions of other services that had gone further stop: convergent reader continue --help.`,
      );
  } catch (error) {
    removeStore(part);
    throw error;
  }
}

function requireReplaceable({ to, from, force }: RestoreOptions, name: string): void {
  if (!existsSync(to)) return;
  if (!force)
    throw new ConvergentError(
      "invalid_input",
      `${to} exists; add --force to replace it by ${from}, after convergent backup --store ${to} --to … if it can still be read`,
    );
  const owner = ownerIfKnown(to);
  if (owner !== undefined && owner !== name)
    throw new ConvergentError("store_mismatch", `${to} belongs to the service "${owner}", and ${from} is a copy of "${name}"`);
  if (kindOf(from) !== kindOf(to) && owner !== undefined)
    throw new ConvergentError(
      "store_mismatch",
      `${to} and ${from} are stores of different kinds; export and import lead from one to the other`,
    );
  // Asked before minutes are spent on the copy, and again when it is put in place.
  if (owner !== undefined && kindOf(to) === "sqlite") requireFileUnused(to);
}

async function forked(path: string): Promise<Epoch> {
  const store = await openStore(path);
  try {
    return (await store.write((tx) => beginEpoch(tx, store.host.random))).epoch;
  } finally {
    await store.close();
  }
}
