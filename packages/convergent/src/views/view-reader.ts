/** The reader that keeps the rows of one version of a view, and, while that is built, what it consumed. */
import { ConvergentError } from "../errors/error.ts";
import { EventCodec } from "../log/codec.ts";
import type { StoredEvent } from "../log/event.ts";
import type { Log } from "../log/log.ts";
import type { DefinitionRow, WriteTransaction } from "../log/store.ts";
import { Reader } from "../readers/reader.ts";
import type { ReaderSetting } from "../readers/reader-options.ts";
import type { Failed } from "../readers/verdict.ts";
import { consumedOf } from "./consumed.ts";
import { type KeyedEvent, keyedIn } from "./fold.ts";
import { isKept, putInPlace, register, storedVersion } from "./versions.ts";
import type { AnyView } from "./view.ts";
import { rowsOf, type ViewRows } from "./view-rows.ts";

/** An event as a view's reader applies it. */
export interface ReadEvent extends KeyedEvent {
  readonly stored: StoredEvent;
  /** Of the keys its data was unsealed with. */
  readonly generation: string;
}

export function viewReader(definition: AnyView, log: Log, setting: ReaderSetting): Reader<ReadEvent> {
  const rows = rowsOf(definition);
  const codec = new EventCodec(definition.from, log);
  const prepare = (stored: StoredEvent): ReadEvent => {
    const generation = codec.generation();
    return { ...keyedIn(definition, codec, stored), stored, generation };
  };
  // Somebody may have been forgotten since an event was read: within the transaction that is told, and it is read again.
  const current = (items: readonly ReadEvent[]): readonly ReadEvent[] => {
    const generation = codec.generation();
    return items.map((item) => (item.generation === generation ? item : prepare(item.stored)));
  };
  return new Reader<ReadEvent>({
    ...setting,
    name: definition.name,
    version: definition.version,
    source: log,
    effects: log,
    types: [...definition.handlers.keys()],
    ...(definition.sql?.slots === undefined ? {} : { slots: definition.sql.slots }),
    others: codec.isUnknown,
    prepare,
    orderKey: (item) => item.key,
    derived: true,
    apply: (tx, items) => apply(tx, { definition, rows, log }, current(items)),
    passed: (tx, events) => count(tx, definition, events),
  });
}

interface Kept {
  readonly definition: AnyView;
  readonly rows: ViewRows;
  readonly log: Log;
}

async function apply(tx: WriteTransaction, { definition, rows, log }: Kept, items: readonly KeyedEvent[]): Promise<readonly Failed[]> {
  const { name, version } = definition;
  const stored = (await storedVersion(tx, name, version)) ?? (await registerAgain(tx, definition, log));
  if (!isKept(stored.state))
    throw new ConvergentError(
      "rebuilding",
      `version ${version} of the view "${name}" stands still (${stored.state}): nothing is applied to its rows`,
      { details: { view: name, version, state: stored.state } },
    );
  // Another process has switched the view that this one still builds: appends fold these events.
  if (stored.kind === "strong-view") return [];
  return rows.apply(tx, items);
}

// What is set aside or was discarded is consumed too: the build has met it, and says of it what became of it.
async function count(tx: WriteTransaction, { name, version, handlers }: AnyView, events: readonly StoredEvent[]): Promise<void> {
  if ((await storedVersion(tx, name, version))?.state !== "building") return;
  const handled = events.filter((event) => handlers.has(event.type));
  await tx.addConsumed(consumedOf({ reader: name, version }, handled));
}

// Somebody reset the view, or dropped this version, while this process keeps it: it is built again, and of all versions the highest is active.
async function registerAgain(tx: WriteTransaction, definition: AnyView, log: Log): Promise<DefinitionRow> {
  const { state } = await register(tx, definition, log, { isOwner: true });
  const row = (await storedVersion(tx, definition.name, definition.version)) as DefinitionRow;
  return state === "building" ? { ...row, state: await putInPlace(tx, row, log) } : row;
}
