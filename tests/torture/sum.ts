/** The figures of several runs added up: a long torture may be run in parts, each with a seed of its own. */
import { type Fault, faults } from "./plan.ts";
import { boundOf, manyOf, number } from "./report.ts";

/** What of a run's figures adds up. */
export interface Part {
  readonly store: string;
  readonly seed: number;
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  readonly seconds: number;
  readonly rounds: Readonly<Record<Fault, number>>;
  readonly chapters: number;
  readonly events: number;
  readonly acknowledged: number;
  readonly violations: number;
}

const counted = ["passed", "failed", "skipped", "seconds", "chapters", "events", "acknowledged", "violations"] as const;

/** A line for each part, the sum for each store, and the count of all rounds. Throws when a seed comes twice: the same plan is not another one. */
export function sumLines(parts: readonly Part[]): string[] {
  const stores = [...new Set(parts.map(({ store }) => store))];
  const lines = stores.flatMap((store) => linesOf(parts.filter((part) => part.store === store)));
  const { passed, failed, skipped } = sumOf(parts);
  return [...lines, `${passed} passed, ${failed} failed, ${skipped} skipped`];
}

function linesOf(parts: readonly Part[]): string[] {
  const seeds = parts.map(({ seed }) => seed);
  const twice = seeds.find((seed, index) => seeds.indexOf(seed) !== index);
  const store = parts[0]?.store ?? "";
  if (twice !== undefined) throw new Error(`two parts on ${store} have the seed ${twice}: run each part with one of its own`);
  const sum = sumOf(parts);
  return [
    ...parts.map((part) => `${store}, seed ${part.seed}: ${told(part)}`),
    `${store}, ${seeds.length === 1 ? "1 seed" : `${seeds.length} seeds`}: ${told(sum)}`,
    ...(sum.violations === 0 ? faults.flatMap((fault) => boundOf(fault, sum.rounds[fault])) : []),
    "",
  ];
}

type Sum = Pick<Part, (typeof counted)[number] | "rounds">;

function sumOf(parts: readonly Part[]): Sum {
  const sum = (valueOf: (part: Part) => number): number => parts.reduce((total, part) => total + valueOf(part), 0);
  return {
    ...(Object.fromEntries(counted.map((name) => [name, sum((part) => part[name])])) as Omit<Sum, "rounds">),
    rounds: Object.fromEntries(faults.map((fault) => [fault, sum(({ rounds }) => rounds[fault])])) as Sum["rounds"],
  };
}

function told({ rounds, chapters, events, acknowledged, seconds, violations }: Sum): string {
  const done = faults.filter((fault) => rounds[fault] > 0).map((fault) => `${number(rounds[fault])} ${manyOf(fault)}`);
  return `${done.join(", ")} on ${number(chapters)} stores in ${number(Math.round(seconds))} s; ${number(events)} events, ${number(acknowledged)} acknowledged; ${violations} violations`;
}
