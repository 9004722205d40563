/** The reader that keeps the rows of one version of a view, and, while that is built, what it consumed. */
import { ConvergentError } from "../errors/error.ts";
import { EventCodec } from "../log/codec.ts";
import type { StoredEvent } from "../log/event.ts";
import type { Log } from "../log/log.ts";
import type { DefinitionRow, WriteTransaction } from "../log/store.ts";
import { late } from "../readers/lag.ts";
import { Reader } from "../readers/reader.ts";
import type { ReaderOptions, ReaderSetting } from "../readers/reader-options.ts";
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

/** `isBuilding`: whether somebody in this process follows the build of the version, and registers it again should it be dropped. */
export function viewReader(
  definition: AnyView,
  log: Log,
  setting: ReaderSetting,
  isBuilding: () => boolean = () => false,
): Reader<ReadEvent> {
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
  const kept: Kept = { definition, rows, log, isBuilding, asked: new WeakMap(), stored: new WeakMap() };
  const options: ReaderOptions<ReadEvent> = {
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
    expect: (tx, items) => {
      const asked = storedVersion(tx, definition.name, definition.version);
      asked.catch(() => undefined); // `apply` meets it
      kept.asked.set(tx, asked);
      rows.expect?.(tx, items);
    },
    apply: (tx, items) => apply(tx, kept, current(items)),
    passed: (tx, events) => count(tx, kept, events),
  };
  return new Reader<ReadEvent>(late(options, ({ key }) => key));
}

interface Kept {
  readonly definition: AnyView;
  readonly rows: ViewRows;
  readonly log: Log;
  readonly isBuilding: () => boolean;
  /** The version's row where it was asked for beforehand. */
  readonly asked: WeakMap<WriteTransaction, Promise<DefinitionRow | undefined>>;
  /** The version's row as a transaction has read it: nobody else changes it before that ends. */
  readonly stored: WeakMap<WriteTransaction, DefinitionRow>;
}

async function apply(tx: WriteTransaction, kept: Kept, items: readonly KeyedEvent[]): Promise<readonly Failed[]> {
  const { definition, rows, log, isBuilding } = kept;
  const { name, version } = definition;
  const known = await (kept.asked.get(tx) ?? storedVersion(tx, name, version));
  // A build that was dropped must not end in its place by way of its reader: it is begun anew, beside what answers.
  const state = known?.state ?? (isBuilding() ? "dropped" : "active");
  if (state === "dropped" || !isKept(state))
    throw new ConvergentError(
      "rebuilding",
      `version ${version} of the view "${name}" stands still (${state}): nothing is applied to its rows`,
      {
        details: { view: name, version, state },
      },
    );
  const stored = known ?? (await registerAgain(tx, definition, log));
  kept.stored.set(tx, stored);
  // Another process has switched the view that this one still builds: appends fold these events.
  if (stored.kind === "strong-view") return [];
  return rows.apply(tx, items);
}

// What is set aside or was discarded is consumed too: the build has met it, and says of it what became of it.
async function count(tx: WriteTransaction, { definition, stored }: Kept, events: readonly StoredEvent[]): Promise<void> {
  const { name, version, handlers } = definition;
  if ((stored.get(tx) ?? (await storedVersion(tx, name, version)))?.state !== "building") return;
  const handled = events.filter((event) => handlers.has(event.type));
  await tx.addConsumed(consumedOf({ reader: name, version }, handled));
}

// Somebody reset the view, or dropped this version, while this process keeps it: it is built again, and of all versions the highest is active.
async function registerAgain(tx: WriteTransaction, definition: AnyView, log: Log): Promise<DefinitionRow> {
  const { state } = await register(tx, definition, log, { isOwner: true });
  const row = (await storedVersion(tx, definition.name, definition.version)) as DefinitionRow;
  return state === "building" ? { ...row, state: await putInPlace(tx, row, log) } : row;
}
