// Sagas on every store: each ends completed, compensated or parked; what was done is undone in reverse order; and whatever is unknown is settled first.
import { command, ConvergentError, entity, type ParkedSaga, reaction, saga, type SagaScope, service, type StartOptions } from "convergent";
import { describe, expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { newPlace, openLog, type StoreKind, storeKinds } from "../stores/store-kinds.ts";
import { quick, step, travels, tripIn, World } from "./trip.ts";

const input = { to: "Oslo", nights: 2 };
const wait = "20s";

async function codeOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => "no error",
    (error: unknown) => (error instanceof ConvergentError ? error.code : error),
  );
}

async function scriptedOn<Result>(
  kind: StoreKind,
  run: (s: SagaScope) => Promise<Result>,
  { place = newPlace(), parked = [] as ParkedSaga[] } = {},
) {
  const scripts = service("orders", { parts: { script: saga("script", { input: z.object({}) }, run) } });
  const running = await scripts.start({ store: kind.driver(place), onParkedSaga: (each) => parked.push(each) });
  onTestFinished(() => running.stop());
  return { script: running.script, place, stop: () => running.stop() };
}

describe.each(storeKinds)("$name", (kind) => {
  async function started(world = new World(), { place = newPlace(), ...options }: Partial<StartOptions> & { place?: string } = {}) {
    const running = await travels(world).start({ store: kind.driver(place), ...options });
    onTestFinished(() => running.stop());
    return { world, place, trips: running.bookTrip, stop: () => running.stop() };
  }

  test("a saga whose steps succeed completes, with its result, and each step was done once", async () => {
    const { world, trips } = await started();
    const { token, repeated } = await trips.start("t-1", input);
    expect([repeated, token.entries[0]?.position]).toEqual([false, expect.any(Number)]);
    const end = await trips.end("t-1", { wait });
    expect(end).toMatchObject({ status: "completed", input, result: { seat: "flight-1", to: "Oslo" }, version: 8 });
    expect(end.steps.map(({ name, state, result }) => [name, state, result])).toEqual([
      ["flight", "done", "flight-1"],
      ["hotel", "done", "hotel-1"],
      ["car", "done", "car-1"],
    ]);
    expect(world.calls).toEqual(["book flight", "book hotel", "book car"]);
  });

  test("a step that is refused undoes those before it, in reverse order, and not itself", async () => {
    const { world, trips } = await started();
    world.behaviour.set("car", "refuses");
    await trips.start("t-1", input);
    const end = await trips.end("t-1", { wait });
    expect(end).toMatchObject({ status: "compensated", error: expect.stringContaining("no car left") as string });
    expect(end.steps.map(({ name, state }) => [name, state])).toEqual([
      ["flight", "undone"],
      ["hotel", "undone"],
      ["car", "failed"],
    ]);
    expect(world.calls).toEqual(["book flight", "book hotel", "book car", "cancel hotel", "cancel flight"]);
    expect(world.standing).toEqual([]);
  });

  test("a step that breaks is tried again under its id, and undone with the others when it never succeeds", async () => {
    const { world, trips } = await started();
    world.behaviour.set("hotel", "breaks once");
    await trips.start("t-1", input);
    expect((await trips.end("t-1", { wait })).steps[1]).toMatchObject({ state: "done", retries: 1, error: "the hotel desk is broken" });
    world.behaviour.set("hotel", "breaks");
    await trips.start("t-2", input);
    const end = await trips.end("t-2", { wait });
    expect(end).toMatchObject({ status: "compensated" });
    expect(world.calls.slice(4)).toEqual(["book flight", "book hotel", "book hotel", "book hotel", "cancel hotel", "cancel flight"]);
    expect(world.standing).toEqual(["flight", "hotel", "car"]); // of the first one
  });

  test("what became of a step whose reply is lost is asked by voiding its id: one that happened is undone, one that hangs cannot happen any more", async () => {
    const { world, trips } = await started();
    world.behaviour.set("hotel", "loses its reply");
    await trips.start("lost", input);
    expect(await trips.end("lost", { wait })).toMatchObject({ status: "compensated", steps: [{ state: "undone" }, { state: "undone" }] });
    expect(world.calls.slice(-3)).toEqual(["void hotel", "cancel hotel", "cancel flight"]);
    world.behaviour.set("hotel", "hangs");
    await trips.start("hangs", input);
    expect(await trips.end("hangs", { wait })).toMatchObject({ status: "compensated", steps: [{ state: "undone" }, { state: "void" }] });
    expect(world.calls.slice(-2)).toEqual(["void hotel", "cancel flight"]);
    expect(await codeOf(world.book("hotel", "book-trip/hangs/hotel"))).toBe("id_voided");
    expect(world.standing).toEqual([]);
  });

  test("a step that is refused after an attempt of it got lost is voided nevertheless: the lost one may still arrive", async () => {
    const { world, trips } = await started();
    world.behaviour.set("hotel", "hangs, then refuses");
    await trips.start("t-1", input);
    expect(await trips.end("t-1", { wait })).toMatchObject({ status: "compensated", steps: [{ state: "undone" }, { state: "void" }] });
    expect(world.calls).toEqual(["book flight", "book hotel", "book hotel", "void hotel", "cancel flight"]);
    expect(await codeOf(world.book("hotel", "book-trip/t-1/hotel"))).toBe("id_voided");
  });

  test("an attempt that runs out of time is tried again", async () => {
    const { world, trips } = await started();
    world.behaviour.set("hotel", "hangs once");
    await trips.start("t-1", input);
    expect(await trips.end("t-1", { wait })).toMatchObject({
      status: "completed",
      steps: [{}, { retries: 1, error: "no answer within 100ms" }, {}],
    });
  });

  test("nobody can say what became of a step and it cannot be voided: the saga is parked, and goes on when somebody has seen to it", async () => {
    const parked: ParkedSaga[] = [];
    const undone: string[] = [];
    const { script } = await scriptedOn(
      kind,
      async (s) => {
        await s.step("first", () => 1, { undo: () => void undone.push("first") });
        await s.step("second", () => new Promise(() => undefined), { ...quick, timeout: "20ms", undo: () => void undone.push("second") });
      },
      { parked },
    );
    await script.start("s-1", {});
    const end = await script.end("s-1", { wait });
    expect(end).toMatchObject({ status: "parked", error: expect.stringMatching(/nobody knows whether "second"/) as string });
    expect(parked).toMatchObject([{ saga: "script", id: "s-1", step: "second" }]);
    expect(undone).toEqual([]);
    expect(await codeOf(script.cancel("s-1", { reason: "tired" }))).toBe("saga_ended");
    await script.resolve("s-1", { reason: "looked it up: it never happened", by: "ada" });
    expect(await script.end("s-1", { wait })).toMatchObject({ status: "compensated", steps: [{ state: "undone" }, { state: "resolved" }] });
    expect(undone).toEqual(["first"]);
  });

  test("an undo that fails for good parks the saga; it is tried again when an operator says so", async () => {
    const parked: ParkedSaga[] = [];
    const world = new World();
    const { trips } = await started(world, { onParkedSaga: (each) => parked.push(each) });
    world.behaviour.set("car", "refuses");
    world.behaviour.set("cancel hotel", "breaks");
    await trips.start("t-1", input);
    expect(await trips.end("t-1", { wait })).toMatchObject({
      status: "parked",
      steps: [{ state: "done" }, { state: "stuck" }, { state: "failed" }],
    });
    expect(parked).toMatchObject([{ saga: "book-trip", id: "t-1", step: "hotel", error: "the hotel desk is broken" }]);
    world.behaviour.delete("cancel hotel");
    await trips.retry("t-1", { reason: "the desk is back", by: "ada" });
    expect(await trips.end("t-1", { wait })).toMatchObject({
      status: "compensated",
      steps: [{ state: "undone" }, { state: "undone" }, {}],
    });
    expect(world.standing).toEqual([]);
    expect(await codeOf(trips.retry("t-1", { reason: "again", by: "ada" }))).toBe("saga_ended");
  });

  test("of many who start a saga at once all get one; another input is refused, and so is what does not meet the schema", async () => {
    const { world, trips } = await started();
    const all = await Promise.all(Array.from({ length: 8 }, () => trips.start("t-1", input)));
    expect(all.filter(({ repeated }) => !repeated)).toHaveLength(1);
    expect(await trips.end("t-1", { wait })).toMatchObject({ status: "completed" });
    expect(world.calls).toHaveLength(3);
    expect((await trips.start("t-1", { nights: 2, to: "Oslo" })).repeated).toBe(true);
    expect(await codeOf(trips.start("t-1", { to: "Rome", nights: 2 }))).toBe("saga_exists");
    expect(await codeOf(trips.start("t-2", { to: "Rome", nights: 0 }))).toBe("invalid_input");
    expect(await codeOf(trips.get("t-2"))).toBe("saga_not_found");
    expect(await codeOf(trips.signal("t-2", "go"))).toBe("saga_not_found");
    expect(await codeOf(trips.signal("t-1", "go"))).toBe("saga_ended");
  });

  test("steps side by side both end before anything is undone", async () => {
    const world = new World();
    world.behaviour.set("flight", "refuses");
    const { script } = await scriptedOn(kind, async (s) => {
      const slow = s.step(
        "hotel",
        async (id) => {
          await new Promise((resolve) => setTimeout(resolve, 50));
          return world.book("hotel", id);
        },
        { undo: (id) => world.cancel("hotel", id) },
      );
      await Promise.all([step(s, world, "flight"), slow]);
    });
    await script.start("s-1", {});
    expect(await script.end("s-1", { wait })).toMatchObject({ status: "compensated" });
    expect(world.calls).toEqual(["book flight", "book hotel", "cancel hotel"]);
  });

  test("a script may handle the failure of a step, and waits for signals and timers", async () => {
    const { script } = await scriptedOn(kind, async (s) => {
      const first = await s.step("may fail", () => Promise.reject(new ConvergentError("rejected", "no"))).catch(() => "instead");
      await s.sleep("a moment", "20ms");
      const early = await s.signal("never", { timeout: "20ms" });
      const { by } = (await s.signal<{ by: string }>("approved")) as { by: string };
      return { first, early: early === undefined, by, second: await s.signal<number>("approved") };
    });
    await script.start("s-1", {});
    await script.signal("s-1", "approved", { by: "ada" });
    await expect.poll(async () => (await script.get("s-1")).steps.at(-1)?.name, { timeout: 10_000 }).toBe("approved #2");
    await script.signal("s-1", "approved", 7);
    expect(await script.end("s-1", { wait })).toMatchObject({
      status: "completed",
      result: { first: "instead", early: true, by: "ada", second: 7 },
    });
  });

  test("a saga that is cancelled undoes what it did, and the undos are not cancelled", async () => {
    const world = new World();
    const { script } = await scriptedOn(kind, async (s) => {
      await s.step("flight", (id) => world.book("flight", id), {
        undo: async (id, { signal }) => {
          await new Promise((resolve) => setTimeout(resolve, 20));
          if (!signal.aborted) await world.cancel("flight", id);
        },
      });
      await s.sleep("long", "1h");
    });
    await script.start("s-1", {});
    await expect.poll(async () => (await script.get("s-1")).steps.length, { timeout: 10_000 }).toBe(2);
    await script.cancel("s-1", { reason: "changed my mind" });
    expect(await script.end("s-1", { wait })).toMatchObject({
      status: "compensated",
      cancelled: "changed my mind",
      steps: [
        { name: "flight", state: "undone" },
        { name: "long", state: "failed" },
      ],
    });
    expect(world.standing).toEqual([]);
  });

  test("a saga that was cancelled between two steps is undone to its end by a later process, where the first one died among the undos", async () => {
    const place = newPlace();
    const undone: string[] = [];
    const run = async (s: SagaScope): Promise<void> => {
      await s.step("first", () => 1, { undo: () => void undone.push("first") });
      await s.step("second", () => 2);
    };
    const log = await openLog(kind, place);
    const facts: ReadonlyArray<readonly [string, object]> = [
      ["started", { input: {}, version: 1, owner: "somebody who is gone", run: "r-1" }],
      ["begun", { step: "first", kind: "step", undo: true }],
      ["cancelled", { reason: "enough" }],
      ["done", { step: "first", result: 1 }],
      ["undoing", { error: "the saga was cancelled: enough" }],
      ["undo-begun", { step: "first" }],
    ];
    await log.append({ stream: "script/s-1", expected: "none", events: facts.map(([name, data]) => ({ type: `script.${name}`, data })) });
    await log.close();
    const { script } = await scriptedOn(kind, run, { place });
    expect(await script.end("s-1", { wait })).toMatchObject({ status: "compensated", steps: [{ name: "first", state: "undone" }] });
    expect(undone).toEqual(["first"]);
  }, 30_000);

  test("what a saga is told under an id it is told once, and a repeat is answered after its end as well", async () => {
    const { script } = await scriptedOn(kind, async (s) => [await s.signal("go"), await s.signal("go")]);
    await script.start("s-1", {});
    expect((await script.signal("s-1", "go", 1, { id: "k-1", scope: "ada" })).repeated).toBe(false);
    const again = await Promise.all([1, 2, 3].map(() => script.signal("s-1", "go", 1, { id: "k-1", scope: "ada" })));
    expect(again.map(({ repeated }) => repeated)).toEqual([true, true, true]);
    expect(await codeOf(script.signal("s-1", "go", 2, { id: "k-1", scope: "ada" }))).toBe("idempotency_key_reused");
    expect((await script.get("s-1")).status).toBe("running");
    const { token } = await script.signal("s-1", "go", 1, { id: "k-1", actor: "bob" });
    expect(await script.end("s-1", { wait })).toMatchObject({ status: "completed", result: [1, 1] });
    const late = await script.signal("s-1", "go", 1, { id: "k-1", actor: "bob" });
    expect([late.repeated, String(late.token)]).toEqual([true, String(token)]);
    expect(await codeOf(script.signal("s-1", "go", 1, { id: "k-1", actor: "cy" }))).toBe("saga_ended");
  });

  test("what a step answers must be JSON; one that is not may have had its effect, and is undone", async () => {
    const undone: string[] = [];
    const { script } = await scriptedOn(kind, async (s) => {
      await s.step("map", () => new Map(), { undo: (_, { done }) => void undone.push(`map ${done}`) });
    });
    await script.start("s-1", {});
    expect(await script.end("s-1", { wait })).toMatchObject({
      status: "compensated",
      error: expect.stringMatching(/cannot be written as JSON/) as string,
    });
    expect(undone).toEqual(["map false"]);
  });

  test("a service that stops in the middle of a saga goes on with it when it starts again, and does no step twice that is known to be done", async () => {
    const world = new World();
    world.behaviour.set("hotel", "hangs");
    const place = newPlace();
    const first = await started(world, { place });
    await first.trips.start("t-1", input);
    await expect.poll(() => world.calls.length).toBe(2);
    await first.stop();
    world.behaviour.delete("hotel");
    const second = await started(world, { place });
    expect(await second.trips.end("t-1", { wait })).toMatchObject({ status: "completed", result: { seat: "flight-1", to: "Oslo" } });
    expect(world.calls).toEqual(["book flight", "book hotel", "book hotel", "book car"]);
    expect(world.standing).toEqual(["flight", "hotel", "car"]);
  }, 30_000);

  test("a step that is refused when a later process takes it up is voided: the request of the one before may be on its way", async () => {
    const world = new World();
    world.behaviour.set("hotel", "hangs");
    const place = newPlace();
    const first = await started(world, { place });
    await first.trips.start("t-1", input);
    await expect.poll(() => world.calls.length).toBe(2);
    await first.stop();
    world.behaviour.set("hotel", "refuses");
    const second = await started(world, { place });
    expect(await second.trips.end("t-1", { wait })).toMatchObject({
      status: "compensated",
      steps: [{ state: "undone" }, { state: "void" }],
    });
    expect(world.calls.slice(-3)).toEqual(["book hotel", "void hotel", "cancel flight"]);
  }, 30_000);

  test("reactions and views follow what becomes of a saga, like the events of an entity", async () => {
    const world = new World();
    const trip = tripIn(world);
    const diary = entity("diary", { initial: () => ({ lines: 0 }), events: { written: z.object({}) } })
      .evolve({ written: ({ lines }) => ({ lines: lines + 1 }) })
      .commands({ write: command(z.object({}), (_, __, emit) => emit.written({})) });
    const remember = reaction("remember", { from: [trip.entity], to: { diary } }).on({
      "book-trip.completed": (_, { commands }) => commands.diary("d-1").write({}),
    });
    const running = await service("orders", { parts: { trip, diary, remember } }).start({ store: kind.driver(newPlace()) });
    onTestFinished(() => running.stop());
    await running.trip.start("t-1", input);
    await running.trip.end("t-1", { wait });
    await expect.poll(() => running.diary.state("d-1").catch(() => undefined), { timeout: 10_000 }).toMatchObject({ state: { lines: 1 } });
  });

  test("a script that was changed under a running saga is told, by the first step that differs, and the saga is parked", async () => {
    const place = newPlace();
    const first = await scriptedOn(
      kind,
      async (s) => {
        await s.step("one", () => 1);
        await s.step("two", () => 2);
        await s.signal("go");
      },
      { place },
    );
    await first.script.start("s-1", {});
    await expect.poll(async () => (await first.script.get("s-1")).steps.length, { timeout: 10_000 }).toBe(3);
    await first.stop();
    const parked: ParkedSaga[] = [];
    const second = await scriptedOn(
      kind,
      async (s) => {
        await s.step("one", () => 1);
        await s.step("another", () => 2);
      },
      { place, parked },
    );
    const end = await second.script.end("s-1", { wait });
    expect(end).toMatchObject({ status: "parked", error: 'the script asks for "another", and history has "two" next' });
    expect(parked).toHaveLength(1);
  }, 30_000);

  test("whoever watches sees every state in order, the first one at once and the end last", async () => {
    const { world, trips } = await started();
    world.behaviour.set("car", "refuses");
    await trips.start("t-1", input);
    const seen: string[] = [];
    for await (const { status, steps, version } of trips.watch("t-1"))
      seen.push(`${version} ${status} ${steps.map(({ state }) => state).join(",")}`);
    expect(seen.at(-1)).toBe("13 compensated undone,undone,failed");
    const versions = seen.map((each) => Number.parseInt(each, 10));
    expect(versions).toEqual(versions.toSorted((a, b) => a - b));
  });
});

describe.each(storeKinds.filter(({ severalProcesses }) => severalProcesses))("$name, by several processes", (kind) => {
  test("an execution whose saga was taken over is told, and writes nothing any more", async () => {
    const place = newPlace();
    let release: () => void = () => undefined;
    const told: Array<{ readonly aborted: boolean }> = [];
    const { script } = await scriptedOn(
      kind,
      async (s) => {
        const run = told.length;
        return s.step("slow", async (_, { signal }) => {
          told.push(signal);
          if (run === 0) await new Promise<void>((resolve) => (release = resolve));
          return run;
        });
      },
      { place },
    );
    await script.start("s-1", {});
    const other = await openLog(kind, place);
    const taken = { type: "script.taken", data: { owner: "somebody who is gone", run: "another" } };
    await other.append({ stream: "script/s-1", expected: "any", events: [taken] });
    await expect.poll(() => told[0]?.aborted, { timeout: 10_000 }).toBe(true);
    release();
    expect(await script.end("s-1", { wait })).toMatchObject({ status: "completed", result: 1 });
    const types = (await other.stream("script/s-1")).map(({ type }) => type.slice("script.".length));
    expect(types).toEqual(["started", "begun", "taken", "taken", "done", "completed"]);
    expect(told.map(({ aborted }) => aborted)).toEqual([true, false]);
  }, 30_000);

  test("one that is cancelled by another process while it comes to its end is undone", async () => {
    const place = newPlace();
    const undone: string[] = [];
    const { script } = await scriptedOn(
      kind,
      async (s) => {
        await s.step("one", () => 1, { undo: () => void undone.push("one") });
        const cancelled = { type: "script.cancelled", data: { reason: "changed my mind" } };
        await other.append({ stream: "script/s-1", expected: "any", events: [cancelled] });
      },
      { place },
    );
    const other = await openLog(kind, place);
    await script.start("s-1", {});
    expect(await script.end("s-1", { wait })).toMatchObject({ status: "compensated", error: "the saga was cancelled: changed my mind" });
    expect(undone).toEqual(["one"]);
  }, 30_000);
});
