/**
 * What can go wrong, and how often it does in one run. By default a seed chooses a random subset of the kinds with random
 * rates (swarm testing: Groce et al., ISSTA 2012), because runs in which everything fails hide what only some failures
 * together bring out.
 */
import type { SeededRandom } from "./random.ts";

/**
 * Kinds of faults, with the highest rate a seed may choose. Of those of a message, a disk access or a point in the code it is the
 * probability each time; of the others, how many there are in ten seconds of virtual time.
 */
export const faultKinds = {
  "message delayed": 0.1, //         a request or its answer takes up to 3 s
  "message repeated": 0.1, //        a request arrives twice
  "message reordered": 0.3, //       it takes up to 60 ms, so that later ones overtake it
  "message lost": 0.05, //           a request never arrives
  "reply lost": 0.1, //              it took effect, and nobody is told
  "wake-up lost": 0.5, //            a process is not told of the commit of another one
  partition: 2, //                   clients and a process do not hear each other for a while
  "one-way partition": 2, //         only one of them hears the other
  "process crash": 6, //             a process dies between any two steps, and starts again later
  "crash at a point": 0.004, //      it dies at one of the named points
  "process restarted": 4, //         it is ended as it should be, as for a release: what it has is handed over
  "process paused": 4, //            a process stands still, longer than its leases hold, and goes on as if nothing were
  "power cut": 1.5, //               all processes die, and what was not synced is gone or torn
  "slow sync": 0.1, //               the disk takes up to 800 ms
  "disk full": 0.02, //              it takes nothing
  "disk error": 0.002, //            a sync fails, and nobody knows what was kept
  "clock jump": 3, //                a process's time of day is wrong from now on
  "clock drift": 2, //               its clocks run faster or slower
  "clock skew": 1, //                processes begin with different times of day
  "slow reader": 5, //               a reader of one process stands still
  "older copy": 3, //                the store's file is replaced by an older copy of itself
  "handler failure": 0.05, //        a handler of an application fails, if it asks `fails()`
  "connection cut": 0.03, //         a connection breaks with a text on its way
  "slow receiver": 0.5, //           a connection takes one text at a time, and its time for it
} as const;

/** The name of a kind of fault. */
export type FaultKind = keyof typeof faultKinds;

/** Which faults: a random subset by seed (default), none, or these with their rates. */
export type FaultChoice = "swarm" | "none" | Partial<Readonly<Record<FaultKind, number>>>;

const kinds = Object.keys(faultKinds) as FaultKind[];

/** Drawn apart from the others: what a run without connections does has nothing to do with them. */
const ofConnections: ReadonlySet<FaultKind> = new Set(["connection cut", "slow receiver"]);

export class Faults {
  /** How often each kind happened. */
  readonly counts: Map<FaultKind, number> = new Map();
  readonly #random: SeededRandom;
  readonly #rates = new Map<FaultKind, number>();
  readonly #told: (kind: FaultKind) => void;
  #healed = false;

  /** `told` hears of each fault as it happens; `except` are kinds that a random subset leaves out. */
  constructor(
    choice: FaultChoice,
    randomFor: (purpose: string) => SeededRandom,
    told: (kind: FaultKind) => void,
    except: readonly FaultKind[] = [],
  ) {
    this.#random = randomFor("faults");
    const apart = randomFor("faults of connections");
    this.#told = told;
    if (choice === "none") return;
    for (const kind of kinds) {
      // Drawn whether it is used or not: leaving a kind out, to shrink a run, changes nothing else.
      const random = ofConnections.has(kind) ? apart : this.#random;
      const chosen = random.chance(0.5);
      const rate = faultKinds[kind] * random.between(0.05, 1);
      if (choice !== "swarm") this.#rates.set(kind, choice[kind] ?? 0);
      else if (chosen && !except.includes(kind)) this.#rates.set(kind, rate);
    }
  }

  /** The kinds that this run has, with their rates. */
  get rates(): Partial<Record<FaultKind, number>> {
    return Object.fromEntries([...this.#rates].filter(([, rate]) => rate > 0));
  }

  /** Nothing goes wrong from now on. */
  heal(): void {
    this.#healed = true;
  }

  get healed(): boolean {
    return this.#healed;
  }

  rate(kind: FaultKind): number {
    return this.#healed ? 0 : (this.#rates.get(kind) ?? 0);
  }

  /** Whether it happens now; counted. */
  hits(kind: FaultKind, random: SeededRandom = this.#random): boolean {
    const rate = this.rate(kind);
    if (rate === 0 || !random.chance(rate)) return false;
    this.count(kind);
    return true;
  }

  count(kind: FaultKind): void {
    this.#told(kind);
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1);
  }
}
