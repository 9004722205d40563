/** `convergent tail`: the newest events of a store file, and those that follow. */
import { type Envelope, type Position, type Store, toEnvelope } from "convergent";
import { openStore } from "./store-place.ts";

/** Events read at a time. */
const page = 500;

/** A commit of another process rings a bell, which may be missed. */
const pollMs = 500;

export interface TailOptions {
  readonly store: string;
  readonly follow?: true;
  readonly after?: number;
  readonly lines: number;
  readonly json?: true;
}

export async function tail(options: TailOptions): Promise<void> {
  const store = await openStore(options.store);
  try {
    const head = (await store.read((tx) => tx.head())).position;
    let position = await print(store, (options.after ?? Math.max(0, head - options.lines)) as Position, options);
    if (!options.follow) return;
    const { signal } = stopOnSignal();
    const stopped = new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
    while (!signal.aborted) {
      await Promise.race([committed(store), stopped]);
      position = await print(store, position, options);
    }
  } finally {
    await store.close();
  }
}

function stopOnSignal(): AbortController {
  const controller = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => controller.abort());
  return controller;
}

/** Prints everything after a position; returns where it ends. */
async function print(store: Store, after: Position, options: TailOptions): Promise<Position> {
  let position = after;
  for (;;) {
    const from = position;
    const events = await store.read(async (tx) => tx.events({ after: from, upTo: (await tx.head()).position, limit: page }));
    for (const event of events) console.log(options.json ? JSON.stringify(toEnvelope(event)) : line(toEnvelope(event)));
    const last = events.at(-1);
    if (last) position = last.position;
    if (events.length < page) return position;
  }
}

function line({ position, at, entity, entityId, version, type, data, metadata }: Envelope): string {
  const actor = metadata.actor === undefined ? "" : `  by ${metadata.actor}`;
  return `${String(position).padStart(8)}  ${new Date(at).toISOString()}  ${entity}/${entityId}@${version}  ${type}  ${JSON.stringify(data)}${actor}`;
}

/** Resolves at the next commit, or after a while. */
function committed(store: Store): Promise<void> {
  return new Promise((resolve) => {
    const settle = (): void => {
      clearTimeout(timer);
      stop();
      resolve();
    };
    const timer = setTimeout(settle, pollMs);
    const stop = store.onCommit(settle);
  });
}
