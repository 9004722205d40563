/**
 * Commits of derived rows, gathered: what several readers of a process have ready at one moment is one transaction, as
 * group commit makes it for appends. A thousand readers with one event a second each then cost some hundred
 * transactions a second, and not a thousand that all pass the gate which appends pass too.
 *
 * A body that throws takes nobody with it: the transaction is rolled back, and each body runs again in one of its own. A
 * commit whose outcome is not known is everybody's failure.
 */
import { isConvergentError } from "../errors/error.ts";
import type { Log } from "../log/log.ts";
import type { WriteTransaction } from "../log/store.ts";

/** Events applied in one transaction; a single body may bring more. As many as one reader's batch. */
const eventsMax = 128;

/** A transaction that has taken so long begins no further body: an append that came meanwhile goes first. */
const heldMs = 2;

interface Waiting {
  readonly events: number;
  readonly body: (tx: WriteTransaction) => Promise<unknown>;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

export class Gathered {
  readonly #log: Log;
  readonly #waiting: Waiting[] = [];
  #running = false;

  constructor(log: Log) {
    this.#log = log;
  }

  /** Runs `body`, which may be called again after a rollback, in a transaction of derived rows. Rejects with what it throws. */
  commit<T>(events: number, body: (tx: WriteTransaction) => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#waiting.push({ events, body, resolve: resolve as (value: unknown) => void, reject });
      if (!this.#running) void this.#run();
    });
  }

  async #run(): Promise<void> {
    this.#running = true;
    while (this.#waiting.length > 0) {
      // Whatever one append wakes joins in this turn; without it each reader's transaction was over before the next one's
      // batch was ready (1,010 a second where one reader of all had 880). And appends go in between.
      await this.#log.host.timers.turn();
      await this.#together(this.#next());
    }
    this.#running = false;
  }

  #next(): Waiting[] {
    let events = 0;
    let count = 0;
    for (const waiting of this.#waiting) {
      events += waiting.events;
      if (count > 0 && events > eventsMax) break;
      count++;
    }
    return this.#waiting.splice(0, count);
  }

  async #together(some: readonly Waiting[]): Promise<void> {
    if (some.length === 1) return this.#alone(some[0] as Waiting);
    let results: unknown[];
    try {
      results = await this.#log.transact((tx) => this.#inTurn(tx, some), { derived: true });
    } catch (error) {
      // What may have been committed is not run again: each has to look at what is stored first.
      if (isConvergentError(error, "outcome_unknown")) for (const { reject } of some) reject(error);
      else for (const each of some) await this.#alone(each);
      return;
    }
    this.#waiting.unshift(...some.slice(results.length));
    results.forEach((result, index) => some[index]?.resolve(result));
  }

  /** What the bodies answer, as far as there was time for them. */
  async #inTurn(tx: WriteTransaction, some: readonly Waiting[]): Promise<unknown[]> {
    const { clock } = this.#log.host;
    const startedAt = clock.elapsed();
    const results: unknown[] = [];
    for (const { body } of some) {
      if (results.length > 0 && clock.elapsed() - startedAt >= heldMs) break;
      results.push(await body(tx));
    }
    return results;
  }

  async #alone({ body, resolve, reject }: Waiting): Promise<void> {
    try {
      resolve(await this.#log.transact(body, { derived: true }));
    } catch (error) {
      reject(error);
    }
  }
}

const gathered = new WeakMap<Log, Gathered>();

/** The one of a log: all its readers share it. */
export function gatheredOf(log: Log): Gathered {
  let known = gathered.get(log);
  if (!known) gathered.set(log, (known = new Gathered(log)));
  return known;
}
