/** `convergent export`: a log as lines of JSON or CloudEvents, into a file that is there whole or not at all, or to stdout. */
import { createWriteStream } from "node:fs";
import { Readable, type Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { type ExportFormat, exportLog, type Position } from "convergent";
import { beginFile, finishFile, refuseExisting } from "./place.ts";
import { countOfEvents, ProgressLine } from "./progress.ts";
import { openStore, shown } from "./store-place.ts";

export interface ExportOptions {
  readonly store: string;
  readonly to: string;
  readonly format: ExportFormat;
  readonly after?: number;
  readonly gzip?: true;
  readonly force?: true;
}

export async function exportStore(options: ExportOptions): Promise<void> {
  const { to, format } = options;
  const toFile = to !== "-";
  if (toFile && !options.force) refuseExisting(to);
  const store = await openStore(options.store);
  const progress = new ProgressLine({ what: `exporting ${shown(options.store)}` });
  let events = 0;
  const onProgress = (reached: { done: number; of: number }): void => {
    events = reached.done;
    progress.show(reached);
  };
  try {
    const after = options.after as Position | undefined;
    const text = Readable.from(exportLog(store, { format, onProgress, ...(after === undefined ? {} : { after }) }));
    const part = toFile ? beginFile(to) : undefined;
    const target: Writable = part === undefined ? process.stdout : createWriteStream(part);
    if (options.gzip || to.endsWith(".gz")) await pipeline(text, createGzip(), target);
    else await pipeline(text, target);
    if (part !== undefined) finishFile(part, to);
    progress.end(`${countOfEvents(events)}${progress.rateIn(events)}`);
  } catch (error) {
    progress.clear();
    throw error;
  } finally {
    await store.close();
  }
}
