import { expect, test } from "vitest";
import { type Line, tally } from "./tally.ts";

// By hand: two applications, side by side. "a" has a completion without a start, a double start, and ends declined;
// "b" has a start that nobody completes.
const fixture: readonly Line[] = [
  line("a", "A_SUBMITTED", "COMPLETE", 0, { resource: "112", amount: 5000 }),
  line("b", "A_SUBMITTED", "COMPLETE", 1, { resource: "112", amount: 900 }),
  line("a", "W_Valideren aanvraag", "COMPLETE", 2, { resource: null }),
  line("a", "W_Valideren aanvraag", "SCHEDULE", 3, { resource: "7" }),
  line("a", "W_Valideren aanvraag", "START", 4, { resource: "7" }),
  line("a", "W_Valideren aanvraag", "START", 5, { resource: "8" }),
  line("b", "W_Valideren aanvraag", "SCHEDULE", 6, { resource: "7" }),
  line("b", "W_Valideren aanvraag", "START", 7, { resource: "7" }),
  line("a", "W_Valideren aanvraag", "COMPLETE", 14, { resource: "8" }),
  line("a", "W_Valideren aanvraag", "COMPLETE", 18, { resource: "7" }),
  line("a", "O_SENT", "COMPLETE", 19, { resource: "7" }),
  line("a", "O_SENT", "COMPLETE", 20, { resource: "7" }),
  line("a", "A_DECLINED", "COMPLETE", 21, { resource: null }),
];

function line(
  application: string,
  activity: string,
  lifecycle: string,
  second: number,
  rest: { resource: string | null; amount?: number },
): Line {
  return { application, activity, lifecycle, at: `2012-01-01T00:00:${String(second).padStart(2, "0")}.000+01:00`, ...rest };
}

async function* each(lines: readonly Line[]): AsyncGenerator<Line> {
  yield* lines;
}

test("the numbers of a small file are those that a person counts", async () => {
  const { lines, known, activities, applications, work, resources } = await tally(each(fixture));
  expect(lines).toBe(13);
  expect(known).toBe(false);
  expect(Object.fromEntries(activities)).toEqual({ A_SUBMITTED: 2, "W_Valideren aanvraag": 8, O_SENT: 2, A_DECLINED: 1 });
  expect(Object.fromEntries(applications)).toEqual({
    a: { events: 10, status: "A_DECLINED", since: Date.parse("2011-12-31T23:00:21Z"), amount: 5000, offersSent: 2, ended: true },
    b: { events: 3, status: "A_SUBMITTED", since: Date.parse("2011-12-31T23:00:01Z"), amount: 900, offersSent: 0, ended: false },
  });
  expect(Object.fromEntries(work)).toEqual({
    "W_Valideren aanvraag": {
      scheduled: 2,
      started: 3,
      completed: 3,
      paired: 2,
      unpaired: 1,
      doubleStarts: 1,
      // From 4 to 14 and from 5 to 18.
      totalMs: 23_000,
      maxMs: 13_000,
    },
  });
  expect(resources.get("nobody")).toEqual({
    events: 2,
    started: 0,
    completed: 1,
    handlingMs: 0,
    activities: new Map([
      ["W_Valideren aanvraag", 1],
      ["A_DECLINED", 1],
    ]),
  });
  expect(resources.get("7")).toMatchObject({ events: 7, started: 2, completed: 1, handlingMs: 13_000 });
  expect(resources.get("8")).toMatchObject({ events: 2, started: 1, completed: 1, handlingMs: 10_000 });
});

test("the known file is recognised by its first line", async () => {
  const first = { ...fixture[0], application: "173688", at: "2011-10-01T00:38:44.546+02:00" } as Line;
  expect((await tally(each([first]))).known).toBe(true);
  expect((await tally(each([...fixture, first]))).known).toBe(false);
});
