/**
 * Wake-ups between processes: each commit is followed by a NOTIFY, and one connection listens. Notifications are hints that
 * may be lost: the head is also asked for now and then, and the connection is made again when it breaks.
 *
 * The NOTIFY is a transaction of its own behind the commit: within it, it would take a lock of the whole server for as long as
 * the commit takes (PreCommit_Notify), and everybody's commits would wait for each other's disk.
 */
import { randomUUID } from "node:crypto";
import pg from "pg";
import { type Backoff, backoffMs } from "../../host/backoff.ts";
import type { Host, Timer } from "../../host/host.ts";
import { digestOf } from "../../log/digest.ts";
import { clientOptions } from "./connection.ts";
import { quoted } from "./transactions.ts";

/** How often the head is asked for. */
const pollMs = 500;

/** From one attempt to listen to the next. */
const listening: Backoff = { firstMs: 50, maxMs: 5_000, factor: 2 };

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
  /** Sent behind a commit. */
  readonly notify: string;
  readonly #options: WakeUpOptions;
  readonly #channel: string;
  readonly #self: string;
  #client: pg.Client | undefined;
  #attempts = 0;
  readonly #timers = new Set<Timer>();
  #closed = false;

  constructor(options: WakeUpOptions) {
    this.#options = options;
    this.#channel = `convergent_${digestOf(options.schema).slice(0, 16)}`;
    this.#self = randomUUID();
    this.notify = `BEGIN; SET LOCAL synchronous_commit = off; NOTIFY ${quoted(this.#channel)}, '${this.#self}'; COMMIT`;
    this.#poll();
    if (options.url !== undefined) void this.#listen(options.url);
  }

  async close(): Promise<void> {
    this.#closed = true;
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
      void client.end().catch(() => undefined);
      if (!this.#closed) this.#after(backoffMs(listening, ++this.#attempts, this.#options.host.random), () => void this.#listen(url));
    };
    client.on("error", lost);
    client.on("end", lost);
    client.on("notification", ({ payload }) => {
      if (payload !== this.#self) this.#options.heard();
    });
    try {
      await client.connect();
      if (this.#closed) return void (await client.end());
      (client as unknown as { unref(): void }).unref(); // it keeps no process alive
      await client.query(`LISTEN ${quoted(this.#channel)}`);
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

  #after(ms: number, run: () => void): void {
    const timer = this.#options.host.timers.after(ms, () => {
      this.#timers.delete(timer);
      run();
    });
    this.#timers.add(timer);
  }
}
