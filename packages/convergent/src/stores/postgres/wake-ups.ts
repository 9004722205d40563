/**
 * Wake-ups between processes: each commit is followed by a NOTIFY, and one connection listens. Notifications are hints that
 * may be lost: the head is also asked for now and then, and the connection is made again when it breaks.
 *
 * The NOTIFY is a transaction of its own behind the commit, sent by the connection that listens: within the commit, it would take a lock of the whole server for as long as
 * the commit takes (PreCommit_Notify), and everybody's commits would wait for each other's disk.
 */
import pg from "pg";
import { type Backoff, backoffMs } from "../../host/backoff.ts";
import type { Host, Timer } from "../../host/host.ts";
import { digestOf } from "../../log/digest.ts";
import { clientOptions } from "./connection.ts";
import { quoted } from "./transactions.ts";

/** How often the head is asked for. */
const pollMs = 500;

/** A busy process rings this often. */
const ringEveryMs = 5;

/** From one attempt to listen to the next. */
const listening: Backoff = { firstMs: 50, maxMs: 5_000, factor: 2 };

/** The channel on which the processes of a store wake each other. */
export function channelOf(schema: string): string {
  return `convergent_${digestOf(schema).slice(0, 16)}`;
}

export interface WakeUpOptions {
  readonly host: Host;
  /** Undefined when nothing is listened for, as behind a pooler. */
  readonly url: string | undefined;
  readonly schema: string;
  /** Somebody else has committed. */
  readonly heard: () => void;
  /** Looks for what others have committed. */
  readonly poll: () => Promise<void>;
}

export class WakeUps {
  readonly #options: WakeUpOptions;
  readonly #channel: string;
  #client: pg.Client | undefined;
  #attempts = 0;
  #isListening = false;
  #rungAt = -Infinity;
  #later: Timer | undefined;
  readonly #timers = new Set<Timer>();
  #closed = false;

  constructor(options: WakeUpOptions) {
    this.#options = options;
    this.#channel = channelOf(options.schema);
    this.#poll();
    if (options.url !== undefined) void this.#listen(options.url);
  }

  /** Wakes the other processes: at once, or at the end of the interval when it was rung a moment ago. */
  ring(): void {
    const since = this.#options.host.clock.elapsed() - this.#rungAt;
    if (since >= ringEveryMs) this.#strike();
    else this.#later ??= this.#after(ringEveryMs - since, () => this.#strike());
  }

  // Without a connection that listens nobody is told: the others poll.
  #strike(): void {
    this.#later = undefined;
    if (!this.#isListening) return;
    this.#rungAt = this.#options.host.clock.elapsed();
    // Set for the transaction: through a pooler that stands here by mistake, a setting of the session would become somebody else's.
    const text = `BEGIN; SET LOCAL synchronous_commit = off; NOTIFY ${quoted(this.#channel)}; COMMIT`;
    this.#client?.query(text).catch(() => undefined);
  }

  async close(): Promise<void> {
    this.#closed = true;
    if (this.#later) this.#strike(); // the last commit's
    for (const timer of this.#timers) timer.cancel();
    await this.#client?.end().catch(() => undefined);
  }

  async #listen(url: string): Promise<void> {
    const client = new pg.Client(clientOptions(url));
    this.#client = client;
    let isLost = false;
    const lost = (): void => {
      if (isLost) return;
      isLost = true;
      if (this.#client === client) this.#isListening = false;
      void client.end().catch(() => undefined);
      if (!this.#closed) this.#after(backoffMs(listening, ++this.#attempts, this.#options.host.random), () => void this.#listen(url));
    };
    client.on("error", lost);
    client.on("end", lost);
    // Its own notifications come back to it.
    client.on("notification", ({ processId }) => {
      if (processId !== (client as unknown as { readonly processID: number }).processID) this.#options.heard();
    });
    try {
      await client.connect();
      if (this.#closed) return await client.end();
      (client as unknown as { unref(): void }).unref(); // it keeps no process alive
      await client.query(`LISTEN ${quoted(this.#channel)}`);
      this.#isListening = true;
      if (this.#attempts > 0) this.#options.heard(); // of what was committed meanwhile
      this.#attempts = 0;
    } catch {
      lost();
    }
  }

  #poll(): void {
    this.#after(pollMs, () => {
      void this.#options
        .poll()
        .catch(() => undefined)
        .then(() => {
          if (!this.#closed) this.#poll();
        });
    });
  }

  #after(ms: number, run: () => void): Timer {
    const timer = this.#options.host.timers.after(ms, () => {
      this.#timers.delete(timer);
      run();
    });
    this.#timers.add(timer);
    return timer;
  }
}
