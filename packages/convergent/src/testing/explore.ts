/**
 * Many seeds of a service, one after the other, up to the first that breaks what must hold. That one is made smaller, so
 * that the error can tell what happened in lines that a person reads.
 */
import type { Served } from "../client/facade.ts";
import type { AnyService } from "../service/service.ts";
import type { FaultKind } from "../simulator/faults.ts";
import type { Violation } from "../simulator/history.ts";
import { shrink, type Shrunk } from "../simulator/shrink.ts";
import { simulate, type Simulated, type SimulateOptions, type SimulationReport } from "../simulator/simulate.ts";
import { traceOf } from "../simulator/trace.ts";

/** What is run, how often, and what must have happened. */
export interface ExploreOptions<S extends AnyService & Served, Outside = undefined> extends Omit<SimulateOptions<S, Outside>, "seed"> {
  /** How many seeds are run. Default 20. */
  readonly seeds?: number;
  /** The first of them; the others follow it. Default 1. */
  readonly first?: number;
  /** Marks that some run must have hit: a workload that never gets there proves less than it seems to. */
  readonly sometimes?: readonly string[];
}

/** What was run, when nothing was broken. */
export interface Explored {
  readonly seeds: number;
  readonly steps: number;
  readonly virtualMs: number;
  /** How often each kind of fault happened. */
  readonly faults: Readonly<Partial<Record<FaultKind, number>>>;
  /** What happened, and how often. */
  readonly marks: Readonly<Record<string, number>>;
}

const seedsDefault = 20;

/** Violations that are told in full. */
const toldMax = 5;

/** Lines of a trace that are shown, most of them from its end. */
const traceLines = { first: 40, last: 160 };

/**
 * Runs a service in simulated worlds, one for each seed, and says what was run. Throws an `Error` at the first seed that breaks a
 * promise of the toolkit or an invariant of yours: its message has the seed, how to run it again, and a smaller run that fails in
 * the same way, step by step. Give the test some time: a run takes some tenths of a second, and making one smaller up to 120 runs.
 */
export async function explore<S extends AnyService & Served, Outside = undefined>(
  services: Simulated<S, Outside>,
  options: ExploreOptions<S, Outside>,
): Promise<Explored> {
  const { seeds = seedsDefault, first = 1, sometimes = [], ...simulated } = options;
  requireCount("seeds", seeds, 1);
  requireCount("first", first, 0);
  const name = nameOf(services);
  const totals = { steps: 0, virtualMs: 0 };
  const faults = new Map<string, number>();
  const marks = new Map<string, number>();
  for (let seed = first; seed < first + seeds; seed++) {
    const report = await simulate(services, { ...simulated, seed });
    if (report.violations.length > 0)
      throw new Error(await failureText(`seed ${seed} of ${name}`, report, () => shrink(services, { ...simulated, seed }, report)));
    totals.steps += report.steps;
    totals.virtualMs += report.virtualMs;
    add(faults, report.faults);
    add(marks, report.marks);
  }
  const never = sometimes.filter((mark) => !marks.has(mark)).map((mark) => JSON.stringify(mark));
  if (never.length > 0)
    throw new Error(
      `${seeds} seeds of ${name} hold, and ${never.join(", ")} never happened in any of them; marks that did: ${[...marks.keys()].sort().join(", ")}`,
    );
  return { seeds, ...totals, faults: Object.fromEntries(faults), marks: Object.fromEntries(marks) };
}

async function failureText(title: string, report: SimulationReport, shrunk: () => Promise<Shrunk>): Promise<string> {
  const smaller = await shrunk();
  const { steps, servers, clients, faults, tries } = smaller;
  const kinds = Object.keys(faults).join(", ") || "none";
  return [
    `${title} breaks what must hold:`,
    "",
    ...violationLines(report.violations),
    "",
    `To run it again: explore(…, { …, first: ${report.seed}, seeds: 1 })`,
    "",
    `It was made smaller in ${tries} runs: ${steps} steps, ${counted(servers, "server")}, ${counted(clients, "client")}, faults: ${kinds}. There:`,
    "",
    ...violationLines(smaller.report.violations),
    "",
    ...shortened(traceOf(smaller.report.history)),
  ].join("\n");
}

function violationLines(violations: readonly Violation[]): string[] {
  const told = violations.slice(0, toldMax).flatMap(({ checker, message }) => withoutFrames(`  ${checker}: ${message}`));
  return violations.length > toldMax ? [...told, `  … and ${violations.length - toldMax} more`] : told;
}

/** An error's text with the place where it was thrown, and not who called it. */
function withoutFrames(text: string): string[] {
  let frames = 0;
  return text.split("\n").filter((line) => !/^\s+at /.test(line) || frames++ === 0);
}

function shortened(lines: readonly string[]): readonly string[] {
  const { first, last } = traceLines;
  const left = lines.length - first - last;
  return left <= 0 ? lines : [...lines.slice(0, first), `${" ".repeat(10)} …  (${left} lines)`, ...lines.slice(-last)];
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}

function add(totals: Map<string, number>, counts: Readonly<Record<string, number>>): void {
  for (const [name, count] of Object.entries(counts)) totals.set(name, (totals.get(name) ?? 0) + count);
}

function nameOf<S extends AnyService, Outside>(services: Simulated<S, Outside>): string {
  if (typeof services === "function") return "these services";
  const names = (Array.isArray(services) ? (services as readonly S[]) : [services as S]).map(({ name }) => JSON.stringify(name));
  return names.join(", ");
}

function requireCount(name: string, value: number, least: number): void {
  if (!Number.isSafeInteger(value) || value < least) throw new Error(`${name} is a whole number from ${least} on, not ${value}`);
}
