/**
 * The journal of a memory store: a first line that names the format, then one line a committed transaction,
 * `crc length json`, on the host's disk. A line that
 * a crash left torn at the end was never acknowledged and is cut off; a damaged line with whole lines behind it is
 * damage, and the store refuses to open.
 */
import { crc32 } from "node:zlib";
import { ConvergentError } from "../../errors/error.ts";
import type { Disk, DiskFile } from "../../host/host.ts";
import type { RowChange } from "./table.ts";

export class Journal {
  readonly #file: DiskFile;
  readonly #path: string;
  #size: number;
  #broken = false;

  private constructor(file: DiskFile, path: string, size: number) {
    this.#file = file;
    this.#path = path;
    this.#size = size;
  }

  /** Opens or creates the journal and hands each transaction in it to `replay`, in order. Throws `store_broken`. */
  static async open(disk: Disk, path: string, replay: (changes: RowChange[]) => void): Promise<Journal> {
    const bytes = (await disk.read(path)) ?? new Uint8Array();
    const begun = beginsWithFormat(bytes, path);
    const good = begun ? replayLines(bytes, path, replay) : 0;
    const file = await disk.open(path);
    const journal = new Journal(file, path, good);
    try {
      if (good < bytes.length) await file.truncate(good);
      // A process that was killed between writing and syncing leaves lines that are whole and not yet durable: what is read here
      // is about to be shown to readers and answered to retries, so it is synced first (found by seed 375 of the simulator).
      if (begun) await confirmed(file, path);
      else await journal.#write(format);
      return journal;
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** Writes one transaction; when this resolves it is on the disk. Throws `disk_full` (nothing was kept) or `outcome_unknown`. */
  async append(changes: readonly RowChange[]): Promise<void> {
    if (this.#broken)
      throw new ConvergentError(
        "unavailable",
        `the journal ${this.#path} failed earlier; reopen the store, which reads again what is on the disk`,
      );
    await this.#write(lineOf(changes));
  }

  async #write(bytes: Uint8Array): Promise<void> {
    try {
      await this.#file.append(bytes);
    } catch (cause) {
      await this.#cutBack();
      throw cause instanceof ConvergentError
        ? cause
        : new ConvergentError("unavailable", `writing to ${this.#path} failed; nothing was kept`, { cause });
    }
    try {
      await this.#file.sync();
    } catch (cause) {
      // After a failed fsync the kernel may have dropped the pages or kept them (Rebello et al., ATC 2020): nobody knows until it is read again.
      this.#broken = true;
      throw new ConvergentError(
        "outcome_unknown",
        `the disk did not confirm a write to ${this.#path}; reopen the store and retry with the same id`,
        { cause },
      );
    }
    this.#size += bytes.length;
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  async #cutBack(): Promise<void> {
    try {
      await this.#file.truncate(this.#size);
    } catch {
      this.#broken = true;
    }
  }
}

async function confirmed(file: DiskFile, path: string): Promise<void> {
  try {
    await file.sync();
  } catch (cause) {
    throw new ConvergentError("unavailable", `the disk did not confirm what it holds of ${path}; open the store again`, { cause });
  }
}

/** The first line of every journal; the number is the format's version. */
const format = new TextEncoder().encode("convergent-journal 1\n");

/** Whether the file begins as a journal does; false when it is new, or when a crash tore its very first line. */
function beginsWithFormat(bytes: Uint8Array, path: string): boolean {
  const front = bytes.subarray(0, format.length);
  if (front.every((byte, index) => byte === format[index])) return front.length === format.length;
  const newer = /^convergent-journal (\d+)\n/.exec(new TextDecoder().decode(bytes.subarray(0, 40)));
  if (newer)
    throw new ConvergentError(
      "store_newer",
      `${path} was written in format ${newer[1]} by a newer release; this one reads format 1. Use that release`,
    );
  throw new ConvergentError(
    "store_broken",
    `${path} is no journal of this project; give another directory, or move the file away to begin an empty store`,
  );
}

function lineOf(changes: readonly RowChange[]): Uint8Array {
  const json = JSON.stringify(changes.map(({ table, key, row }) => (row === undefined ? [table, key] : [table, key, row])));
  const body = new TextEncoder().encode(json);
  const front = new TextEncoder().encode(`${crc32(body).toString(16).padStart(8, "0")} ${body.length} `);
  const line = new Uint8Array(front.length + body.length + 1);
  line.set(front);
  line.set(body, front.length);
  line[line.length - 1] = 10;
  return line;
}

/** Replays whole lines and returns where the last one ends. */
function replayLines(bytes: Uint8Array, path: string, replay: (changes: RowChange[]) => void): number {
  let at = format.length;
  while (at < bytes.length) {
    const front = new TextDecoder().decode(bytes.subarray(at, at + 32));
    const match = /^([0-9a-f]{8}) (\d{1,15}) /.exec(front);
    const from = at + (match?.[0].length ?? 0);
    const to = from + Number(match?.[2] ?? 0);
    const body = bytes.subarray(from, to);
    const whole = match !== null && to < bytes.length && bytes[to] === 10 && crc32(body) === Number.parseInt(match[1] as string, 16);
    if (!whole) {
      if (holdsWholeLine(bytes, at + 1))
        throw new ConvergentError(
          "store_broken",
          `${path} is damaged at byte ${at}; put back a copy of it, or move it away to begin an empty store`,
        );
      return at;
    }
    const rows = JSON.parse(new TextDecoder().decode(body)) as Array<[string, string, unknown?]>;
    replay(rows.map(([table, key, row]) => ({ table, key, row })));
    at = to + 1;
  }
  return at;
}

// A torn write ends the file; a whole line further on means that something in the middle was destroyed.
function holdsWholeLine(bytes: Uint8Array, from: number): boolean {
  let at = bytes.indexOf(10, from);
  while (at !== -1 && at < bytes.length - 1) {
    const match = /^([0-9a-f]{8}) (\d{1,15}) /.exec(new TextDecoder().decode(bytes.subarray(at + 1, at + 33)));
    if (match) {
      const start = at + 1 + match[0].length;
      const end = start + Number(match[2]);
      if (end < bytes.length && crc32(bytes.subarray(start, end)) === Number.parseInt(match[1] as string, 16)) return true;
    }
    at = bytes.indexOf(10, at + 1);
  }
  return false;
}
