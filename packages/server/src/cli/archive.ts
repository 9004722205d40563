/**
 * `convergent archive`: moves the events of streams that have ended out of the store file into the archive beside it, in
 * small steps beside a running server. Nothing leaves the log: reads, rebuilds and audits find every event as before.
 */
import { existsSync, statSync } from "node:fs";
import { ConvergentError, type Duration, durationMs, type Store } from "convergent";
import { countOfEvents, megabytes, ProgressLine } from "./progress.ts";
import { openStore } from "./store-file.ts";
import { linesOf } from "./text-lines.ts";

/** Streams looked at, and streams moved, at a time. */
const pageStreams = 500;

export interface ArchiveOptions {
  readonly store: string;
  readonly entity?: string;
  readonly endedBy?: string;
  readonly endedBefore: string;
  readonly streamsFrom?: string;
  readonly json?: true;
}

export async function archive(options: ArchiveOptions): Promise<void> {
  const streams = chosen(options);
  const store = await openStore(options.store);
  await requireKnown(store, options).catch(async (error: unknown) => {
    await store.close();
    throw error;
  });
  const progress = new ProgressLine({ what: `archiving ${options.store}` });
  const before = statSync(options.store).size;
  let events = 0;
  let count = 0;
  try {
    const { position } = await store.read((tx) => tx.head());
    for await (const page of streams(store)) {
      events += await store.archive(page);
      count += page.length;
      progress.show({ done: events, of: Math.max(events, position) });
    }
    progress.end(`${countOfEvents(events)} of ${count} streams moved`);
  } catch (error) {
    progress.clear();
    throw error;
  } finally {
    await store.close();
  }
  const sizes = { store: statSync(options.store).size, archive: sizeOf(`${options.store}-archive`) };
  if (options.json) console.log(JSON.stringify({ streams: count, events, before: { store: before }, after: sizes }));
  else if (events === 0)
    console.log(`nothing was moved: no stream in ${options.store} has ended as asked, or all are in the archive already`);
  else
    console.log(
      `moved ${countOfEvents(events)} of ${count} streams to ${options.store}-archive (${megabytes(sizes.archive)}). ` +
        `${options.store} has ${megabytes(sizes.store)}, before ${megabytes(before)}; the room that came free is used again by new events. ` +
        `To give it back to the disk, stop the server and run: sqlite3 ${options.store} VACUUM`,
    );
}

/** A slip in a name would look like a store in which nothing has ended. Throws `not_found`. */
async function requireKnown(store: Store, { entity, endedBy, streamsFrom }: ArchiveOptions): Promise<void> {
  if (streamsFrom !== undefined || entity === undefined) return;
  const all = (await store.read((tx) => tx.eventTypes(0))).filter((type) => !type.startsWith("$"));
  const entities = [...new Set(all.map((type) => type.slice(0, type.indexOf("."))))];
  if (!entities.includes(entity)) throw unknown(`entity "${entity}"`, entities);
  const types = all.filter((type) => type.startsWith(`${entity}.`));
  const asked = endedBy?.split(",") ?? [];
  const missing = asked.filter((type) => !types.includes(type)).map((type) => unknown(`event of the type "${type}"`, types));
  // Beside a type that there is, one that has never come may be meant.
  const [first] = missing;
  if (first && missing.length === asked.length) throw first;
  for (const { message } of missing) console.error(message);
}

function unknown(what: string, known: readonly string[]): ConvergentError {
  return new ConvergentError("not_found", `the store holds no ${what}; it holds ${known.join(", ") || "none"}`, { details: { known } });
}

type Choice = (store: Store) => AsyncIterable<readonly string[]>;

function chosen({ entity, endedBy, endedBefore, streamsFrom }: ArchiveOptions): Choice {
  if (streamsFrom !== undefined) return () => listed(streamsFrom);
  if (entity === undefined || endedBy === undefined)
    throw new ConvergentError(
      "invalid_input",
      "say which streams have ended: --entity order --ended-by order.shipped,order.cancelled, or --streams-from FILE",
    );
  const types = endedBy.split(",");
  const before = Date.now() - ageOf(endedBefore);
  return (store) => ended(store, entity, (type, at) => types.includes(type) && at < before);
}

async function* listed(path: string): AsyncGenerator<readonly string[]> {
  let page: string[] = [];
  for await (const line of linesOf(path)) {
    if (line.trim() === "") continue;
    page.push(line.trim());
    if (page.length < pageStreams) continue;
    yield page;
    page = [];
  }
  yield page;
}

async function* ended(store: Store, entity: string, has: (type: string, at: number) => boolean): AsyncGenerator<readonly string[]> {
  let after: string | undefined;
  for (;;) {
    const from = after;
    const last = await store.read((tx) => tx.streams({ entity, limit: pageStreams, ...(from === undefined ? {} : { after: from }) }));
    if (last.length === 0) return;
    yield last.filter(({ type, at }) => has(type, at)).map(({ stream }) => stream);
    after = last.at(-1)?.stream;
  }
}

/** `90d`, or what durations are written as everywhere. */
function ageOf(text: string): number {
  const days = /^(\d+)d$/.exec(text)?.[1];
  return days === undefined ? durationMs(text as Duration) : Number(days) * 24 * 3_600_000;
}

function sizeOf(path: string): number {
  return existsSync(path) ? statSync(path).size : 0;
}
