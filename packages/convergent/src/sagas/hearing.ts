/** What a process reads of the log because others have written it: events of some types, from now on, each once and in order. */
import type { StoredEvent } from "../log/event.ts";
import type { Route } from "../log/followers.ts";
import type { Log } from "../log/log.ts";
import { origin, type Position } from "../position/position.ts";

/** Events read at a time. */
const pageEvents = 1_000;

/** A store that does not answer is asked again so often. */
const againMs = 1_000;

export class Hearing {
  readonly #log: Log;
  readonly #heard: (event: StoredEvent) => void;
  #types: readonly string[] = [];
  #cursor: Position = origin;
  #route: Route | undefined;
  #reading: Promise<void> | undefined;
  #readAgain = false;
  #stopped = false;

  constructor(log: Log, heard: (event: StoredEvent) => void) {
    this.#log = log;
    this.#heard = heard;
  }

  async start(types: readonly string[]): Promise<void> {
    this.#cursor = (await this.#log.head()).position;
    this.listen(types);
  }

  /** Which events are heard of from now on. */
  listen(types: readonly string[]): void {
    this.#route?.stop();
    this.#types = types;
    if (this.#stopped) return;
    this.#route = this.#log.follow({ types }, () => this.#follow());
    this.#follow();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#route?.stop();
    await this.#reading;
  }

  #follow(): void {
    this.#readAgain = true;
    this.#reading ??= this.#readOn().finally(() => (this.#reading = undefined));
  }

  async #readOn(): Promise<void> {
    while (this.#readAgain && !this.#stopped) {
      this.#readAgain = false;
      try {
        for (;;) {
          const after = this.#route?.quiet(this.#cursor) ?? this.#cursor;
          const page = await this.#log.read({ after, limit: pageEvents, types: this.#types });
          for (const event of page.events) this.#heard(event);
          this.#cursor = page.scanned;
          if (page.scanned === after) break;
        }
      } catch {
        if (!this.#stopped) await this.#log.host.timers.sleep(againMs).then(() => (this.#readAgain = true));
      }
    }
  }
}
