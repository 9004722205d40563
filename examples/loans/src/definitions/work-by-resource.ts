/** Who did what, how often: one document a resource. What the bank's record ascribes to nobody is under `nobody`. */
import { view } from "convergent";
import { z } from "zod";
import { application } from "./application.ts";

const Count = z.number().int();

const Document = z.object({
  events: Count,
  started: Count,
  completed: Count,
  /** Time that ended with a completion by this resource, in milliseconds. */
  handlingMs: Count,
  /** Events by activity, for example `A_DECLINED` or `O_SENT`. */
  activities: z.record(z.string(), Count),
});

export type WorkByResource = z.output<typeof Document>;

export const nobody = "nobody";

const nothing: WorkByResource = { events: 0, started: 0, completed: 0, handlingMs: 0, activities: {} };

export const workByResource = view("work-by-resource", {
  version: 1,
  from: [application],
  document: Document,
  key: (event) => event.data.resource ?? nobody,
}).on({
  "application.submitted": (before) => counted(before, "A_SUBMITTED"),
  "application.advanced": (before, { data }) => counted(before, data.to),
  "application.offered": (before, { data }) => counted(before, data.step),
  "application.work-scheduled": (before, { data }) => counted(before, data.item),
  "application.work-started": (before, { data }) => {
    const document = counted(before, data.item);
    return { ...document, started: document.started + 1 };
  },
  "application.work-completed": (before, { data }) => {
    const document = counted(before, data.item);
    return { ...document, completed: document.completed + 1, handlingMs: document.handlingMs + (data.handlingMs ?? 0) };
  },
});

function counted(before: WorkByResource = nothing, activity: string): WorkByResource {
  const known = Object.hasOwn(before.activities, activity) ? (before.activities[activity] ?? 0) : 0;
  return { ...before, events: before.events + 1, activities: { ...before.activities, [activity]: known + 1 } };
}
