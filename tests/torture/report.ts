/** The figures of a run, and how they are told. */
import type { Violation } from "convergent/simulator";
import type { Judgement } from "./judge.ts";
import { type Chapter, type Counts, type Fault, faults, type Skipped } from "./plan.ts";

/** What a chapter did, beside what was found. */
export interface Ran {
  readonly roundsDone: number;
  readonly acknowledged: number;
  readonly marks: ReadonlyMap<string, number>;
}

/** Violations of a chapter that are told one by one; its history has all. */
const shownMax = 10;

export class Report {
  readonly rounds: Record<Fault, number> = Object.fromEntries(faults.map((fault) => [fault, 0])) as Record<Fault, number>;
  readonly skipped: readonly Skipped[];
  readonly #planned: Counts;
  readonly #seed: number;
  readonly #marks = new Map<string, number>();
  readonly #failures: string[] = [];
  readonly #unknown = { took: 0, tookNot: 0 };
  /** While at least one server served on a disk that worked and had space. */
  upMs = 0;
  acknowledged = 0;
  violations = 0;
  #events = 0;
  #chapters = 0;
  #passed = 0;

  constructor(planned: Counts, seed: number, skipped: readonly Skipped[]) {
    this.#planned = planned;
    this.#seed = seed;
    this.skipped = skipped;
  }

  /** Rounds by how they ended: those of a chapter with a violation have all failed, because nobody can tell them apart. */
  counts(isAllRequired: boolean): { readonly passed: number; readonly failed: number; readonly skipped: number } {
    const planned = faults.reduce((sum, fault) => sum + this.#planned[fault], 0);
    const skipped = this.skipped.reduce((sum, { rounds }) => sum + rounds, 0);
    const notPassed = planned - skipped - this.#passed;
    return { passed: this.#passed, failed: notPassed + (isAllRequired ? skipped : 0), skipped: isAllRequired ? 0 : skipped };
  }

  add(chapter: Chapter, run: Ran, { violations, unknown, events }: Judgement): void {
    this.#chapters++;
    this.acknowledged += run.acknowledged;
    this.#events += events;
    this.#unknown.took += unknown.took;
    this.#unknown.tookNot += unknown.tookNot;
    this.violations += violations.length;
    if (violations.length === 0) this.#passed += run.roundsDone;
    for (const [mark, count] of run.marks) this.#marks.set(mark, (this.#marks.get(mark) ?? 0) + count);
    for (const { checker, message } of violations.slice(0, shownMax))
      this.#failures.push(`chapter ${chapter.number} (${chapter.place}), ${checker}: ${message}`);
    if (violations.length > shownMax)
      this.#failures.push(`chapter ${chapter.number}: ${violations.length - shownMax} more, ${byChecker(violations)}`);
  }

  /** What is left of the seed and of the history, of a chapter that failed. */
  kept(chapter: Chapter, file: string): void {
    this.#failures.push(`chapter ${chapter.number}: its history is in ${file}; reproduce the plan with --seed ${this.#seed}`);
  }

  /** `running` are the chapters that are not added yet. */
  progress(seconds: number, running: ReadonlyArray<{ readonly acknowledged: number }>): string {
    const acknowledged = running.reduce((sum, each) => sum + each.acknowledged, this.acknowledged);
    const planned = faults.filter((fault) => this.#planned[fault] > 0);
    const done = planned.map((fault) => `${this.rounds[fault]} of ${this.#planned[fault]} ${manyOf(fault)}`).join(", ");
    return `${seconds.toFixed(0)} s: ${done}; ${number(acknowledged)} acknowledged, ${rate(acknowledged, this.upMs)} a second; ${this.violations} violations`;
  }

  lines(seconds: number): string[] {
    const { took, tookNot } = this.#unknown;
    return [
      "",
      ...faults
        .filter((fault) => this.#planned[fault] > 0)
        .map((fault) => `  ${manyOf(fault).padEnd(32)} ${number(this.rounds[fault]).padStart(10)}`),
      ...[...this.#marks].sort(([a], [b]) => (a < b ? -1 : 1)).map(([mark, count]) => `  ${mark.padEnd(32)} ${number(count).padStart(10)}`),
      "",
      `${this.#chapters} stores, ${number(this.#events)} events in ${seconds.toFixed(0)} s; servers were up for ${(this.upMs / 1000).toFixed(0)} s`,
      `${number(this.acknowledged)} acknowledged appends, ${rate(this.acknowledged, this.upMs)} a second while servers were up`,
      `${number(took + tookNot)} outcomes stayed unknown: ${number(took)} had taken effect, ${number(tookNot)} had not`,
      `${this.violations} violations`,
      ...(this.violations === 0 ? faults.flatMap((fault) => boundOf(fault, this.rounds[fault])) : []),
      ...this.skipped.map(({ fault, rounds, why }) => `SKIPPED: ${rounds} ${manyOf(fault)}: ${why}`),
      ...this.#failures.map((failure) => `FAILED: ${failure}`),
    ];
  }

  /** The same as numbers. */
  figures(seconds: number, isAllRequired: boolean): object {
    return {
      ...this.counts(isAllRequired),
      seed: this.#seed,
      seconds,
      rounds: this.rounds,
      skippedFaults: this.skipped,
      chapters: this.#chapters,
      events: this.#events,
      acknowledged: this.acknowledged,
      upSeconds: this.upMs / 1000,
      acknowledgedPerSecond: this.upMs === 0 ? 0 : this.acknowledged / (this.upMs / 1000),
      unknown: this.#unknown,
      violations: this.violations,
      marks: Object.fromEntries(this.#marks),
      failures: this.#failures,
    };
  }
}

/** The rule of three (Hanley and Lippman-Hand, JAMA 1983): nothing in N tries leaves rates below 3/N possible. Nothing is said of a few. */
export function boundOf(fault: Fault, count: number): string[] {
  if (count < 10) return [];
  return [
    `  after ${number(count)} ${manyOf(fault)}, the share of them that break a promise is below ${(300 / count).toPrecision(2)} % at 95% confidence`,
  ];
}

/** A kind of fault in the plural. */
export function manyOf(fault: Fault): string {
  return fault.includes(" of ") ? fault.replace(" of ", "s of ") : `${fault}s`;
}

function byChecker(violations: readonly Violation[]): string {
  const counts = new Map<string, number>();
  for (const { checker } of violations) counts.set(checker, (counts.get(checker) ?? 0) + 1);
  return [...counts].map(([checker, count]) => `${checker} ${count}`).join(", ");
}

export function number(value: number): string {
  return value.toLocaleString("en");
}

function rate(count: number, ms: number): string {
  return ms === 0 ? "0" : number(Math.round(count / (ms / 1000)));
}
