/** The pause between two batches of a reader that gathers what comes: for what nobody waits for. */
import type { Clock } from "../host/host.ts";
import type { Nap } from "./nap.ts";

export class Gathering {
  readonly #clock: Clock;
  readonly #nap: Nap;
  readonly #everyMs: number;
  #steppedAt = -Infinity;
  #isFar = false;

  constructor({ clock, nap, everyMs = 0 }: { readonly clock: Clock; readonly nap: Nap; readonly everyMs: number | undefined }) {
    this.#clock = clock;
    this.#nap = nap;
    this.#everyMs = everyMs;
  }

  get isOn(): boolean {
    return this.#everyMs > 0;
  }

  /** A page was read; a full one says that there is more, which is not to be gathered first. */
  read(isFull: boolean): void {
    this.#isFar = isFull;
  }

  /** Rests until the next batch is due, as long as nobody minds. */
  async rest(mayRest: () => boolean): Promise<void> {
    const leftMs = this.#steppedAt + this.#everyMs - this.#clock.elapsed();
    if (this.isOn && leftMs > 0 && !this.#isFar && mayRest()) await this.#nap.take(leftMs, mayRest);
    this.#steppedAt = this.#clock.elapsed();
  }
}
