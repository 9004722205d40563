// What a bench is: groups of subjects that are measured side by side, and the claims that compare their medians.
// Definitions only. A subject's code is loaded in the child process that runs it, so `--list` needs no peer installed
// and no subject warms the JIT, the heap or the page cache of another.

/** Where a sample may work, and for how long. */
export interface SampleContext {
  /** On a real disk and this sample's alone; holds a copy of what `prepare` left, else nothing. */
  readonly directory: string;
  /** The sample stops by itself after this long, set-up and warm-up apart. */
  readonly boxMs: number;
}

/** What one sample measured, by the names of the subject's figures. */
export type Sample = Readonly<Record<string, number>>;

export interface SubjectCode {
  /** Run once, in a child of its own, before the first sample: seeds the files that each sample gets a copy of. */
  prepare?(directory: string): Promise<void>;
  sample(context: SampleContext): Promise<Sample>;
}

export interface Subject {
  readonly name: string;
  /** Name and unit of each number that a sample answers. */
  readonly figures: Readonly<Record<string, string>>;
  /** Defaults to the harness's 10 s, which it never exceeds. */
  readonly boxMs?: number;
  load(): Promise<SubjectCode>;
}

/** Subjects whose samples are taken in turn, A B A B …, so that a slow minute of the machine hits all of them. */
export interface Group {
  readonly name: string;
  readonly subjects: readonly Subject[];
}

/** The median of a figure, named `subject/figure`; throws `NotMeasured` when there is none. */
export type Medians = (figure: string) => number;

export interface Claim {
  readonly label: string;
  /** What is divided by what, in words. */
  readonly basis: string;
  /** Absent where a ratio explains another one. */
  readonly floor?: number;
  readonly aim?: number;
  ratio(median: Medians): number;
}

export interface Bench {
  readonly name: string;
  readonly summary: string;
  readonly groups: readonly Group[];
  readonly claims: readonly Claim[];
}

/** A claim asked for a figure of which no sample succeeded. */
export class NotMeasured extends Error {}

/** The subject's side of the bench is not written yet; the run goes on without it. */
export class NotWired extends Error {
  override readonly name = "NotWired";
}
