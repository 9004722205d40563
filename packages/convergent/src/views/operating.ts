/**
 * What operators ask and order about the versions of views, on a store: whether a server has it open or not, its
 * processes notice by looking.
 */
import { ConvergentError } from "../errors/error.ts";
import type { DefinitionRow, DefinitionState, ReadTransaction, WriteTransaction } from "../log/store.ts";
import type { Position } from "../position/position.ts";
import { recordDiscards } from "../readers/parked-requests.ts";
import { rowsPlace } from "../readers/slot-places.ts";
import { setState, slotsOf, versionsOf } from "./versions.ts";

/** One stored version of a view. */
export interface ViewVersion {
  readonly view: string;
  readonly version: number;
  readonly consistency: "eventual" | "strong";
  readonly state: DefinitionState;
  /** Why its build failed. */
  readonly reason?: string;
  /** Everything up to here is in its rows. */
  readonly position: Position;
  readonly head: Position;
  /** Order keys that are set aside. */
  readonly parked: number;
}

/** Every stored version of every view, by name and version. `source` is the store's own name. */
export async function viewVersions(tx: ReadTransaction, source: string): Promise<ViewVersion[]> {
  const { position: head } = await tx.head();
  const versions: ViewVersion[] = [];
  for (const row of await tx.definitions()) {
    const strong = row.kind === "strong-view";
    const position = strong ? head : rowsPlace(await slotsOf(tx, source, row));
    const { name: view, version, state, reason } = row;
    const parked = (await tx.parking.count({ reader: view, version, source })).keys;
    const label = { view, version, consistency: strong ? "strong" : "eventual", state, position, head, parked } as const;
    versions.push({ ...label, ...(reason === "" ? {} : { reason }) });
  }
  return versions.sort((a, b) => (a.view === b.view ? a.version - b.version : a.view < b.view ? -1 : 1));
}

/** Stops a build; the active version goes on answering. Cancelling again changes nothing. Throws `not_found`, `invalid_input`. */
export async function cancelRebuild(tx: WriteTransaction, name: string, version: number): Promise<void> {
  const row = found(await versionsOf(tx, name), name, version);
  if (row.state === "cancelled") return;
  if (row.state !== "building" && row.state !== "failed")
    throw new ConvergentError("invalid_input", `version ${version} of the view "${name}" is ${row.state}; only a build can be cancelled`);
  await setState(tx, row, "cancelled");
}

/**
 * Lets the newest version that stands still be built: a cancelled build goes on where it was, a failed one begins anew,
 * its rows deleted. Answers its version. Throws `not_found`, `invalid_input`.
 */
export async function resumeRebuild(tx: WriteTransaction, name: string): Promise<number> {
  const rows = await versionsOf(tx, name);
  if (rows.length === 0) throw unknown(name);
  const row = rows.filter(({ state }) => state === "cancelled" || state === "failed").sort((a, b) => b.version - a.version)[0];
  if (!row)
    throw new ConvergentError(
      "invalid_input",
      `no version of the view "${name}" stands still: ${rows.map(({ version, state }) => `${version} is ${state}`).join(", ")}; to build it again from the first event, raise its version`,
    );
  await setState(tx, row, row.state === "failed" ? "restarting" : "building");
  return row.version;
}

/** Marks versions of a view for deletion: all of them, or one that does not answer reads. Answers which. Throws `not_found`, `invalid_input`. */
export async function dropVersions(tx: WriteTransaction, name: string, version?: number): Promise<readonly number[]> {
  const rows = await versionsOf(tx, name);
  if (rows.length === 0) throw unknown(name);
  const dropped = version === undefined ? rows : [found(rows, name, version)];
  if (version !== undefined && rows.length > 1 && dropped.some(({ state }) => state === "active"))
    throw new ConvergentError(
      "invalid_input",
      `version ${version} of the view "${name}" answers reads; leave the version out to drop all of them`,
    );
  for (const row of dropped) await setState(tx, { ...row, kind: "view" }, "dropping");
  return dropped.map((row) => row.version);
}

/** Deletes what a view has stored, every version of it, while no process runs it: the next start builds it from the first event. What was discarded stays so. */
export async function resetView(tx: WriteTransaction, name: string): Promise<void> {
  await recordDiscards(tx, { reader: name });
  await tx.dropView(name);
}

function found(rows: readonly DefinitionRow[], name: string, version: number): DefinitionRow {
  if (rows.length === 0) throw unknown(name);
  const row = rows.find((candidate) => candidate.version === version);
  if (row) return row;
  const known = rows.map((candidate) => candidate.version);
  throw new ConvergentError("not_found", `the view "${name}" has no version ${version} here; it has ${known.join(", ")}`, {
    details: { known },
  });
}

function unknown(name: string): ConvergentError {
  return new ConvergentError("not_found", `this store holds no view "${name}"`);
}
