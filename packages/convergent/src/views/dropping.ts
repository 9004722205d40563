/**
 * Deletes the rows of versions that are marked for it: a few rows a transaction, so that appends are held up for
 * milliseconds, and the definition last, so that whoever comes after a crash goes on.
 */
import type { Log } from "../log/log.ts";
import type { DefinitionRow } from "../log/store.ts";
import { setState, storedVersion } from "./versions.ts";
import { dropSomeRows } from "./view-rows.ts";

/** Rows deleted in one transaction. */
const stepRows = 500;

/** Deletes what a version that is `dropping` or `restarting` has left; then its definition goes too, or it is building again. */
export async function dropRows(
  log: Log,
  { name, version }: Pick<DefinitionRow, "name" | "version">,
  cancelled: () => boolean = () => false,
): Promise<void> {
  let left = true;
  while (left && !cancelled()) {
    left = await log.transact(async (tx) => {
      const row = await storedVersion(tx, name, version);
      if (row?.state !== "dropping" && row?.state !== "restarting") return false;
      if (!(await dropSomeRows(tx, row, stepRows))) return true;
      await tx.dropView(name, version);
      if (row.state === "restarting") await setState(tx, row, "building");
      return false;
    });
    log.host.reached("rebuild.dropping");
    await log.host.timers.turn();
  }
}
