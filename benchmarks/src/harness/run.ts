// Runs a bench: seeds each subject once, then takes the samples of a group in turn, each in a fresh process on fresh files.
// A sample that fails costs that figure, not the run; no ratio ever fails a run, it is printed.
import type { Bench, Group, Sample, Subject } from "../bench.ts";
import type { Answer } from "./child.ts";
import { runStep } from "./spawn.ts";
import type { WorkDirectory } from "./work-directory.ts";

/** All samples of one figure; `name` is `subject/figure`. */
export interface Figure {
  readonly name: string;
  readonly unit: string;
  readonly samples: readonly number[];
}

export interface Results {
  readonly figures: readonly Figure[];
  /** One line for each subject without a full set of samples. */
  readonly gaps: readonly string[];
  /** Whether a sample failed, as opposed to not being written yet. */
  readonly failed: boolean;
}

export interface RunOptions {
  readonly samples: number;
  readonly boxMs: number;
  readonly work: WorkDirectory;
  progress(line: string): void;
}

export async function runBench(bench: Bench, options: RunOptions): Promise<Results> {
  const figures: Figure[] = [];
  const gaps: string[] = [];
  let failed = false;
  for (const group of bench.groups) {
    const results = await runGroup(bench, group, options);
    figures.push(...results.figures);
    gaps.push(...results.gaps);
    failed ||= results.failed;
  }
  return { figures, gaps, failed };
}

async function runGroup(bench: Bench, group: Group, options: RunOptions): Promise<Results> {
  const { progress, work } = options;
  const boxOf = (subject: Subject): number => Math.min(subject.boxMs ?? options.boxMs, options.boxMs);
  const samples = new Map<Subject, Sample[]>(group.subjects.map((subject) => [subject, []]));
  const templates = new Map<Subject, string | undefined>();
  const stopped = new Map<Subject, Answer>();

  const give = (subject: Subject, answer: Answer): void => {
    stopped.set(subject, answer);
    progress(`${group.name}: ${subject.name}: ${explain(answer)}`);
  };
  for (const subject of group.subjects) {
    const directory = work.fresh(`${subject.name}-seed`);
    const startedAt = performance.now();
    const answer = await runStep({ bench: bench.name, subject: subject.name, step: "prepare", directory, boxMs: boxOf(subject) });
    if (answer.kind !== "prepared") give(subject, answer);
    else if (answer.seeded) progress(`${group.name}: ${subject.name}: seeded in ${seconds(performance.now() - startedAt)}`);
    templates.set(subject, answer.kind === "prepared" && answer.seeded ? directory : undefined);
  }
  for (let turn = 1; turn <= options.samples; turn += 1) {
    for (const subject of group.subjects.filter((candidate) => !stopped.has(candidate))) {
      const directory = work.fresh(subject.name, templates.get(subject));
      const answer = await runStep({ bench: bench.name, subject: subject.name, step: "sample", directory, boxMs: boxOf(subject) });
      work.drop(directory);
      if (answer.kind !== "sampled") {
        give(subject, answer);
        continue;
      }
      samples.get(subject)?.push(answer.sample);
      progress(`${group.name}: ${turn}/${options.samples} ${subject.name}: ${inWords(subject, answer.sample)}`);
    }
  }
  for (const template of templates.values()) if (template !== undefined) work.drop(template);
  return {
    figures: group.subjects.flatMap((subject) => figuresOf(subject, samples.get(subject) ?? [])),
    gaps: [...stopped].map(([subject, answer]) => `${subject.name}: ${explain(answer)}`),
    failed: [...stopped.values()].some((answer) => answer.kind === "failed"),
  };
}

function figuresOf(subject: Subject, samples: readonly Sample[]): Figure[] {
  return Object.entries(subject.figures).flatMap(([figure, unit]) => {
    const values = samples.map((sample) => sample[figure]).filter((value) => value !== undefined);
    return values.length === 0 ? [] : [{ name: `${subject.name}/${figure}`, unit, samples: values }];
  });
}

function explain(answer: Answer): string {
  if (answer.kind === "not-wired") return `not measured: ${answer.reason}`;
  return answer.kind === "failed" ? `failed: ${answer.reason}` : `an answer out of turn: ${answer.kind}`;
}

function inWords(subject: Subject, sample: Sample): string {
  return Object.entries(subject.figures)
    .map(([figure, unit]) => `${figure} ${number(sample[figure] ?? Number.NaN)} ${unit}`)
    .join(", ");
}

/** Three significant digits below 1,000, whole numbers with separators above. */
export function number(value: number): string {
  if (!Number.isFinite(value)) return "–";
  return Math.abs(value) >= 1_000 ? Math.round(value).toLocaleString("en-US") : String(Number(value.toPrecision(3)));
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}
