/** One way of a simulated connection: what is sent arrives once and in order, later than it was sent; or, from some moment on, nothing arrives. */
import type { SimulatedProcess } from "./process.ts";
import type { SeededRandom } from "./random.ts";

/** What goes over a connection. */
export type Frame =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "ping" | "pong" | "opened" | "broken" }
  | { readonly kind: "close"; readonly code: number };

export interface PipeOptions {
  /** Who is at its end; what arrives while it stands still, arrives when it goes on. */
  readonly to: SimulatedProcess;
  readonly now: () => number;
  readonly random: SeededRandom;
  /** How long a frame is on its way. */
  readonly travelMs: () => number;
  /** Whether nothing gets through at the moment. */
  readonly isCut: () => boolean;
  /** Nothing got through for too long. */
  readonly gaveUp: () => void;
}

/** What does not get through is sent again after so long, and given up after so many times. */
const again = { least: 150, most: 400, times: 12 };

export class Pipe {
  readonly #options: PipeOptions;
  readonly #queue: Array<{ readonly frame: Frame; readonly at: number }> = [];
  onArrival: (frame: Frame) => void = () => undefined;
  /** All that was sent has arrived. */
  onEmpty: () => void = () => undefined;
  #isBroken = false;
  #lastAt = 0;
  #tries = 0;

  constructor(options: PipeOptions) {
    this.#options = options;
  }

  /** Frames on their way. */
  get length(): number {
    return this.#queue.length;
  }

  send(frame: Frame): void {
    const { now, travelMs } = this.#options;
    const at = now() + travelMs();
    if (this.#isBroken) return;
    this.#lastAt = Math.max(this.#lastAt, at);
    this.#queue.push({ frame, at: this.#lastAt });
    if (this.#queue.length === 1) this.#next(this.#lastAt - now());
  }

  /** Nothing arrives any more. */
  break(): void {
    this.#isBroken = true;
    this.#queue.length = 0;
  }

  #next(ms: number): void {
    this.#options.to.after(ms, "frame arrives", () => this.#arrive());
  }

  #arrive(): void {
    const { isCut, random, gaveUp, now } = this.#options;
    if (this.#isBroken) return;
    if (isCut()) {
      if (++this.#tries > again.times) return gaveUp();
      return this.#next(random.between(again.least, again.most));
    }
    this.#tries = 0;
    const first = this.#queue.shift();
    const [next] = this.#queue;
    if (next) this.#next(next.at - now());
    if (first) this.onArrival(first.frame);
    if (this.#queue.length === 0 && !this.#isBroken) this.onEmpty();
  }
}
