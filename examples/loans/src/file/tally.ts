/**
 * What the file says, computed from its lines alone: no log, no entity, no view, and nothing imported that takes part in
 * the replay. The replay's answers are compared with these numbers, so this file stays a straight line that can be read
 * against the description of the data.
 */

/** A line of the file, as far as it is counted. */
export interface Line {
  readonly application: string;
  readonly activity: string;
  readonly lifecycle: string;
  readonly resource: string | null;
  readonly at: string;
  readonly amount?: number | undefined;
}

export interface ApplicationTally {
  events: number;
  /** The last `A_`. */
  status: string;
  /** When that was, in milliseconds since 1970. */
  since: number;
  amount: number;
  offersSent: number;
  /** It was declined, cancelled or activated. */
  ended: boolean;
}

export interface WorkTally {
  scheduled: number;
  started: number;
  completed: number;
  /** Completions that have a START before them which no earlier completion took. */
  paired: number;
  /** Completions that have none. */
  unpaired: number;
  /** Starts before the last one of that application was completed. */
  doubleStarts: number;
  totalMs: number;
  maxMs: number;
}

export interface ResourceTally {
  events: number;
  started: number;
  completed: number;
  handlingMs: number;
  activities: Map<string, number>;
}

export interface Tally {
  lines: number;
  /** Whether this is the known file, by its first line. */
  known: boolean;
  /** Events by activity. */
  readonly activities: Map<string, number>;
  readonly applications: Map<string, ApplicationTally>;
  readonly work: Map<string, WorkTally>;
  readonly resources: Map<string, ResourceTally>;
}

/** What the description of `bpic2012.jsonl.gz` says about it. */
export const knownTotals = {
  lines: 262_200,
  applications: 13_087,
  activities: { A_SUBMITTED: 13_087, A_APPROVED: 2_246, A_DECLINED: 7_635, A_CANCELLED: 2_807, O_SENT: 7_030 },
  unpairedCompletions: 1_040,
  doubleStarts: 3,
  neverEnded: 399,
} as const;

/** An application that was in none of these did not come to its end within the file. */
const endStates: readonly string[] = ["A_DECLINED", "A_CANCELLED", "A_ACTIVATED"];

/** Counts the lines of a file. */
export async function tally(lines: AsyncIterable<Line>): Promise<Tally> {
  const result: Tally = {
    lines: 0,
    known: false,
    activities: new Map(),
    applications: new Map(),
    work: new Map(),
    resources: new Map(),
  };
  // Times of starts without a completion so far, oldest first, by application and work item.
  const waiting = new Map<string, number[]>();
  for await (const line of lines) {
    const at = new Date(line.at).getTime();
    if (result.lines === 0) result.known = line.application === "173688" && line.at === "2011-10-01T00:38:44.546+02:00";
    result.lines += 1;
    result.activities.set(line.activity, (result.activities.get(line.activity) ?? 0) + 1);
    countApplication(result, line, at);
    const handlingMs = line.activity.startsWith("W_") ? countWork(result, waiting, line, at) : 0;
    countResource(result, line, handlingMs);
  }
  return result;
}

function countApplication(result: Tally, line: Line, at: number): void {
  const one = result.applications.get(line.application) ?? { events: 0, status: "", since: 0, amount: 0, offersSent: 0, ended: false };
  result.applications.set(line.application, one);
  one.events += 1;
  if (line.activity.startsWith("A_")) {
    one.status = line.activity;
    one.since = at;
    if (endStates.includes(line.activity)) one.ended = true;
  }
  if (line.activity === "O_SENT") one.offersSent += 1;
  if (line.amount !== undefined) one.amount = line.amount;
}

/** Counts a line of a work item, and answers the handling time that ends with it. */
function countWork(result: Tally, waiting: Map<string, number[]>, line: Line, at: number): number {
  const item = result.work.get(line.activity) ?? {
    scheduled: 0,
    started: 0,
    completed: 0,
    paired: 0,
    unpaired: 0,
    doubleStarts: 0,
    totalMs: 0,
    maxMs: 0,
  };
  result.work.set(line.activity, item);
  const key = `${line.application} ${line.activity}`;
  const starts = waiting.get(key) ?? [];
  waiting.set(key, starts);
  if (line.lifecycle === "SCHEDULE") item.scheduled += 1;
  if (line.lifecycle === "START") {
    item.started += 1;
    if (starts.length > 0) item.doubleStarts += 1;
    starts.push(at);
  }
  if (line.lifecycle !== "COMPLETE") return 0;
  item.completed += 1;
  const start = starts.shift();
  if (start === undefined) {
    item.unpaired += 1;
    return 0;
  }
  item.paired += 1;
  item.totalMs += at - start;
  item.maxMs = Math.max(item.maxMs, at - start);
  return at - start;
}

function countResource(result: Tally, line: Line, handlingMs: number): void {
  const name = line.resource ?? "nobody";
  const resource = result.resources.get(name) ?? {
    events: 0,
    started: 0,
    completed: 0,
    handlingMs: 0,
    activities: new Map<string, number>(),
  };
  result.resources.set(name, resource);
  resource.events += 1;
  if (line.lifecycle === "START") resource.started += 1;
  if (line.lifecycle === "COMPLETE" && line.activity.startsWith("W_")) resource.completed += 1;
  resource.handlingMs += handlingMs;
  resource.activities.set(line.activity, (resource.activities.get(line.activity) ?? 0) + 1);
}
