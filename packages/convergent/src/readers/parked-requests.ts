/**
 * What operators ask about events that are set aside. A request is written to the rows; the owner of the slot sees it at
 * its next look and carries it out under its lease, so this works on a store whose servers run, and waits for one that
 * does not. A discard is kept whatever becomes of the version that it names (R4): it is put on record when its owner carries
 * it out, or before the rows are deleted, or another version is built, or at once when no process runs that version.
 */
import { ConvergentError } from "../errors/error.ts";
import type { Discard, ParkedEvent, ParkedKey, ParkedRequest } from "../log/reader-rows.ts";
import type { CheckpointKey, ReadTransaction, WriteTransaction } from "../log/store.ts";

/** Which order keys of which reader; all of its keys, and all of its versions, unless named. */
export interface ParkedChoice {
  readonly reader: string;
  readonly version?: number;
  readonly key?: string;
}

/** Asks for the first event of each chosen key to be tried again, and then those behind it. Throws `not_found`. */
export async function requestReplay(tx: WriteTransaction, choice: ParkedChoice, request: Omit<ParkedRequest, "kind">): Promise<number> {
  const keys = await chosen(tx, choice);
  for (const key of keys) {
    const first = await tx.parking.events(key, key.key, 1);
    await tx.parking.saveEvents(first.map((event) => ({ ...event, request: { ...request, kind: "replay" } })));
  }
  return keys.length;
}

/**
 * Asks for the first event of one key, or all of them, never to be applied, by this version or another one. Answers how
 * many events that are. Throws `not_found`, `invalid_input`.
 */
export async function requestDiscard(
  tx: WriteTransaction,
  choice: ParkedChoice & { readonly key: string; readonly all?: boolean },
  request: Omit<ParkedRequest, "kind">,
): Promise<number> {
  if (request.reason.trim() === "")
    throw new ConvergentError("invalid_input", "a discarded event is gone for this reader for ever: say why, in the reason");
  let count = 0;
  for (const key of await chosen(tx, choice)) {
    const events = await tx.parking.events(key, key.key, choice.all ? Number.MAX_SAFE_INTEGER : 1);
    const asked = events.map((event): ParkedEvent => ({ ...event, request: { ...request, kind: "discard" } }));
    await tx.parking.saveEvents(asked);
    if (!(await isRun(tx, key))) await tx.parking.saveDiscards(asked.flatMap(discardOf));
    count += events.length;
  }
  return count;
}

/** Puts on record what was asked to be discarded of a reader, or of one version of it, and was not yet done: no other version applies it. */
export async function recordDiscards(
  tx: WriteTransaction,
  { reader, version }: { readonly reader: string; readonly version?: number },
): Promise<void> {
  for (const row of await tx.parking.requested()) {
    if (row.reader !== reader || (version !== undefined && row.version !== version)) continue;
    await tx.parking.saveDiscards((await tx.parking.events(row, row.key, Number.MAX_SAFE_INTEGER)).flatMap(discardOf));
  }
}

/** Whether a process that is not known to be gone runs this version of a reader, on whatever source. */
export async function isRun(tx: ReadTransaction, of: Pick<CheckpointKey, "reader" | "version">): Promise<boolean> {
  const members = await tx.ownership.members();
  return members.some(({ readers }) => readers.some(({ reader, version }) => reader === of.reader && version === of.version));
}

function discardOf({ reader, source, eventId, position, type, key, error, request }: ParkedEvent): Discard[] {
  if (request?.kind !== "discard") return [];
  const { reason, by, at } = request;
  return [{ reader, source, eventId, position, type, key, error, reason, by, at }];
}

async function chosen(tx: WriteTransaction, { reader, version, key }: ParkedChoice): Promise<ParkedKey[]> {
  const all = await tx.parking.keys();
  const found = all.filter(
    (row) => row.reader === reader && (version === undefined || row.version === version) && (key === undefined || row.key === key),
  );
  if (found.length > 0) return found;
  const known = [...new Set(all.map((row) => `${row.reader} ${row.key}`))].slice(0, 20);
  throw new ConvergentError(
    "not_found",
    `the reader "${reader}" has set aside nothing${key === undefined ? "" : ` of "${key}"`}; set aside are: ${known.join(", ") || "none"}`,
    { details: { known } },
  );
}
