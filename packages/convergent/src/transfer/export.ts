/** Exports a log as lines of text, beside writers and with flat memory: what was there when the export began. */
import type { StoredEvent } from "../log/event.ts";
import type { IdRecord, Store } from "../log/store.ts";
import { origin, type Position } from "../position/position.ts";
import { rowsOf } from "./kept-lines.ts";
import { keptOf } from "./kept.ts";
import { type AppendNote, type ExportFormat, type ExportLine, exportVersion, writeLine } from "./lines.ts";
import { LogDigest } from "./log-digest.ts";
import { scan } from "./scan.ts";
import type { Progress } from "./verify.ts";
import { voidedIds } from "./voided.ts";

/** What is exported, and in which form. */
export interface ExportOptions {
  /** Default `"jsonl"`. */
  readonly format?: ExportFormat;
  /** Only what comes after this position; such an export continues another one and is not imported by itself. */
  readonly after?: Position;
  /** Told after each page. */
  readonly onProgress?: (progress: Progress) => void;
}

/** The lines of an export, many in one text; each ends in a newline. */
export async function* exportLog(store: Store, options: ExportOptions = {}): AsyncGenerator<string> {
  const { after = origin, format = "jsonl" } = options;
  const name = store.identity.store;
  const line = (one: ExportLine): string => `${writeLine(one, format, name)}\n`;
  const { last, epochs, kept } = await store.read(async (tx) => ({
    last: (await tx.head()).position,
    epochs: await tx.epochs(),
    kept: [...rowsOf(await keptOf(tx))],
  }));
  const range = last > after ? { first: after + 1, last } : { first: 0, last: 0 };
  const epoch = epochs.at(-1)?.id ?? "";
  yield line({ kind: "header", header: { format: "convergent-export", version: exportVersion, store: name, epoch, epochs, ...range } });
  const digest = new LogDigest();
  for await (const { events, ids } of scan(store, { after, upTo: last })) {
    let text = "";
    for (const event of events) {
      digest.add(event);
      text += line({ kind: "event", event, appends: (ids.get(event.position) ?? []).map(noteOf) });
    }
    yield text;
    options.onProgress?.({ done: (events.at(-1) as StoredEvent).position - after, of: last - after });
  }
  for await (const record of voidedIds(store)) yield line({ kind: "voided", record });
  for (const row of kept) yield line({ kind: "kept", kept: row });
  yield line({ kind: "end", end: { events: digest.events, digest: digest.end(), kept: kept.length } });
}

function noteOf({ scope, id, digest, firstVersion }: IdRecord): AppendNote {
  return { scope, id, digest, firstVersion };
}
