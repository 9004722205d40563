/**
 * The pause of a loop that has nothing to do: ended by time or by a signal, which is not lost when it comes too early.
 *
 * Its timer outlives the naps that a signal ends, and is set anew when it rings too early for the present one. One timer a
 * nap was, for a reader woken once a second, more than half of what it left for the collector to move about.
 */
import type { Host, Timer } from "../host/host.ts";

export class Nap {
  readonly #host: Pick<Host, "clock" | "timers">;
  #signalled = false;
  #deaf: () => boolean = () => false;
  /** Ends the present nap, if there is one. */
  #end: (() => void) | undefined;
  #endsAt = 0;
  #timer: Timer | undefined;
  #ringsAt = 0;
  #stopped = false;

  constructor(host: Pick<Host, "clock" | "timers">) {
    this.#host = host;
  }

  /** Ends the nap, or the next one before it begins. */
  signal(): void {
    this.#signalled = true;
    if (!this.#deaf()) this.#end?.();
  }

  /** Resolves after `ms`, or once signalled; `deaf`: signals count only when that says so no longer. */
  async take(ms: number, deaf: () => boolean): Promise<void> {
    if (!this.#stopped && (!this.#signalled || deaf())) {
      this.#deaf = deaf;
      this.#endsAt = this.#host.clock.elapsed() + ms;
      if (!this.#timer || this.#ringsAt > this.#endsAt) this.#set(ms);
      await new Promise<void>((resolve) => (this.#end = resolve));
    }
    this.#end = undefined;
    this.#signalled = false;
  }

  /** Ends the nap, deaf or not; none lasts from now on. */
  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#end?.();
  }

  #set(ms: number): void {
    this.#timer?.cancel();
    this.#ringsAt = this.#endsAt;
    this.#timer = this.#host.timers.after(ms, () => this.#ring());
  }

  #ring(): void {
    this.#timer = undefined;
    if (!this.#end) return;
    const left = this.#endsAt - this.#host.clock.elapsed();
    if (left > 0) this.#set(left);
    else this.#end();
  }
}
