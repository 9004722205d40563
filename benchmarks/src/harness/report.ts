// What a bench prints and writes at its end: figures, ratios against floor and aim, and the machine.
import { type Bench, type Claim, NotMeasured } from "../bench.ts";
import type { Machine } from "./machine.ts";
import { type Figure, number, type Results } from "./run.ts";
import { median } from "./statistics.ts";

/** The file of `--json`. */
export interface Report {
  readonly name: string;
  readonly machine: Machine;
  /** By the label of the claim; a claim that could not be measured is missing. */
  readonly ratios: Readonly<Record<string, number>>;
  /** By `subject/figure`. */
  readonly figures: Readonly<Record<string, { unit: string; min: number; median: number; max: number; samples: readonly number[] }>>;
}

export function report(bench: Bench, results: Results, on: Machine): Report {
  const figures = results.figures.map(({ name, unit, samples }) => [
    name,
    { unit, min: Math.min(...samples), median: median(samples), max: Math.max(...samples), samples },
  ]);
  const ratios: Record<string, number> = {};
  for (const claim of bench.claims) {
    const ratio = ratioOf(claim, results.figures);
    if (ratio !== undefined) ratios[claim.label] = ratio;
  }
  return { name: bench.name, machine: on, ratios, figures: Object.fromEntries(figures) };
}

export function inText(bench: Bench, results: Results, { machine, figures, ratios }: Report): string {
  const rows = Object.entries(figures).map(([name, { unit, min, median: middle, max, samples }]) => [
    name,
    number(min),
    number(middle),
    number(max),
    unit,
    String(samples.length),
  ]);
  const verdicts = bench.claims.map(({ label, floor, aim, basis }) => {
    const ratio = ratios[label];
    return [
      label,
      ratio === undefined ? "–" : ratio.toFixed(2),
      floor === undefined ? "" : String(floor),
      aim === undefined ? "" : String(aim),
      verdict(ratio, floor, aim),
      basis,
    ];
  });
  return [
    `${bench.name}: ${bench.summary}`,
    `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.os}, ${machine.filesystem}, Node ${machine.node}, SQLite ${machine.sqlite}`,
    "",
    ...table(["Figure", "min", "median", "max", "unit", "samples"], rows, [1, 2, 3, 5]),
    "",
    ...table(["Ratio of medians", "ratio", "floor", "aim", "", "what by what"], verdicts, [1, 2, 3]),
    ...results.gaps.map((gap) => `\n${gap}`),
  ].join("\n");
}

function ratioOf(claim: Claim, figures: readonly Figure[]): number | undefined {
  try {
    return claim.ratio((name) => {
      const figure = figures.find((candidate) => candidate.name === name);
      if (figure === undefined) throw new NotMeasured(name);
      return median(figure.samples);
    });
  } catch (error) {
    if (error instanceof NotMeasured) return undefined;
    throw error;
  }
}

function verdict(ratio: number | undefined, floor: number | undefined, aim: number | undefined): string {
  if (ratio === undefined) return "not measured";
  if (floor === undefined) return "";
  if (ratio < floor) return "below the floor";
  return aim !== undefined && ratio < aim ? "above the floor" : "meets the aim";
}

function table(header: readonly string[], rows: readonly (readonly string[])[], right: readonly number[]): string[] {
  const widths = header.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => (right.includes(column) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0)))
      .join("  ")
      .trimEnd();
  return [line(header), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)];
}
