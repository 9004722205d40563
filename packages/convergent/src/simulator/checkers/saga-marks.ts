/** What happened to the sagas of a run, counted: a run in which nothing of it happens proves little. */
import type { HistoryRecord, Invoked } from "../history.ts";
import { factsNamed, type Story } from "./saga-stories.ts";

/** A line for each time that something happened. Stories that an older copy cut off count like others. */
export function sagaMarks(history: Iterable<HistoryRecord>, stories: readonly Story[]): string[] {
  return [...stories.flatMap(marksOf), ...refusals(history)];
}

function marksOf(story: Story): string[] {
  const marks: string[] = [];
  const unknown = new Set(factsNamed(story, "failed").flatMap(({ step, outcome }) => (outcome === "unknown" ? [step] : [])));
  const seen = { undoing: false, taken: false, parked: false, cancelled: false };
  const mark = (name: string): number => marks.push(name);
  for (const { name, data } of story.facts) {
    if (name === "taken") {
      mark(seen.undoing ? "saga taken over while it was undone" : "saga taken over");
      seen.taken = true;
    } else if (name === "parked") seen.parked = true;
    else if (name === "undoing") seen.undoing = true;
    else if (name === "cancelled") seen.cancelled = true;
    else if (name === "undone") mark(undoneMark(data.how, unknown.has(data.step)));
    if (name === "undone" && seen.taken) mark("step undone after a takeover");
    if (name === "begun" && seen.taken) mark("step begun after a takeover");
    if (name === "retried") mark("step tried again");
    if (name === "undo-retried") mark("undo tried again");
    if (name === "failed" && data.outcome === "refused") mark("step refused");
    if (name === "signalled") mark("saga signalled");
    if (name === "resumed") mark("parked saga resumed");
    if (name === "completed" || name === "compensated" || name === "parked") mark(`saga ${name}`);
    if (name === "compensated" && seen.cancelled) mark("saga compensated after it was cancelled");
    if (name === "compensated" && seen.parked) mark("saga compensated after it was parked");
    if (name === "completed" && seen.taken) mark("saga completed after a takeover");
  }
  return marks;
}

function undoneMark(how: "undone" | "void" | "resolved", wasUnknown: boolean): string {
  if (how === "void") return "step voided";
  if (how === "resolved") return "undo resolved by an operator";
  return wasUnknown ? "step undone after its reply was lost" : "step undone";
}

/** Of requests that came too late. */
function refusals(history: Iterable<HistoryRecord>): string[] {
  const invoked = new Map<number, Invoked>();
  const marks: string[] = [];
  for (const record of history) {
    if (record.kind === "invoke") invoked.set(record.op, record);
    if (record.kind !== "fail" || record.code !== "saga_ended") continue;
    marks.push(`${invoked.get(record.op)?.command ?? ""} came after the saga's end`);
  }
  return marks;
}
