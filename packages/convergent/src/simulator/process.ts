/**
 * A process of the simulated world: whatever it does later passes through here, so that it can die between any two
 * steps, or stand still and go on as if nothing had been. A process that died is begun again as another one: nothing
 * that its former life still does reaches the world.
 */
import type { CancelSignal, Clock, Host, Network, Timer, Timers } from "../host/host.ts";
import type { CrashPoint } from "../host/crash-points.ts";
import type { SimulatedDisk } from "./disk.ts";
import type { SeededRandom } from "./random.ts";
import type { Scheduler, Step } from "./scheduler.ts";

/** Thrown in a process that died at a named point, to end what it was doing; nobody else sees it. */
export class ProcessDied extends Error {}

export interface Life {
  readonly name: string;
  readonly scheduler: Scheduler;
  readonly random: SeededRandom;
  readonly disk: SimulatedDisk;
  readonly network?: Network;
  /** Where it runs: processes of one place see at once when one of them has ended. */
  readonly place: string;
  /** Whether a process of its place has ended. */
  readonly isGone: (process: string) => boolean;
  /** Told of each named point in the code; what it throws ends what the process was doing there. */
  readonly reached?: (point: CrashPoint) => void;
}

/** The shortest timer. */
const leastMs = 1;

/** The time of day when a run begins: 2026-01-01. */
const beginning = 1_767_225_600_000;

export class SimulatedProcess {
  readonly name: string;
  readonly host: Host;
  /** Milliseconds by which its time of day is wrong. */
  offsetMs = 0;
  /** Rejects when the process dies. */
  readonly died: Promise<never>;
  readonly #life: Life;
  #die: (reason: Error) => void = () => undefined;
  #drift = 0;
  /** Its clock, and the world's, when the drift was set. */
  #since = { elapsed: 0, now: 0 };
  #dead = false;
  #paused = false;
  readonly #held: Array<() => void> = [];
  readonly #endings = new Set<() => void>();

  constructor(life: Life) {
    this.#life = life;
    this.name = life.name;
    this.died = new Promise<never>((_, reject) => {
      this.#die = reject;
    });
    this.died.catch(() => undefined);
    this.host = this.#makeHost();
  }

  get isDead(): boolean {
    return this.#dead;
  }

  get isPaused(): boolean {
    return this.#paused;
  }

  /** Kill -9. */
  kill(): void {
    if (this.#dead) return;
    this.#dead = true;
    this.#held.length = 0;
    this.#die(new ProcessDied(`${this.name} died`));
    for (const ending of this.#endings) ending();
    this.#endings.clear();
  }

  /** How much faster its clocks run from now on. */
  set drift(drift: number) {
    this.#since = { elapsed: this.#elapsed, now: this.#life.scheduler.now };
    this.#drift = drift;
  }

  /** Calls `ended` when the process dies. Returns how to leave that. */
  onDeath(ended: () => void): () => void {
    this.#endings.add(ended);
    return () => this.#endings.delete(ended);
  }

  /** SIGSTOP. */
  pause(): void {
    this.#paused = true;
  }

  /** SIGCONT: what was due meanwhile happens now, in order. */
  resume(): void {
    this.#paused = false;
    for (const run of this.#held.splice(0)) this.after(0, "resumed", run);
  }

  /** Runs `run` in this process after `ms` milliseconds of the world's time, if it lives then. */
  after(ms: number, label: string, run: () => void): Step {
    let cancelled = false;
    const due = (): void => {
      if (this.#dead || cancelled) return;
      if (this.#paused) this.#held.push(due);
      else run();
    };
    const step = this.#life.scheduler.after(ms, `${this.name} ${label}`, due);
    return {
      cancel: () => {
        cancelled = true;
        step.cancel();
      },
    };
  }

  /** Resolves in this process after so long; never, when it dies before. */
  delay(ms: number, label: string): Promise<void> {
    return new Promise((resolve) => {
      this.after(ms, label, resolve);
    });
  }

  /** Settles in this process, a moment after `work` does; never, when it dies before. */
  hears<T>(work: Promise<T>, ms: () => number, label: string): Promise<T> {
    return new Promise((resolve) => {
      const told = (): unknown => this.after(ms(), label, () => resolve(work));
      work.then(told, told);
    });
  }

  #makeHost(): Host {
    const { random, disk, network, place, isGone, reached, name } = this.#life;
    return {
      clock: this.#makeClock(),
      random,
      timers: this.#makeTimers(),
      disk: disk.seenBy((ms, label) => this.delay(ms, label)),
      network: network ?? { request: () => Promise.reject(new Error("this process has no network")) },
      processes: { self: { place, process: name }, isGone: (elsewhere, process) => elsewhere === place && isGone(process) },
      reached: (point) => {
        if (!this.#dead) reached?.(point);
        if (this.#dead) throw new ProcessDied(`${name} died at ${point}`);
      },
    };
  }

  get #elapsed(): number {
    return this.#since.elapsed + (this.#life.scheduler.now - this.#since.now) * (1 + this.#drift);
  }

  #makeClock(): Clock {
    return { now: () => Math.floor(beginning + this.offsetMs + this.#elapsed), elapsed: () => this.#elapsed };
  }

  #makeTimers(): Timers {
    // As Node's, which wait for a millisecond at least: one for the last of a deadline's fractions would not move the clock, and be set anew for ever.
    const after = (ms: number, run: () => void): Timer => this.after(Math.max(leastMs, ms) / (1 + this.#drift), "timer", run);
    return {
      after,
      sleep: (ms, signal) => sleep(after, ms, signal),
      turn: () => this.delay(this.#life.random.between(0, 0.02), "turn"),
    };
  }
}

function sleep(after: Timers["after"], ms: number, signal?: CancelSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const reason = (): Error => (signal?.reason instanceof Error ? signal.reason : new Error("cancelled"));
    if (signal?.aborted) return reject(reason());
    const cancelled = (): void => {
      timer.cancel();
      reject(reason());
    };
    const timer = after(ms, () => {
      signal?.removeEventListener("abort", cancelled);
      resolve();
    });
    signal?.addEventListener("abort", cancelled);
  });
}
