/**
 * `convergent archive`: moves the events of streams that have ended out of the store file into the archive beside it, in
 * small steps beside a running server. Nothing leaves the log: reads, rebuilds and audits find every event as before.
 */
import { existsSync, statSync } from "node:fs";
import { type AnyEntity, ConvergentError, type Duration, durationMs, EntityRuntime, Log, type Store, type StoredEvent } from "convergent";
import { countOfEvents, megabytes, ProgressLine } from "./progress.ts";
import { loadModule } from "./load-module.ts";
import { exportedServices } from "./service-order.ts";
import { driverOf, isPostgres, openStore, ownerOf, shown } from "./store-place.ts";
import { linesOf } from "./text-lines.ts";

/** Streams looked at, and streams moved, at a time. */
const pageStreams = 500;

export interface ArchiveOptions {
  readonly store: string;
  readonly entity?: string;
  readonly endedBy?: string;
  readonly endedBefore: string;
  readonly services?: string;
  readonly streamsFrom?: string;
  readonly json?: true;
}

export async function archive(options: ArchiveOptions): Promise<void> {
  const { store, streams } = options.services === undefined ? await asked(options) : await declared(options, options.services);
  await requireKnown(store, options).catch(async (error: unknown) => {
    await store.close();
    throw error;
  });
  const progress = new ProgressLine({ what: `archiving ${shown(options.store)}` });
  const before = isPostgres(options.store) ? undefined : sizeOf(options.store);
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
  tell(options, { streams: count, events }, before);
}

/** `before` is the file's size in bytes; undefined in a database, whose server knows such things. */
function tell(
  { store, json }: ArchiveOptions,
  moved: { readonly streams: number; readonly events: number },
  before: number | undefined,
): void {
  const { streams, events } = moved;
  const after = { store: sizeOf(store), archive: sizeOf(`${store}-archive`) };
  if (json) console.log(JSON.stringify(before === undefined ? moved : { ...moved, before: { store: before }, after }));
  else if (events === 0)
    console.log(`nothing was moved: no stream in ${shown(store)} has ended as asked, or all are in the archive already`);
  else if (before === undefined)
    console.log(`moved ${countOfEvents(events)} of ${streams} streams to the table archived_events of ${shown(store)}`);
  else
    console.log(
      `moved ${countOfEvents(events)} of ${streams} streams to ${store}-archive (${megabytes(after.archive)}). ` +
        `${store} has ${megabytes(after.store)}, before ${megabytes(before)}; the room that came free is used again by new events. ` +
        `To give it back to the disk, stop the server and run: sqlite3 ${store} VACUUM`,
    );
}

/** A slip in a name would look like a store in which nothing has ended. Throws `not_found`. */
async function requireKnown(store: Archivable, { entity, endedBy, streamsFrom }: ArchiveOptions): Promise<void> {
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

/** A store as far as archiving needs it. */
type Archivable = Pick<Store, "read" | "archive" | "close">;

interface Chosen {
  readonly store: Archivable;
  readonly streams: (store: Archivable) => AsyncIterable<readonly string[]>;
}

async function asked({ store, entity, endedBy, endedBefore, streamsFrom }: ArchiveOptions): Promise<Chosen> {
  if (streamsFrom !== undefined) return { store: await openStore(store), streams: () => listed(streamsFrom) };
  if (entity === undefined || endedBy === undefined)
    throw new ConvergentError(
      "invalid_input",
      "say which streams have ended: --entity order --ended-by order.shipped,order.cancelled, or --services MODULE whose entities say it themselves, or --streams-from FILE",
    );
  const types = endedBy.split(",");
  const before = Date.now() - ageOf(endedBefore);
  return {
    store: await openStore(store),
    streams: (opened) => ended(opened, entity, ({ type, at }) => types.includes(type) && at < before),
  };
}

/** By what entities declare of their states. Throws `not_found`, `invalid_input`, and what folding a stream throws. */
async function declared(options: ArchiveOptions, module: string): Promise<Chosen> {
  if (options.endedBy !== undefined || options.streamsFrom !== undefined)
    throw new ConvergentError(
      "invalid_input",
      "--services says by itself which streams have ended; leave out --ended-by and --streams-from",
    );
  const before = Date.now() - ageOf(options.endedBefore);
  const entities = await declaringEntities(options, module);
  const log = await Log.open(await driverOf(options.store), await ownerOf(options.store));
  const store: Archivable = { read: (body) => log.snapshot(body), archive: (streams) => log.archive(streams), close: () => log.close() };
  return {
    store,
    streams: async function* () {
      for (const definition of entities) {
        const runtime = new EntityRuntime(definition, log);
        const hasEnded = async (stream: string): Promise<boolean> =>
          definition.ended?.((await runtime.read(stream.slice(definition.name.length + 1))).state) ?? false;
        yield* ended(store, definition.name, async ({ stream, at }) => at < before && (await hasEnded(stream)));
      }
    },
  };
}

async function declaringEntities({ store, entity }: ArchiveOptions, module: string): Promise<readonly AnyEntity[]> {
  const { services } = exportedServices(await loadModule(module), module);
  const name = await ownerOf(store);
  const service = services.find((each) => each.name === name);
  if (!service) {
    const known = services.map((each) => each.name);
    throw new ConvergentError("not_found", `${shown(store)} is the store of "${name}", and ${module} exports ${known.join(", ")}`, {
      details: { known },
    });
  }
  const parts = Object.values(service.parts).filter((part) => part.kind === "entity");
  const entities = parts.filter((part) => part.ended && (entity === undefined || part.name === entity));
  if (entities.length > 0) return entities;
  throw new ConvergentError(
    "invalid_input",
    `${entity === undefined ? `no entity of "${name}" declares` : `"${entity}" of "${name}" does not declare`} \`ended\`, with evolve: { ended: (state) => … }; or say it by --ended-by`,
  );
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

async function* ended(
  store: Archivable,
  entity: string,
  has: (last: StoredEvent) => boolean | Promise<boolean>,
): AsyncGenerator<readonly string[]> {
  let after: string | undefined;
  for (;;) {
    const from = after;
    const last = await store.read((tx) => tx.streams({ entity, limit: pageStreams, ...(from === undefined ? {} : { after: from }) }));
    if (last.length === 0) return;
    const found: string[] = [];
    for (const event of last) if (await has(event)) found.push(event.stream);
    yield found;
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
