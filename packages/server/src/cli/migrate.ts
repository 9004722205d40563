/**
 * `convergent migrate`: the tables of a store, brought up to this release before its service is started, or only the statements that
 * would do so. A start does the same by itself, under the same lock.
 */
import { ConvergentError } from "convergent";
import { isPostgres, openStore, shown, tablesOf } from "./store-place.ts";

export interface MigrateOptions {
  readonly store: string;
  readonly dryRun?: true;
}

export async function migrate({ store, dryRun }: MigrateOptions): Promise<void> {
  if (dryRun) return tell(store);
  const before = isPostgres(store) ? (await tablesOf(store)).version : undefined;
  await (await openStore(store)).close();
  const after = isPostgres(store) ? (await tablesOf(store)).version : undefined;
  const versions = after === undefined ? "" : before === after ? `: version ${after}, as before` : `: version ${after}, from ${before}`;
  process.stdout.write(`the tables of ${shown(store)} are those of this release${versions}\n`);
}

async function tell(store: string): Promise<void> {
  if (!isPostgres(store))
    throw new ConvergentError(
      "invalid_input",
      `${store} is a file, and is brought up to date when it is opened; back it up first: convergent backup --store ${store} --to FILE`,
    );
  const { version, schema, migrations } = await tablesOf(store);
  const lines =
    migrations.length === 0
      ? [`-- ${shown(store)} has tables of version ${version}, those of this release: there is nothing to do`]
      : [
          `-- ${shown(store)} has ${version === 0 ? "no tables" : `tables of version ${version}`}; the next start runs, in one transaction under a lock:`,
          ...(version === 0 ? [`CREATE SCHEMA "${schema}"; -- unless it is there`] : []),
          `SET LOCAL search_path = "${schema}", pg_temp;`,
          ...migrations.flatMap(({ to, script }) => [`-- version ${to}`, script.trim()]),
          ...(version === 0 ? [] : [`UPDATE store SET schema_version = ${migrations.at(-1)?.to};`]),
        ];
  process.stdout.write(`${lines.join("\n")}\n`);
}
