/**
 * Virtual time. Everything that happens later is a step in one queue, by time; between two steps all promises that can
 * settle do. So one seed is one order of steps, and the hash over the steps says whether two runs were the same.
 */
import { setImmediate } from "node:timers";

/** Something that is to happen. */
export interface Step {
  cancel(): void;
}

interface Queued extends Step {
  readonly at: number;
  /** Among steps of one moment the one that was asked for first. */
  readonly order: number;
  readonly label: string;
  run: (() => void) | undefined;
}

/** Steps asked of Node's loop at a time: each has its own turn for promises, and the loop itself costs 2 µs. */
const stepsPerLoop = 64;

export class Scheduler {
  /** Virtual milliseconds since the run began. */
  now = 0;
  /** Steps that were made. */
  steps = 0;
  readonly #queue: Queued[] = [];
  #order = 0;
  #hash = 0x811c9dc5;
  #failure: Error | undefined;

  /** A digest of all steps so far: what happened, in which order, at what time. */
  get hash(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, "0");
  }

  /** Adds to the digest. */
  note(text: string): void {
    let hash = this.#hash;
    for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
    this.#hash = hash;
  }

  /** Runs `run` after `ms` virtual milliseconds. */
  after(ms: number, label: string, run: () => void): Step {
    const step: Queued = {
      at: this.now + Math.max(0, ms),
      order: this.#order++,
      label,
      run,
      cancel: () => {
        step.run = undefined;
      },
    };
    this.#push(step);
    return step;
  }

  /** Makes steps until `done` says so before one, or none is left; false in that case. Throws what a step threw. */
  run(done: () => boolean): Promise<boolean> {
    return new Promise((resolve, reject) => {
      let ended = false;
      const end = (finish: () => void): void => {
        ended = true;
        finish();
      };
      const turn = (): void => {
        if (ended) return;
        const failure = this.#failure;
        if (failure) return end(() => reject(failure));
        if (done()) return end(() => resolve(true));
        if (!this.#step()) end(() => resolve(false));
      };
      const loop = (): void => {
        for (let step = 0; step < stepsPerLoop; step++) setImmediate(turn);
        setImmediate(() => {
          if (!ended) loop();
        });
      };
      loop();
    });
  }

  #step(): boolean {
    let step: Queued | undefined;
    do step = this.#pop();
    while (step && !step.run);
    if (!step?.run) return false;
    this.now = step.at;
    this.steps++;
    this.note(step.label);
    this.#hash = Math.imul(this.#hash ^ Math.floor(step.at * 1000), 0x01000193);
    try {
      step.run();
    } catch (error) {
      this.#failure ??= error instanceof Error ? error : new Error(String(error));
    }
    return true;
  }

  // A binary heap: a run holds some hundred steps at a time, most of them timers that are cancelled.
  #push(step: Queued): void {
    const queue = this.#queue;
    let at = queue.push(step) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isEarlier(step, queue[parent] as Queued)) break;
      queue[at] = queue[parent] as Queued;
      at = parent;
    }
    queue[at] = step;
  }

  #pop(): Queued | undefined {
    const queue = this.#queue;
    const first = queue[0];
    const last = queue.pop();
    if (!first || !last || queue.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= queue.length) break;
      if (child + 1 < queue.length && isEarlier(queue[child + 1] as Queued, queue[child] as Queued)) child++;
      if (!isEarlier(queue[child] as Queued, last)) break;
      queue[at] = queue[child] as Queued;
      at = child;
    }
    queue[at] = last;
    return first;
  }
}

function isEarlier(one: Queued, other: Queued): boolean {
  return one.at < other.at || (one.at === other.at && one.order < other.order);
}
