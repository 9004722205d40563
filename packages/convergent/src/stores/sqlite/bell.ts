/**
 * The bell: a file beside the database, touched after each commit and watched by the other processes that have the
 * store open. A hint that may be lost, so they also ask for the data's version now and then; a wake-up that finds
 * nothing new goes no further.
 *
 * Measured with two processes: woken 1.3 ms after the commit. Watching the WAL itself wakes before the commit can be
 * seen.
 */
import { closeSync, type FSWatcher, openSync, watch, writeSync } from "node:fs";
import type { Host, Timer } from "../../host/host.ts";

/** How often the data's version is asked for when the bell is silent. */
const pollMs = 500;

/** A busy process rings this often: each ring costs it 15 µs, its own watcher's included, a tenth of a small commit. */
const ringEveryMs = 1;

export class Bell {
  readonly #host: Host;
  readonly #heard: () => void;
  #file: number | undefined;
  #watcher: FSWatcher | undefined;
  #timer: Timer | undefined;
  #later: Timer | undefined;
  #rungAt = -Infinity;

  /** `heard` is called when somebody may have committed, this process included. */
  constructor(host: Host, path: string, heard: () => void) {
    this.#host = host;
    this.#heard = heard;
    try {
      this.#file = openSync(path, "w");
      this.#watcher = watch(path, { persistent: false }, () => heard());
      this.#watcher.on("error", () => this.#watcher?.close());
    } catch {
      // Without the file, or where the system has no watches left, polling alone does it, a little later.
    }
    this.#poll();
  }

  /** Wakes the other processes: at once, or at the end of the interval when it was rung a moment ago. */
  ring(): void {
    const since = this.#host.clock.elapsed() - this.#rungAt;
    if (since >= ringEveryMs) this.#strike();
    else this.#later ??= this.#host.timers.after(ringEveryMs - since, () => this.#strike());
  }

  #strike(): void {
    this.#later = undefined;
    if (this.#file === undefined) return;
    this.#rungAt = this.#host.clock.elapsed();
    try {
      writeSync(this.#file, ".", 0);
    } catch {
      // A full disk, for instance: the others poll.
    }
  }

  close(): void {
    this.#timer?.cancel();
    if (this.#later) this.#strike(); // the last commit's
    this.#watcher?.close();
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }

  #poll(): void {
    this.#timer = this.#host.timers.after(pollMs, () => {
      this.#poll();
      this.#heard();
    });
  }
}
