/** `convergent parked …`: events that readers have set aside, in a store file; servers that have it open see what is asked. */
import { userInfo } from "node:os";
import { type ParkedKey, requestDiscard, requestReplay } from "convergent";
import { openStore } from "./store-place.ts";
import { table } from "./table.ts";

export interface ParkedOptions {
  readonly store: string;
  readonly json?: true;
}

export async function listParked(options: ParkedOptions & { readonly discarded?: true }): Promise<void> {
  const store = await openStore(options.store);
  try {
    const rows = await store.read((tx): Promise<readonly object[]> => (options.discarded ? tx.parking.discards() : tx.parking.keys()));
    if (options.json) console.log(JSON.stringify(rows, undefined, 2));
    else if (rows.length === 0) console.log(options.discarded ? "nothing was discarded" : "nothing is set aside");
    else console.log(options.discarded ? discardTable(rows as never) : keyTable(rows as readonly ParkedKey[]));
  } finally {
    await store.close();
  }
}

export async function replayParked(reader: string, key: string | undefined, options: ParkedOptions): Promise<void> {
  const store = await openStore(options.store);
  try {
    const request = { reason: "", by: userInfo().username, at: store.host.clock.now() };
    const count = await store.write((tx) => requestReplay(tx, { reader, ...(key === undefined ? {} : { key }) }, request));
    console.log(`asked for ${count} order ${count === 1 ? "key" : "keys"} of ${reader} to be tried again; ${whenDone}`);
  } finally {
    await store.close();
  }
}

export async function discardParked(
  reader: string,
  key: string,
  options: ParkedOptions & { readonly reason: string; readonly all?: true },
): Promise<void> {
  const store = await openStore(options.store);
  try {
    const request = { reason: options.reason, by: userInfo().username, at: store.host.clock.now() };
    const count = await store.write((tx) => requestDiscard(tx, { reader, key, all: options.all ?? false }, request));
    console.log(`asked for ${count} ${count === 1 ? "event" : "events"} of "${key}" to be discarded by ${reader}; ${whenDone}`);
  } finally {
    await store.close();
  }
}

const whenDone = "the server that runs the reader does it at once, or when it is started next";

function keyTable(keys: readonly ParkedKey[]): string {
  const heads = ["READER", "VERSION", "KEY", "EVENTS", "FIRST AT", "TYPE", "STATE", "ATTEMPTS", "SINCE", "ERROR"];
  return table(
    heads,
    keys.map(({ reader, version, key, events, position, type, state, attempts, since, error, request }) => [
      reader,
      version,
      key,
      events,
      position,
      type,
      request ? `${state}, ${request.kind} asked` : state,
      attempts,
      new Date(since).toISOString(),
      error.slice(0, 100),
    ]),
  );
}

function discardTable(
  rows: ReadonlyArray<{ reader: string; key: string; position: number; type: string; reason: string; by: string; at: number }>,
): string {
  const heads = ["READER", "KEY", "POSITION", "TYPE", "AT", "BY", "REASON"];
  return table(
    heads,
    rows.map(({ reader, key, position, type, at, by, reason }) => [reader, key, position, type, new Date(at).toISOString(), by, reason]),
  );
}
