/** `convergent readers`: how far each reader has come, as a running server says it or as a store file holds it. */
import { type Checkpoint, ConvergentError, type wire } from "convergent";
import { openStore } from "./store-place.ts";
import { table } from "./table.ts";

/** A gateway that does not answer by then is reported as unavailable. */
const answerWithinMs = 10_000;

export interface ReadersOptions {
  readonly url?: string;
  readonly store?: string;
  readonly json?: true;
}

export async function listReaders(options: ReadersOptions): Promise<void> {
  if (options.url !== undefined && options.store === undefined) {
    const { readers, replicas = [] } = await readersOf(options.url);
    print(readers, options.json, gatewayTable);
    if (!options.json) for (const replica of replicas) console.log(replicaLine(replica));
    return;
  }
  if (options.store !== undefined && options.url === undefined) return print(await ofStore(options.store), options.json, storeTable);
  throw new ConvergentError(
    "invalid_input",
    "say whose readers: --url http://localhost:4000 for a running server, or --store FILE for a store file",
  );
}

function print<T>(readers: readonly T[], json: true | undefined, format: (readers: readonly T[]) => string): void {
  if (json) console.log(JSON.stringify(readers, undefined, 2));
  else console.log(readers.length > 0 ? format(readers) : "no readers");
}

/** `GET /readers` of a gateway. Throws `unavailable`, `invalid_input`. */
export async function readersOf(url: string): Promise<wire.ReadersBody> {
  let response: Response;
  try {
    response = await fetch(new URL("/readers", /^[\w.-]+:\d+/.test(url) ? `http://${url}` : url), {
      signal: AbortSignal.timeout(answerWithinMs),
    });
  } catch (cause) {
    if (cause instanceof TypeError && !URL.canParse(url))
      throw new ConvergentError("invalid_input", `"${url}" is no address; write it like http://localhost:4000`);
    throw new ConvergentError("unavailable", `nothing answers at ${url}; start the server, or name the port it printed`, { cause });
  }
  const body = (await response.json().catch(() => undefined)) as Partial<wire.ReadersBody> | undefined;
  if (response.ok && Array.isArray(body?.readers)) return { readers: body.readers, views: body.views ?? [], replicas: body.replicas ?? [] };
  throw new ConvergentError("unavailable", `what answers at ${url} (HTTP ${response.status}) is no gateway of Convergent`);
}

function gatewayTable(readers: readonly wire.ReaderBody[]): string {
  const heads = ["SERVICE", "READER", "FOLLOWS", "STATE", "POSITION", "HEAD", "BEHIND", "BEHIND MS", "P50 MS", "P99 MS"];
  const rows = readers.map(({ service, name, source, state, position, head, lag, visibilityMs }) => [
    service,
    name,
    source,
    state,
    position,
    head,
    lag.positions,
    Math.round(lag.ms),
    visibilityMs?.p50,
    visibilityMs?.p99,
  ]);
  const failures = readers.flatMap(({ service, name, failure }) =>
    failure ? [`${service}/${name} is stuck at position ${failure.position} after ${failure.attempts} attempts: ${failure.message}`] : [],
  );
  const parked = readers.flatMap(({ service, name, parked: { keys, events } }) =>
    keys > 0 ? [`${service}/${name} has set aside ${events} events of ${keys} order keys; see: convergent parked list --store FILE`] : [],
  );
  return [table(heads, rows), ...failures, ...parked].join("\n");
}

function replicaLine({ service, place, state, lag, error }: wire.ReplicaBody): string {
  const why = error === undefined ? "" : `; ${state === "ready" ? "last failure: " : ""}${error}`;
  return `${service} has a replica at ${place}: ${state}, ${lag.positions} positions (${Math.round(lag.ms)} ms) behind${why}`;
}

interface StoredReader {
  readonly reader: string;
  readonly version: number;
  readonly source: string;
  readonly slots: number;
  readonly position: number;
  /** Of this file's own log; what another log's head is, the file does not know. */
  readonly head?: number;
}

async function ofStore(path: string): Promise<readonly StoredReader[]> {
  const store = await openStore(path);
  try {
    const { rows, head } = await store.read(async (tx) => ({ rows: await tx.checkpoints(), head: (await tx.head()).position }));
    const readers = Map.groupBy(rows, ({ reader, version, source }) => JSON.stringify([reader, version, source]));
    return [...readers.values()].map((slots) => {
      const { reader, version, source } = slots[0] as Checkpoint;
      const position = Math.min(...slots.map((slot) => slot.position));
      return { reader, version, source, slots: slots.length, position, ...(source === store.identity.store ? { head } : {}) };
    });
  } finally {
    await store.close();
  }
}

function storeTable(readers: readonly StoredReader[]): string {
  const heads = ["READER", "VERSION", "FOLLOWS", "SLOTS", "POSITION", "HEAD", "BEHIND"];
  return table(
    heads,
    readers.map(({ reader, version, source, slots, position, head }) => [
      reader,
      version,
      source,
      slots,
      position,
      head,
      head === undefined ? undefined : head - position,
    ]),
  );
}
