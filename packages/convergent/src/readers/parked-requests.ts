/**
 * What operators ask about events that are set aside. A request is written to the rows; the owner of the slot sees it at
 * its next look and carries it out under its lease, so this works on a store whose servers run, and waits for one that
 * does not.
 */
import { ConvergentError } from "../errors/error.ts";
import type { ParkedKey, ParkedRequest } from "../log/reader-rows.ts";
import type { WriteTransaction } from "../log/store.ts";

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
    await tx.parking.saveEvents(events.map((event) => ({ ...event, request: { ...request, kind: "discard" } })));
    count += events.length;
  }
  return count;
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
