/**
 * Tells on stderr how far a long command is: on a terminal one line that is written over, with the share, the amount and
 * the time left; elsewhere a line at the beginning and one at the end, so that logs stay short.
 */

/** How often the line changes. */
const everyMs = 200;

export interface ProgressOptions {
  /** What is done, as in "verifying data/orders.db". */
  readonly what: string;
  /** How an amount is written. Default: whole numbers and "events". */
  readonly amount?: (value: number) => string;
}

export class ProgressLine {
  readonly #what: string;
  readonly #amount: (value: number) => string;
  readonly #start = performance.now();
  readonly #isTerminal = process.stderr.isTTY;
  #shownAt = -Infinity;

  constructor(options: ProgressOptions) {
    this.#what = options.what;
    this.#amount = options.amount ?? countOfEvents;
    if (!this.#isTerminal) console.error(`${this.#what} …`);
  }

  /** Tells how far it is. */
  show({ done, of }: { readonly done: number; readonly of: number }): void {
    const now = performance.now();
    if (!this.#isTerminal || now - this.#shownAt < everyMs) return;
    this.#shownAt = now;
    const share = of > 0 ? Math.min(1, done / of) : 1;
    const left = done > 0 ? ((now - this.#start) / done) * (of - done) : 0;
    this.#write(`${this.#what}: ${Math.floor(share * 100)} %, ${this.#amount(done)} of ${this.#amount(of)}, ${time(left)} left`);
  }

  /** Ends it, saying what came of it. */
  end(result: string): void {
    const took = `in ${time(performance.now() - this.#start)}`;
    if (this.#isTerminal) this.#write("");
    console.error(`${this.#what}: ${result} ${took}`);
  }

  /** Takes the line away, for a failure that is told otherwise. */
  clear(): void {
    if (this.#isTerminal) this.#write("");
  }

  /** The same in words; empty when it took less than a second, of which a rate says nothing. */
  rateIn(count: number): string {
    return performance.now() - this.#start < 1000 ? "" : `, ${this.rate(count)} a second,`;
  }

  /** Things done a second, since the beginning. */
  rate(count: number): number {
    return Math.round(count / Math.max(0.001, (performance.now() - this.#start) / 1000));
  }

  #write(text: string): void {
    process.stderr.write(`\r\u001b[2K${text}`);
  }
}

export function countOfEvents(count: number): string {
  return `${count.toLocaleString("en")} event${count === 1 ? "" : "s"}`;
}

export function megabytes(bytes: number): string {
  return `${(bytes / 1_048_576).toFixed(1)} MB`;
}

function time(ms: number): string {
  const seconds = ms / 1000;
  return seconds < 60 ? `${seconds.toFixed(1)} s` : `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}
