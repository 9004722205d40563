// Sagas that run sagas, on every store: a child is a step of its parent, wherever it runs.
import { isConvergentError, type ParkedSaga, saga, type SagaScope, service } from "convergent";
import { describe, expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { newPlace, type StoreKind, storeKinds } from "../stores/store-kinds.ts";
import { step, World } from "./trip.ts";

const wait = "20s";
const Nothing = z.object({});

/** A parent whose script is given, with a child that books a hotel and a car, and stays until it is told when it is asked to. */
async function familyOn(
  kind: StoreKind,
  world: World,
  run: (s: SagaScope, stay: ReturnType<typeof stayIn>) => Promise<unknown>,
  { place = newPlace(), parked = [] as ParkedSaga[] } = {},
) {
  const stay = stayIn(world);
  const parent = saga("parent", { input: Nothing }, (s) => run(s, stay));
  const running = await service("orders", { parts: { parent, stay } }).start({
    store: kind.driver(place),
    onParkedSaga: (each) => parked.push(each),
  });
  onTestFinished(() => running.stop());
  const { parent: parents, stay: stays } = running;
  return { parents, stays, place, parked, stop: () => running.stop() };
}

function stayIn(world: World) {
  return saga("stay", { input: z.object({ asks: z.boolean().optional(), nights: z.number().max(7).optional() }) }, async (s, { asks }) => {
    const hotel = await step(s, world, "hotel");
    if (asks) await s.signal("go");
    await step(s, world, "car");
    return { hotel };
  });
}

const childId = "parent/p-1/stay";

describe.each(storeKinds)("$name", (kind) => {
  test("a child is started once under an id of its parent's, and its result is the step's", async () => {
    const world = new World();
    const { parents, stays } = await familyOn(kind, world, async (s, stay) => {
      await step(s, world, "flight");
      const first = await s.run(stay, {});
      const second = await s.run(stay, {}, { name: "another stay" });
      return [first.hotel, second.hotel];
    });
    await parents.start("p-1", {});
    expect(await parents.end("p-1", { wait })).toMatchObject({
      status: "completed",
      result: ["hotel-1", "hotel-1"],
      steps: [
        { name: "flight" },
        { name: "stay", kind: "saga", state: "done", result: { hotel: "hotel-1" }, child: { saga: "stay", id: childId } },
        { name: "another stay", kind: "saga", child: { saga: "stay", id: "parent/p-1/another stay" } },
      ],
    });
    expect(await stays.get(childId)).toMatchObject({ status: "completed", input: {} });
    expect(world.calls).toEqual(["book flight", "book hotel", "book car", "book hotel", "book car"]);
  });

  test("a child that was compensated is a step that failed: it has undone itself, and its parent undoes the rest", async () => {
    const world = new World();
    world.behaviour.set("car", "refuses");
    const { parents } = await familyOn(kind, world, async (s, stay) => {
      await step(s, world, "flight");
      if (s.id === "p-2") return s.run(stay, {}).catch((error: unknown) => isConvergentError(error, "saga_step_failed"));
      return s.run(stay, {});
    });
    await parents.start("p-1", {});
    expect(await parents.end("p-1", { wait })).toMatchObject({
      status: "compensated",
      error: expect.stringMatching(/the step "stay" failed: stay parent\/p-1\/stay was undone: .*no car left/) as string,
      steps: [{ state: "undone" }, { state: "failed" }],
    });
    expect(world.calls).toEqual(["book flight", "book hotel", "book car", "cancel hotel", "cancel flight"]);
    await parents.start("p-2", {});
    expect(await parents.end("p-2", { wait })).toMatchObject({ status: "completed", result: true });
    await parents.start("p-3", {});
    expect((await parents.end("p-3", { wait })).status).toBe("compensated");
  });

  test("to take a step back a child that has completed is undone as a whole, in its turn", async () => {
    const world = new World();
    world.behaviour.set("insurance", "refuses");
    const { parents, stays } = await familyOn(kind, world, async (s, stay) => {
      await step(s, world, "flight");
      await s.run(stay, {});
      await step(s, world, "visa");
      await step(s, world, "insurance");
    });
    await parents.start("p-1", {});
    expect(await parents.end("p-1", { wait })).toMatchObject({
      status: "compensated",
      steps: [{ state: "undone" }, { name: "stay", state: "undone" }, { state: "undone" }, { state: "failed" }],
    });
    const child = await stays.get(childId);
    expect(child).toMatchObject({ status: "compensated", steps: [{ state: "undone" }, { state: "undone" }] });
    expect([child.result, child.error]).toEqual([undefined, 'the step "stay" of parent p-1 is undone']);
    expect(world.calls.slice(-4)).toEqual(["cancel visa", "cancel car", "cancel hotel", "cancel flight"]);
    expect(world.standing).toEqual([]);
  });

  test("a parent that is cancelled cancels the child that runs, and waits until that is undone", async () => {
    const world = new World();
    const { parents, stays } = await familyOn(kind, world, async (s, stay) => {
      await step(s, world, "flight");
      await s.run(stay, { asks: true });
    });
    await parents.start("p-1", {});
    await expect.poll(async () => (await stays.get(childId).catch(() => undefined))?.steps.length, { timeout: 10_000 }).toBe(2);
    await parents.cancel("p-1", { reason: "changed my mind" });
    expect(await parents.end("p-1", { wait })).toMatchObject({ status: "compensated", steps: [{ state: "undone" }, { state: "failed" }] });
    expect(await stays.get(childId)).toMatchObject({
      status: "compensated",
      cancelled: expect.stringContaining("changed my mind") as string,
    });
    expect(world.calls).toEqual(["book flight", "book hotel", "cancel hotel", "cancel flight"]);
  });

  test("a parent waits on while its child is parked, and says so; it goes on with the child", async () => {
    const world = new World();
    world.behaviour.set("car", "refuses");
    world.behaviour.set("cancel hotel", "breaks");
    const { parents, stays, parked } = await familyOn(kind, world, async (s, stay) => {
      await s.run(stay, {});
    });
    await parents.start("p-1", {});
    await expect.poll(() => parked.length, { timeout: 10_000 }).toBe(1);
    await expect
      .poll(async () => (await parents.get("p-1")).steps, { timeout: 10_000 })
      .toMatchObject([{ state: "begun", error: "stay parent/p-1/stay is parked: the hotel desk is broken" }]);
    world.behaviour.delete("cancel hotel");
    await stays.retry(childId, { reason: "the desk is back", by: "ada" });
    expect(await parents.end("p-1", { wait })).toMatchObject({ status: "compensated", steps: [{ state: "failed" }] });
    expect(parked).toMatchObject([{ saga: "stay", id: childId }]);
  });

  test("a parent waits on while a child that it takes back is parked in the middle of its undos", async () => {
    const world = new World();
    world.behaviour.set("insurance", "refuses");
    world.behaviour.set("cancel hotel", "breaks");
    const { parents, stays, parked } = await familyOn(kind, world, async (s, stay) => {
      await step(s, world, "flight");
      await s.run(stay, {});
      await step(s, world, "insurance");
    });
    await parents.start("p-1", {});
    await expect.poll(() => parked.length, { timeout: 10_000 }).toBe(1);
    await expect
      .poll(async () => (await parents.get("p-1")).steps[1], { timeout: 10_000 })
      .toMatchObject({ state: "undoing", error: "stay parent/p-1/stay is parked: the hotel desk is broken" });
    await stays.resolve(childId, { reason: "called them", by: "ada" });
    const end = await parents.end("p-1", { wait });
    expect(end).toMatchObject({ status: "compensated", steps: [{ state: "undone" }, { state: "undone" }, { state: "failed" }] });
    expect((await stays.get(childId)).steps).toMatchObject([{ state: "resolved" }, { state: "undone" }]);
  });

  test("an input that the child does not take fails the step, and starts nothing", async () => {
    const { parents, stays } = await familyOn(kind, new World(), (s, stay) => s.run(stay, { nights: 8 }));
    await parents.start("p-1", {});
    expect(await parents.end("p-1", { wait })).toMatchObject({ status: "compensated", steps: [{ state: "failed" }] });
    await expect(stays.get(childId)).rejects.toMatchObject({ code: "saga_not_found" });
  });

  test("parent and child go on in the next process, wherever they were: waiting, and in the middle of being undone", async () => {
    const world = new World();
    const place = newPlace();
    // The first process that cancels the car never hears back.
    let cancels = 0;
    const start = async () => {
      const stay = saga("stay", { input: Nothing }, async (s) => {
        await step(s, world, "hotel");
        await s.signal("go");
        await s.step("car", (id) => world.book("car", id), {
          undo: (id) => (cancels++ === 0 ? new Promise<void>(() => undefined) : world.cancel("car", id)),
        });
      });
      const parent = saga("parent", { input: Nothing }, async (s) => {
        await step(s, world, "flight");
        await s.run(stay, {});
        await step(s, world, "insurance");
      });
      const running = await service("orders", { parts: { parent, stay } }).start({ store: kind.driver(place) });
      onTestFinished(() => running.stop());
      return running;
    };
    const first = await start();
    await first.parent.start("p-1", {});
    await expect.poll(async () => (await first.stay.get(childId).catch(() => undefined))?.steps.length, { timeout: 10_000 }).toBe(2);
    await first.stop();
    world.behaviour.set("insurance", "refuses");
    const second = await start();
    await second.stay.signal(childId, "go");
    await expect.poll(() => cancels, { timeout: 20_000 }).toBe(1);
    await second.stop();
    const third = await start();
    expect(await third.parent.end("p-1", { wait })).toMatchObject({
      status: "compensated",
      steps: [{ state: "undone" }, { state: "undone" }, { state: "failed" }],
    });
    expect(await third.stay.get(childId)).toMatchObject({
      status: "compensated",
      steps: [{ state: "undone" }, { state: "done" }, { state: "undone" }],
    });
    expect(world.standing).toEqual([]);
    expect(world.calls).toEqual([
      ...["book flight", "book hotel", "book car", "book insurance"],
      ...["cancel car", "cancel hotel", "cancel flight"],
    ]);
  }, 60_000);
});

describe.each(storeKinds.filter(({ severalProcesses }) => severalProcesses))("$name, by several processes", (kind) => {
  test("a child that runs in another process is waited for, and taken back", async () => {
    const world = new World();
    world.behaviour.set("insurance", "refuses");
    const place = newPlace();
    const run = async (s: SagaScope, stay: ReturnType<typeof stayIn>): Promise<void> => {
      await s.run(stay, { asks: true });
      await step(s, world, "insurance");
    };
    const here = await familyOn(kind, world, run, { place });
    const there = await familyOn(kind, world, run, { place });
    await there.stays.start(childId, { asks: true });
    await here.parents.start("p-1", {});
    await expect.poll(async () => (await here.parents.get("p-1")).steps, { timeout: 10_000 }).toMatchObject([{ state: "begun" }]);
    await there.stays.signal(childId, "go");
    expect(await here.parents.end("p-1", { wait })).toMatchObject({
      status: "compensated",
      steps: [{ state: "undone" }, { state: "failed" }],
    });
    expect(world.calls).toEqual(["book hotel", "book car", "book insurance", "cancel car", "cancel hotel"]);
  }, 30_000);
});
