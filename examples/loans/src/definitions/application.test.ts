import type { Outcome, RunningService } from "convergent";
import { memory } from "convergent/memory";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Application } from "./application.ts";
import { loans } from "./loans.ts";

let running: RunningService<typeof loans.parts>;
beforeEach(async () => {
  running = await loans.start({ store: memory() });
});
afterEach(() => running.stop());

const at = "2011-10-01T08:00:00.000+02:00";
const by = { resource: "112", at };
const work = { ...by, item: "W_Valideren aanvraag" };

async function submitted(): Promise<ReturnType<typeof running.application>> {
  const application = running.application("a-1");
  await application.submit({ ...by, amount: 5000 });
  return application;
}

function expectRefusal(outcome: Outcome<Application>, reason: RegExp): void {
  expect(outcome).toMatchObject({ kind: "rejected", reason: expect.stringMatching(reason) as string });
}

test("an application begins with its submission and nothing else", async () => {
  const application = running.application("a-1");
  expectRefusal(await application.advance({ ...by, to: "A_ACCEPTED" }), /begins with A_SUBMITTED/);
  expectRefusal(await application.offer({ ...by, step: "O_SENT" }), /begins with A_SUBMITTED/);
  expectRefusal(await application.scheduleWork(work), /begins with A_SUBMITTED/);
  expectRefusal(await application.startWork(work), /begins with A_SUBMITTED/);
  expectRefusal(await application.completeWork(work), /begins with A_SUBMITTED/);
  expect(await application.submit({ ...by, amount: 5000 })).toMatchObject({
    kind: "accepted",
    version: 1,
    state: { status: "A_SUBMITTED", amount: 5000, since: at },
  });
});

test("an application is submitted once", async () => {
  const application = await submitted();
  expectRefusal(await application.submit({ ...by, amount: 1 }), /submitted before/);
  expectRefusal(await application.advance({ ...by, to: "A_SUBMITTED" }), /A_SUBMITTED before/);
});

test("an application is in each state at most once", async () => {
  const application = await submitted();
  await application.advance({ ...by, to: "A_PARTLYSUBMITTED" });
  await application.advance({ ...by, to: "A_ACCEPTED" });
  expectRefusal(await application.advance({ ...by, to: "A_PARTLYSUBMITTED" }), /A_PARTLYSUBMITTED before/);
  expectRefusal(await application.advance({ ...by, to: "A_ACCEPTED" }), /A_ACCEPTED before/);
});

test.each(["A_DECLINED", "A_CANCELLED"] as const)("after %s no other state follows, while offers and work still may", async (end) => {
  const application = await submitted();
  await application.scheduleWork(work);
  await application.advance({ ...by, to: end });
  expectRefusal(await application.advance({ ...by, to: "A_APPROVED" }), new RegExp(`ended as ${end}`));
  expect(await application.offer({ ...by, step: "O_CANCELLED" })).toMatchObject({ kind: "accepted" });
  expect(await application.startWork(work)).toMatchObject({ kind: "accepted", state: { status: end } });
});

test("work starts after it was scheduled, each item for itself", async () => {
  const application = await submitted();
  expectRefusal(await application.startWork(work), /without having been scheduled/);
  await application.scheduleWork(work);
  expectRefusal(await application.startWork({ ...work, item: "W_Nabellen offertes" }), /W_Nabellen offertes starts without/);
  expect(await application.startWork(work)).toMatchObject({ kind: "accepted" });
  expect(await application.startWork(work)).toMatchObject({ kind: "accepted" });
});

test("completions take the oldest start that waits, and one without a start is accepted and counted apart", async () => {
  const application = await submitted();
  const time = (second: number): { at: string; item: string; resource: string } => ({
    ...work,
    at: `2011-10-01T08:00:0${second}.000+02:00`,
  });
  await application.completeWork(time(0));
  await application.scheduleWork(time(0));
  await application.startWork(time(1));
  await application.startWork(time(2));
  await application.completeWork(time(4));
  await application.completeWork(time(7));
  await application.completeWork(time(8));
  const { state } = await running.application.state("a-1");
  expect(state.open).toEqual({});
  expect((await running.handlingTime.get(work.item, { strong: true })).value).toEqual({
    scheduled: 1,
    started: 2,
    completed: 4,
    paired: 2,
    unpaired: 2,
    doubleStarts: 1,
    totalMs: 3000 + 5000,
    maxMs: 5000,
    meanMs: 4000,
  });
});

test("a time is read with its offset from UTC", async () => {
  const application = await submitted();
  await application.scheduleWork(work);
  await application.startWork({ ...work, at: "2011-10-30T02:59:00.000+02:00" });
  await application.completeWork({ ...work, at: "2011-10-30T02:01:00.000+01:00" });
  expect((await running.handlingTime.get(work.item, { strong: true })).value).toMatchObject({ totalMs: 120_000 });
});

test("what is no state, no offer step and no work item of the bank is refused before it is decided on", async () => {
  const application = await submitted();
  await expect(application.advance({ ...by, to: "A_FORGOTTEN" as "A_DECLINED" })).rejects.toMatchObject({ code: "invalid_input" });
  await expect(application.offer({ ...by, step: "O_FORGOTTEN" as "O_SENT" })).rejects.toMatchObject({ code: "invalid_input" });
  await expect(application.scheduleWork({ ...work, item: "constructor" })).rejects.toMatchObject({ code: "invalid_input" });
  await expect(application.scheduleWork({ ...work, at: "yesterday" })).rejects.toMatchObject({ code: "invalid_input" });
});

test("the views tell states, offers and who did what", async () => {
  const application = await submitted();
  await application.offer({ ...by, step: "O_SENT" });
  await application.offer({ ...by, step: "O_SENT_BACK" });
  await application.advance({ resource: null, at: "2011-10-02T08:00:00.000+02:00", to: "A_APPROVED" });
  await running.application("a-2").submit({ ...by, amount: 700 });
  const approved = await running.applicationsByStatus.find({ status: "A_APPROVED" }, { strong: true });
  expect(approved.value).toEqual([
    { key: "a-1", value: { status: "A_APPROVED", since: Date.parse("2011-10-02T06:00:00Z"), amount: 5000, offersSent: 1 } },
  ]);
  const submittedOnes = await running.applicationsByStatus.find({ status: "A_SUBMITTED" }, { strong: true });
  expect(submittedOnes.value.map(({ key }) => key)).toEqual(["a-2"]);
  const resources = await running.workByResource.find({}, { strong: true });
  expect(Object.fromEntries(resources.value.map(({ key, value }) => [key, value]))).toEqual({
    112: { events: 4, started: 0, completed: 0, handlingMs: 0, activities: { A_SUBMITTED: 2, O_SENT: 1, O_SENT_BACK: 1 } },
    nobody: { events: 1, started: 0, completed: 0, handlingMs: 0, activities: { A_APPROVED: 1 } },
  });
});
