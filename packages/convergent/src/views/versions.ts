/**
 * The stored versions of a view and the steps of their lives, each one transaction:
 *
 *   building ──► active ──► retired ──► dropping ──► gone
 *      │ ▲          (a version below the active one is never made active: it is retired as soon as it is built)
 *      ▼ │
 *   cancelled, failed ──► restarting (its rows are deleted) ──► building
 *
 * - Of one name at most one version is active.
 * - Rows of a version are changed only while it is building, active or retired.
 * - A version whose rows are being deleted keeps its definition until none are left, so that a crash resumes it.
 */
import type { Checkpoint, CheckpointKey, DefinitionRow, DefinitionState, Epoch, ReadTransaction, WriteTransaction } from "../log/store.ts";
import { origin } from "../position/position.ts";
import { recordDiscards } from "../readers/parked-requests.ts";
import { slotsDefault } from "../readers/slots.ts";
import { fingerprint, requireUnchanged } from "./fingerprint.ts";
import type { AnyView } from "./view.ts";

/** Whether a version's rows may be changed and read. */
export function isKept(state: DefinitionState): boolean {
  return state === "building" || state === "active" || state === "retired";
}

export async function versionsOf(tx: ReadTransaction, name: string): Promise<DefinitionRow[]> {
  return tx.definitions({ name });
}

export async function storedVersion(tx: ReadTransaction, name: string, version: number): Promise<DefinitionRow | undefined> {
  return (await tx.definitions({ name })).find((row) => row.version === version);
}

/** The version whose rows answer reads of a process that has `version`: its own once that is built, until then the active one. */
export async function answering(tx: ReadTransaction, name: string, version: number): Promise<DefinitionRow | undefined> {
  const rows = await versionsOf(tx, name);
  const own = rows.find((row) => row.version === version);
  if (own?.state === "active" || own?.state === "retired") return own;
  return rows.find((row) => row.state === "active") ?? own;
}

/** The log that checkpoints speak of. */
export interface Origin {
  readonly store: string;
  readonly epoch: Epoch;
}

/** What registering came to: the state it is in, and whether this was the beginning of it. */
export interface Registered {
  readonly state: DefinitionState;
  readonly isNew: boolean;
}

/** Remembers a definition, or compares it with what is remembered. A first version is active at once. `isOwner`: the caller applies events to the version's rows. Throws `definition_changed`. */
export async function register(
  tx: WriteTransaction,
  definition: AnyView,
  log: Origin,
  options: { readonly isOwner?: boolean } = {},
): Promise<Registered> {
  const { name, version } = definition;
  const rows = await versionsOf(tx, name);
  const stored = rows.find((row) => row.version === version);
  if (stored && stored.state !== "dropping") {
    const wayOut = `raise its version, or delete its rows with: convergent view reset ${name}`;
    const print = requireUnchanged(definition, stored, wayOut);
    if (print !== stored.fingerprint) await tx.saveDefinition({ ...stored, fingerprint: print });
  }
  await recordDiscards(tx, { reader: name });
  if (definition.consistency === "eventual")
    await demote(
      tx,
      rows.filter((row) => row.version < version),
      log,
    );
  if (stored) return { state: stored.state, isNew: false };
  // Leftovers of a reset that was cut short. The owner of the slots writes them in this very transaction.
  if (!options.isOwner) await tx.dropView(name, version);
  const state = rows.some((row) => row.state === "active") ? "building" : "active";
  await tx.saveDefinition({ kind: "view", name, version, fingerprint: fingerprint(definition), state, reason: "" });
  return { state, isNew: true };
}

/** Lets appends no longer fold strong versions; their rows are complete up to now, and their checkpoints say so. */
async function demote(tx: WriteTransaction, rows: readonly DefinitionRow[], log: Origin): Promise<void> {
  const strong = rows.filter((row) => row.kind === "strong-view");
  if (strong.length === 0) return;
  const { position } = await tx.lock();
  for (const row of strong) {
    await tx.saveDefinition({ ...row, kind: "view" });
    const { name: reader, version } = row;
    const count = (await slotsOf(tx, log.store, row)).length || slotsDefault;
    const place = { reader, version, source: log.store, epoch: log.epoch.id, position, reached: position, seen: "{}", check: "" };
    await tx.saveCheckpoints(Array.from({ length: count }, (_, slot) => ({ ...place, slot })));
  }
}

/** Makes a built version the one that answers reads, or, below the active one, keeps it beside that. */
export async function putInPlace(tx: WriteTransaction, own: DefinitionRow, log: Origin): Promise<DefinitionState> {
  const rows = await versionsOf(tx, own.name);
  const active = rows.find((row) => row.state === "active" && row.version !== own.version);
  const state = active && active.version > own.version ? "retired" : "active";
  if (active && state === "active") await tx.saveDefinition({ ...active, state: "retired" });
  await tx.saveDefinition({ ...own, state });
  await recordDiscards(tx, { reader: own.name });
  const older = (await versionsOf(tx, own.name)).filter((row) => row.version < own.version);
  await demote(tx, older, log);
  return state;
}

/** Rows that are to be deleted count for nothing from now on: whoever reads or applies them stands at the origin. */
export async function setState(tx: WriteTransaction, row: DefinitionRow, state: DefinitionState, reason = ""): Promise<void> {
  await tx.saveDefinition({ ...row, state, reason });
  if (state !== "dropping" && state !== "restarting") return;
  await recordDiscards(tx, { reader: row.name, version: row.version });
  const isOf = ({ reader, version }: CheckpointKey): boolean => reader === row.name && version === row.version;
  const place = { position: origin, reached: origin, seen: "{}", check: "" };
  await tx.saveCheckpoints((await tx.checkpoints()).filter(isOf).map((slot) => ({ ...slot, ...place })));
  await tx.ownership.saveLeases(
    (await tx.ownership.leases()).filter(isOf).map((lease) => ({ ...lease, owner: "", fence: lease.fence + 1 })),
  );
}

/** The slots of a version's checkpoint in its own log. */
export function slotsOf(tx: ReadTransaction, source: string, row: Pick<DefinitionRow, "name" | "version">): Promise<Checkpoint[]> {
  return tx.checkpoints({ reader: row.name, version: row.version, source });
}
