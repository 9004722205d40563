/**
 * The disk of the simulated machine. What was appended and not synced may be gone after a power cut, as a whole or from
 * some byte on; a file that was replaced may then hold the old content, the new one, or nothing.
 */
import { ConvergentError } from "../errors/error.ts";
import type { Disk, DiskFile } from "../host/host.ts";
import type { Faults } from "./faults.ts";
import type { SeededRandom } from "./random.ts";

const syncMs = { usual: 0.4, slow: 800 };
const appendMs = 0.02;

interface SimulatedFile {
  bytes: Uint8Array;
  /** So many bytes are on the platter. */
  synced: number;
  /** Of a replaced file: what was there before, until a sync or some time makes the new content last. */
  before?: Uint8Array | undefined;
}

/** Waits on the disk; never resolves for a process that is gone. */
export type DiskDelay = (ms: number, label: string) => Promise<void>;

export class SimulatedDisk {
  readonly #files = new Map<string, SimulatedFile>();
  readonly #faults: Faults;
  readonly #random: SeededRandom;
  #opened = 0;

  constructor(faults: Faults, random: SeededRandom) {
    this.#faults = faults;
    this.#random = random;
  }

  /** As one process sees it. A file that the process leaves open when it dies may be opened again. */
  seenBy(delay: DiskDelay): Disk {
    return {
      read: async (path) => {
        await delay(appendMs, "disk read");
        return this.#files.get(path)?.bytes.slice();
      },
      open: async (path) => {
        await delay(appendMs, "disk open");
        this.#files.set(path, this.#files.get(path) ?? { bytes: new Uint8Array(), synced: 0 });
        return this.#file(path, delay);
      },
      replace: async (path, bytes) => {
        await delay(appendMs, "disk replace");
        const before = this.#files.get(path);
        this.#files.set(path, { bytes: bytes.slice(), synced: bytes.length, before: before?.bytes });
      },
    };
  }

  /** A power cut. */
  lose(): void {
    for (const [path, file] of this.#files) {
      if (file.before !== undefined || file.synced === file.bytes.length) {
        if (file.before === undefined || this.#random.chance(0.6)) continue;
        const bytes = this.#random.chance(0.7) ? file.before : new Uint8Array();
        this.#files.set(path, { bytes, synced: bytes.length });
        continue;
      }
      const kept = file.synced + this.#random.below(file.bytes.length - file.synced + 1);
      this.#files.set(path, { bytes: file.bytes.slice(0, kept), synced: kept });
    }
  }

  /** What a copy of the file, made now, would hold. */
  copy(path: string): Uint8Array | undefined {
    const file = this.#files.get(path);
    return file?.bytes.slice(0, file.synced);
  }

  /** What the processes of the machine find in the file. */
  content(path: string): Uint8Array {
    return this.#files.get(path)?.bytes.slice() ?? new Uint8Array();
  }

  put(path: string, bytes: Uint8Array): void {
    this.#files.set(path, { bytes, synced: bytes.length });
  }

  remove(path: string): void {
    this.#files.delete(path);
  }

  #file(path: string, delay: DiskDelay): DiskFile {
    const opened = ++this.#opened;
    let closed = false;
    const file = (): SimulatedFile => {
      const found = this.#files.get(path);
      if (closed || !found) throw new Error(`the file ${path} (opening ${opened}) is closed`);
      return found;
    };
    return {
      append: async (bytes) => {
        await delay(appendMs, "disk append");
        const { bytes: old, synced } = file();
        if (this.#faults.hits("disk full")) {
          // Some of it may have gone in before the disk was full.
          const part = bytes.subarray(0, this.#random.below(bytes.length));
          this.#files.set(path, { bytes: joined(old, part), synced });
          throw new ConvergentError("disk_full", `the disk of ${path} is full; nothing of this write was kept. Free some space and retry`);
        }
        this.#files.set(path, { bytes: joined(old, bytes), synced });
      },
      sync: async () => {
        const slow = this.#faults.hits("slow sync");
        await delay(slow ? this.#random.between(20, syncMs.slow) : syncMs.usual * this.#random.between(0.5, 2), "disk sync");
        const found = file();
        if (this.#faults.hits("disk error")) {
          // The kernel has dropped the pages or kept them; it says nothing about it again (Rebello et al., ATC 2020).
          if (this.#random.chance(0.5)) found.bytes = found.bytes.slice(0, found.synced);
          found.synced = found.bytes.length;
          throw new Error("EIO: input/output error, fdatasync");
        }
        found.synced = found.bytes.length;
      },
      truncate: async (size) => {
        await delay(appendMs, "disk truncate");
        const { bytes, synced } = file();
        this.#files.set(path, { bytes: bytes.slice(0, size), synced: Math.min(synced, size) });
      },
      close: async () => {
        await delay(appendMs, "disk close");
        closed = true;
      },
    };
  }
}

function joined(one: Uint8Array, other: Uint8Array): Uint8Array {
  const whole = new Uint8Array(one.length + other.length);
  whole.set(one);
  whole.set(other, one.length);
  return whole;
}
