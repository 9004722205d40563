// Stored sagas against changed code, on every store: the first step that differs is named, and nothing is done.
import { command, entity, Log, replaySagas, type ReplayOptions, reject, saga, type SagaScope, service } from "convergent";
import { describe, expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { newPlace, storeKinds } from "../stores/store-kinds.ts";

const wait = "20s";
const Nothing = z.object({});

const order = entity("order", { initial: () => ({}), events: { placed: z.object({ quantity: z.number() }) } })
  .evolve({ placed: (state) => state })
  .commands({
    place: command(z.object({ quantity: z.number() }), (_, line, emit) => (line.quantity > 5 ? reject("too many") : emit.placed(line))),
  });
const child = saga("child", { input: Nothing }, async (s) => s.step("inner", () => "inside"));

type Script = (s: SagaScope) => Promise<unknown>;

/** What steps do; in a replay each would be an effect. */
const done: string[] = [];
const work = (what: string) => (): string => {
  done.push(what);
  return what;
};
const undo = { undo: (): void => void done.push("undo") };
const refuse = (): never => {
  throw new Error("the desk is broken");
};
const once = { retry: { attempts: 1 } };

const original: Script = async (s) => {
  const first = await s.step("reserve stock", work("reserve"), undo);
  await Promise.all([s.step("left", work("left")), s.sleep("a moment", "10ms")]);
  await s.run(child, {});
  if (s.id === "fails") await s.step("capture", refuse, once);
  const placed = await s.waitFor(order, "order.placed", { timeout: s.id === "done" ? "50ms" : "1h" });
  if (s.id === "told") await s.signal("go");
  return [first, placed?.data.quantity];
};

const parts = (run: Script, version = 1) => ({ order, child, script: saga("script", { input: Nothing, version }, run) });

describe.each(storeKinds)("$name", (kind) => {
  /** One that has completed, one that was compensated, one that waits for an event, one that has one and waits for a signal. */
  async function history() {
    const place = newPlace();
    const running = await service("orders", { parts: parts(original) }).start({ store: kind.driver(place) });
    const steps = async (id: string, count: number): Promise<void> => {
      await expect.poll(async () => (await running.script.get(id)).steps.length, { timeout: 10_000 }).toBe(count);
    };
    for (const id of ["done", "fails"]) {
      await running.script.start(id, {});
      await running.script.end(id, { wait });
    }
    await running.script.start("told", {});
    await steps("told", 5);
    await running.order("o-1").place({ quantity: 3 });
    await steps("told", 6);
    await running.script.start("waits", {});
    await steps("waits", 5);
    await running.stop();
    const log = await Log.open(kind.driver(place), "orders");
    onTestFinished(() => log.close());
    return { log };
  }

  async function differences(log: Log, run: Script, { version = 1, ...options }: ReplayOptions & { readonly version?: number } = {}) {
    const said: string[] = [];
    const { events: before } = await log.read({ after: 0 as never, limit: 1_000 });
    const effects = done.length;
    for await (const { saga: name, id, difference } of replaySagas({ name: "orders", parts: parts(run, version) }, log, options))
      said.push(`${name} ${id}: ${difference?.message ?? "the same"}`);
    expect(done.length).toBe(effects);
    expect((await log.read({ after: 0 as never, limit: 1_000 })).events).toHaveLength(before.length);
    return said;
  }

  test("code that does what it did is the same for sagas that have ended and sagas that run; code that goes on behind them is, too", async () => {
    const { log } = await history();
    const all = (await differences(log, original)).toSorted();
    expect(all.filter((each) => each.startsWith("script"))).toEqual([
      "script done: the same",
      "script fails: the same",
      "script told: the same",
      "script waits: the same",
    ]);
    expect(all.filter((each) => each.startsWith("child"))).toHaveLength(4);
    expect(all.every((each) => each.endsWith("the same"))).toBe(true);
    const longer: Script = async (s) => {
      await original(s);
      return s.step("note", work("note"));
    };
    expect(await differences(log, longer, { saga: "script" })).toEqual([
      "script done: it completed after 5 steps, the code asks for 'note'",
      "script fails: the same",
      "script told: the same",
      "script waits: the same",
    ]);
    expect(await differences(log, longer, { runningOnly: true })).toEqual(["script told: the same", "script waits: the same"]);
    expect(await differences(log, longer, { id: "told" })).toEqual(["script told: the same"]);
  }, 30_000);

  test("the first step that differs is named: another one, one of another kind, one less, one more", async () => {
    const { log } = await history();
    const only = { saga: "script", id: "waits" };
    const renamed: Script = (s) =>
      original({ ...s, step: (name, run, options) => s.step(name === "reserve stock" ? "check stock" : name, run, options) });
    expect(await differences(log, renamed, only)).toEqual(["script waits: step 1 was 'reserve stock', the code asks for 'check stock'"]);
    const fewer: Script = async (s) => s.step("reserve stock", work("reserve"), undo);
    expect(await differences(log, fewer, only)).toEqual(["script waits: step 2 was 'left', the code asks for nothing more"]);
    const throws: Script = async (s) => {
      await fewer(s);
      throw new Error("a slip");
    };
    expect(await differences(log, throws, only)).toEqual([
      "script waits: step 2 was 'left', the code asks for nothing more; the code throws: a slip",
    ]);
    const kinds: Script = (s) => original({ ...s, sleep: async (name) => void (await s.step(name, work("sleep"))) });
    expect(await differences(log, kinds, only)).toEqual([
      "script waits: step 3 was 'a moment (timer)', the code asks for 'a moment (step)'",
    ]);
    const bare: Script = (s) => original({ ...s, step: (name, run) => s.step(name, run) });
    expect(await differences(log, bare, only)).toEqual([
      "script waits: step 1 was 'reserve stock (with an undo)', the code asks for 'reserve stock (without)'",
    ]);
    const caught: Script = (s) => renamed(s).catch(() => "never mind");
    expect(await differences(log, caught, only)).toEqual(["script waits: step 1 was 'reserve stock', the code asks for 'check stock'"]);
    const forgiving: Script = async (s) => original(s).catch(() => "never mind");
    expect(await differences(log, forgiving, { saga: "script", id: "fails" })).toEqual([
      "script fails: it was undone after 5 steps, the code completes",
    ]);
    const world: Script = async () => new Promise(() => undefined);
    expect(await differences(log, world, only)).toEqual(["script waits: the code waits after 5 steps for something that is no step"]);
  }, 60_000);

  test("a script that branches on the version with which a saga was started goes on with those of both", async () => {
    const { log } = await history();
    const both: Script = async (s) => (s.version === 1 ? original(s) : s.step("all at once", work("all")));
    expect((await differences(log, both, { version: 2, saga: "script" })).every((each) => each.endsWith("the same"))).toBe(true);
    const onlyNew: Script = (s) => s.step("all at once", work("all"));
    expect(await differences(log, onlyNew, { version: 2, saga: "script", runningOnly: true })).toEqual([
      "script told: step 1 was 'reserve stock', the code asks for 'all at once'",
      "script waits: step 1 was 'reserve stock', the code asks for 'all at once'",
    ]);
    await expect(differences(log, original, { saga: "scrip" })).rejects.toMatchObject({ code: "not_found" });
  }, 30_000);
});
