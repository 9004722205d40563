/** Somebody who follows the log and writes down only what is wrong: positions passed over, events that come again or late. */
import { Chain, type Seen } from "./judge.ts";

export class Follower {
  readonly #name: string;
  readonly #chain = new Chain();
  #events = 0;
  #skipped = 0;
  #doubled = 0;
  /** The highest position that it was shown. */
  position = 0;
  pages = 0;

  constructor(name: string) {
    this.#name = name;
  }

  /** What one question was answered with. */
  page(events: ReadonlyArray<{ readonly position: number; readonly id: string }>): void {
    this.pages++;
    for (const { position, id } of events) {
      if (position <= this.position) this.#doubled++;
      else {
        this.#skipped += position - this.position - 1;
        this.position = position;
      }
      this.#events++;
      this.#chain.add(id);
    }
  }

  /** After the last page. */
  seen(): Seen {
    return { name: this.#name, events: this.#events, skipped: this.#skipped, doubled: this.#doubled, digest: this.#chain.digest() };
  }
}
