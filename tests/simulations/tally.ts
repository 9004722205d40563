// What many seeds found, added up, and whether that is enough.
import type { Result } from "./worker.ts";

export interface TallyOptions {
  /** How many there must be. */
  readonly seeds: number;
  /** How often each mark must be hit. */
  readonly least: number;
  readonly marks: readonly string[];
  readonly kinds: readonly string[];
}

export class Tally {
  done = 0;
  violations = 0;
  readonly #options: TallyOptions;
  readonly #marks = new Map<string, number>();
  readonly #faults = new Map<string, number>();
  readonly #failed: number[] = [];
  readonly #checkers = new Set<string>();
  readonly #unlike: number[] = [];
  #steps = 0;
  #virtualMs = 0;

  constructor(options: TallyOptions) {
    this.#options = options;
  }

  add({ seed, steps, virtualMs, violations, marks, faults, differs }: Result): void {
    this.done++;
    this.#steps += steps;
    this.#virtualMs += virtualMs;
    this.violations += violations.length;
    if (violations.length > 0) this.#failed.push(seed);
    for (const { checker } of violations) this.#checkers.add(checker);
    if (differs) this.#unlike.push(seed);
    for (const [mark, count] of Object.entries(marks)) this.#marks.set(mark, (this.#marks.get(mark) ?? 0) + count);
    for (const [kind, count] of Object.entries(faults)) this.#faults.set(kind, (this.#faults.get(kind) ?? 0) + count);
  }

  /** Seeds that failed, in one way or the other. */
  get failed(): number {
    return new Set([...this.#failed, ...this.#unlike]).size;
  }

  /** Marks that were hit too rarely. */
  get missed(): string[] {
    const { marks, least } = this.#options;
    return marks.filter((mark) => (this.#marks.get(mark) ?? 0) < least);
  }

  /** Why this is not what was asked for, a line each; empty when it is. */
  get failures(): string[] {
    const { seeds, least } = this.#options;
    return [
      ...(this.done < seeds ? [`${seeds - this.done} seeds were not run`] : []),
      ...(this.#failed.length > 0 ? [`${this.violations} violations in the seeds ${this.#failed.join(", ")}`] : []),
      ...(this.#unlike.length > 0 ? [`the seeds ${this.#unlike.join(", ")} made other steps when they were run again`] : []),
      ...this.missed.map((mark) => `"${mark}" happened ${this.#marks.get(mark) ?? 0} times, and not ${least}`),
    ];
  }

  report(seconds: number): string[] {
    const faults = [...this.#faults.values()].reduce((sum, count) => sum + count, 0);
    const rows = (of: ReadonlyMap<string, number>, names: readonly string[]): string[] =>
      names.map((name) => `  ${name.padEnd(32)} ${(of.get(name) ?? 0).toLocaleString("en").padStart(12)}`);
    return [
      "",
      `faults, ${faults.toLocaleString("en")} of ${this.#faults.size} kinds:`,
      ...rows(this.#faults, this.#options.kinds),
      "marks:",
      ...rows(this.#marks, this.#options.marks),
      "",
      `${this.done.toLocaleString("en")} seeds, ${this.#steps.toLocaleString("en")} steps in ${seconds.toFixed(1)} s: ${(this.done / seconds).toFixed(1)} seeds and ${Math.round(this.#steps / seconds).toLocaleString("en")} steps a second; ${(this.#virtualMs / 3_600_000).toFixed(1)} hours of virtual time`,
      `${this.violations} violations${this.violations === 0 ? `: with ${this.done.toLocaleString("en")} seeds, the rate of failing ones is below ${(3 / this.done).toExponential(1)} at 95% confidence` : ""}`,
      ...this.failures.map((failure) => `FAILED: ${failure}`),
    ];
  }

  /** The same as numbers. */
  figures(seconds: number): unknown {
    return {
      seeds: this.done,
      steps: this.#steps,
      seconds,
      violations: this.violations,
      failed: this.#failed,
      checkers: [...this.#checkers],
      unlike: this.#unlike,
      faults: Object.fromEntries(this.#faults),
      marks: Object.fromEntries(this.#marks),
      failures: this.failures,
    };
  }
}
