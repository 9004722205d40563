/**
 * How long people are busy with a work item: one document a kind of item. Handling time runs from a START to the next
 * COMPLETE; starts pair with completions in order, and what has no partner is counted apart.
 */
import { view } from "convergent";
import { z } from "zod";
import { application } from "./application.ts";

const Count = z.number().int();

const Document = z.object({
  scheduled: Count,
  started: Count,
  completed: Count,
  /** Completions with a START before them. */
  paired: Count,
  /** Completions without one. */
  unpaired: Count,
  /** Starts while another start of the same item of the same application was not completed. */
  doubleStarts: Count,
  totalMs: Count,
  maxMs: Count,
  /** Of the paired ones; null when there are none. */
  meanMs: z.number().nullable(),
});

export type HandlingTime = z.output<typeof Document>;

const nothing: HandlingTime = {
  scheduled: 0,
  started: 0,
  completed: 0,
  paired: 0,
  unpaired: 0,
  doubleStarts: 0,
  totalMs: 0,
  maxMs: 0,
  meanMs: null,
};

export const handlingTime = view("handling-time", {
  version: 1,
  from: [application],
  document: Document,
  key: (event) => ("item" in event.data ? event.data.item : "no work item"),
}).on({
  "application.work-scheduled": (before = nothing) => ({ ...before, scheduled: before.scheduled + 1 }),
  "application.work-started": (before = nothing, { data }) => ({
    ...before,
    started: before.started + 1,
    doubleStarts: before.doubleStarts + (data.open > 0 ? 1 : 0),
  }),
  "application.work-completed": (before = nothing, { data }) => completed(before, data.handlingMs),
});

function completed(before: HandlingTime, handlingMs: number | null): HandlingTime {
  const document = { ...before, completed: before.completed + 1 };
  if (handlingMs === null) return { ...document, unpaired: before.unpaired + 1 };
  const paired = before.paired + 1;
  const totalMs = before.totalMs + handlingMs;
  return { ...document, paired, totalMs, maxMs: Math.max(before.maxMs, handlingMs), meanMs: totalMs / paired };
}
