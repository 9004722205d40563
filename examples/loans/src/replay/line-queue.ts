/**
 * Hands out lines so that each application gets its own in order, one at a time, and different applications go side by
 * side. Reads ahead of the file as far as a bound, because neighbours in the file often belong to one application.
 */
import type { EventLine } from "../file/event-file.ts";

const linesAheadMax = 5_000;

export class LineQueue {
  readonly #lines: AsyncIterator<EventLine>;
  /** Applications of which a line is under way, with what they have next. */
  readonly #busy = new Map<string, EventLine[]>();
  /** Lines that can be handed out. */
  readonly #ready: EventLine[] = [];
  #ahead = 0;
  #exhausted = false;
  #closed = false;
  #filling: Promise<void> | undefined;
  #waiting: Array<() => void> = [];

  constructor(lines: AsyncIterable<EventLine>) {
    this.#lines = lines[Symbol.asyncIterator]();
  }

  /** The next line whose application is free; `undefined` when there are no more. Give it back with `done`. */
  async next(): Promise<EventLine | undefined> {
    while (!this.#closed) {
      const line = this.#ready.shift();
      if (line) {
        this.#ahead -= 1;
        return line;
      }
      if (this.#exhausted && this.#ahead === 0) return undefined;
      if (!this.#exhausted && this.#ahead < linesAheadMax) await (this.#filling ??= this.#fill());
      else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    return undefined;
  }

  /** Hands out nothing more. */
  close(): void {
    this.#closed = true;
    this.#wake();
  }

  /** The line is dealt with: the next one of its application may go. */
  done(line: EventLine): void {
    const next = this.#busy.get(line.application)?.shift();
    if (next) this.#ready.push(next);
    else this.#busy.delete(line.application);
    this.#wake();
  }

  // Stops at the first line that can go: whoever waits comes back for more.
  async #fill(): Promise<void> {
    try {
      while (this.#ready.length === 0 && this.#ahead < linesAheadMax && !this.#exhausted) await this.#take();
    } finally {
      this.#filling = undefined;
    }
    this.#wake();
  }

  async #take(): Promise<void> {
    const taken = await this.#lines.next();
    if (taken.done === true) {
      this.#exhausted = true;
      return;
    }
    const line = taken.value;
    this.#ahead += 1;
    const waiting = this.#busy.get(line.application);
    if (waiting) waiting.push(line);
    else {
      this.#busy.set(line.application, []);
      this.#ready.push(line);
    }
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resume of waiting) resume();
  }
}
