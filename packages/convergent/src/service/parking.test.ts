import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { command, entity } from "../entities/entity.ts";
import type { StoreDriver } from "../log/store.ts";
import { accepted } from "../protocol/outcome.ts";
import { reaction } from "../reactions/reaction.ts";
import { giveUp, retryLater } from "../readers/verdict.ts";
import { memory } from "../stores/memory/index.ts";
import { sqlite } from "../stores/sqlite/index.ts";
import { view } from "../views/view.ts";
import { type Parked, type RunningService, runtimeOf, service } from "./service.ts";

const note = entity("note", { initial: () => 0, events: { added: z.object({ n: z.number() }) } })
  .evolve({ added: (count) => count + 1 })
  .commands({ add: command(z.object({ n: z.number() }), (_, input, emit) => emit.added(input)) });

function listing(fails: (n: number) => void, version = 1) {
  return view("listing", { from: [note], document: z.array(z.number()), key: (event) => event.entityId, version }).on({
    "note.added": (document, event) => {
      fails(event.data.n);
      return [...(document ?? []), event.data.n];
    },
  });
}

let openStore: () => StoreDriver = memory;

function sqliteInTemporaryFolder(): StoreDriver {
  const directory = mkdtempSync(join(tmpdir(), "convergent-parking-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return sqlite(join(directory, "notes.db"));
}

type Parts = { note: typeof note; listing: ReturnType<typeof listing> };

async function start(
  fails: (n: number) => void,
  options: { readonly store?: StoreDriver; readonly version?: number; readonly onParked?: (parked: Parked) => void } = {},
): Promise<RunningService<Parts>> {
  const { store = openStore(), version, onParked } = options;
  const parts = { note, listing: listing(fails, version) };
  const running = await service("notes", { parts }).start({ store, attemptsMax: 2, ...(onParked ? { onParked } : {}) });
  onTestFinished(() => running.stop());
  return running;
}

async function add(running: RunningService<Parts>, ...numbers: ReadonlyArray<readonly [string, number]>): Promise<string> {
  let token = "";
  for (const [id, n] of numbers) token = String(accepted(await running.note(id).add({ n })).token);
  return token;
}

const failing =
  (...numbers: readonly number[]) =>
  (n: number): void => {
    if (numbers.includes(n)) throw new Error(`cannot hold ${n}`);
  };

describe.each([
  ["memory", memory],
  ["sqlite", sqliteInTemporaryFolder],
] as const)("%s", (_, open) => {
  beforeEach(() => {
    openStore = open;
  });

  test("an event that fails is parked with its key after some attempts, is told, and holds up no other key", async () => {
    const parked: Parked[] = [];
    const running = await start(failing(1), { onParked: (each) => parked.push(each) });
    const token = await add(running, ["a", 0], ["a", 1], ["a", 2], ["b", 3]);
    expect(await running.listing.get("b", { after: token, wait: "5s" })).toMatchObject({ value: [3], fresh: true });
    await expect.poll(() => parked, { timeout: 5000 }).toHaveLength(1);
    expect(parked[0]).toMatchObject({
      service: "notes",
      reader: "listing",
      key: "a",
      event: { position: 2 },
      attempts: 2,
      error: "cannot hold 1",
    });
    const before = performance.now();
    expect(await running.listing.get("a", { after: token, wait: "20s" })).toMatchObject({
      value: [0],
      fresh: false,
      asOf: 1,
      parked: { position: 2, state: "parked", attempts: 2, error: "cannot hold 1" },
    });
    expect(performance.now() - before).toBeLessThan(5000);
    await expect(running.listing.get("a", { after: token, stale: "error" })).rejects.toMatchObject({ code: "not_fresh" });
    expect(await running.listing.find({}, { after: token })).toMatchObject({ parked: 1 });
    expect(await runtimeOf(running).parked()).toMatchObject([{ reader: "listing", key: "a", position: 2, events: 2 }]);
  });

  test("a read below the parked event is fresh", async () => {
    const running = await start(failing(1));
    const token = await add(running, ["a", 0]);
    await add(running, ["a", 1]);
    await expect.poll(async () => (await runtimeOf(running).parked()).length, { timeout: 5000 }).toBe(1);
    const reading = await running.listing.get("a", { after: token });
    expect(reading).toMatchObject({ value: [0], fresh: true });
    expect(reading.parked).toBeUndefined();
  });

  test("a read waits for an event that is being tried again, at most as long as it may", async () => {
    let failures = 0;
    const running = await start((n) => {
      if (n === 1 && ++failures <= 2) retryLater("not yet");
      if (n === 3) retryLater("never");
    });
    const token = await add(running, ["a", 1], ["a", 2]);
    await expect.poll(async () => (await runtimeOf(running).parked()).length, { timeout: 5000 }).toBe(1);
    expect(await running.listing.get("a", { after: token, wait: "0ms" })).toMatchObject({ fresh: false, parked: { state: "retrying" } });
    expect(await running.listing.get("a", { after: token, wait: "20s" })).toMatchObject({ value: [1, 2], fresh: true });
    const never = await add(running, ["b", 3]);
    const before = performance.now();
    expect(await running.listing.get("b", { after: never, wait: "400ms" })).toMatchObject({ fresh: false, parked: { state: "retrying" } });
    expect(performance.now() - before).toBeGreaterThan(350);
  });

  test("a replay applies the parked event and those behind it, in order; one that fails stays parked", async () => {
    let broken = [1];
    const running = await start((n) => failing(...broken)(n));
    const token = await add(running, ["a", 0], ["a", 1], ["a", 2], ["a", 3]);
    const parked = async (): Promise<object[]> => runtimeOf(running).parked();
    await expect.poll(parked, { timeout: 5000 }).toMatchObject([{ state: "parked" }]);
    expect(await runtimeOf(running).replay({ reader: "listing" })).toBe(1);
    await expect.poll(parked, { timeout: 5000 }).toMatchObject([{ state: "parked", attempts: 3 }]);
    broken = [];
    await runtimeOf(running).replay({ reader: "listing", key: "a" });
    await expect
      .poll(() => running.listing.get("a", { after: token }), { timeout: 5000 })
      .toMatchObject({ value: [0, 1, 2, 3], fresh: true });
    expect(await parked()).toEqual([]);
    await expect(runtimeOf(running).replay({ reader: "listing" })).rejects.toMatchObject({ code: "not_found" });
  });

  test("a discarded event is on record with its reason, what waited behind it goes on, and a higher version skips it too", async () => {
    const store = openStore();
    const running = await start(failing(1), { store });
    const token = await add(running, ["a", 0], ["a", 1], ["a", 2]);
    const runtime = runtimeOf(running);
    await expect.poll(() => runtime.parked(), { timeout: 5000 }).toMatchObject([{ state: "parked" }]);
    await expect(runtime.discard({ reader: "listing", key: "a" }, { reason: " ", by: "ada" })).rejects.toMatchObject({
      code: "invalid_input",
    });
    expect(await runtime.discard({ reader: "listing", key: "a" }, { reason: "a test order", by: "ada" })).toBe(1);
    await expect.poll(() => running.listing.get("a", { after: token }), { timeout: 5000 }).toMatchObject({ value: [0, 2], fresh: true });
    expect(await runtime.log.snapshot((tx) => tx.parking.discards())).toMatchObject([
      { reader: "listing", position: 2, key: "a", reason: "a test order", by: "ada", error: "cannot hold 1" },
    ]);
    await running.stop();
    const next = await start(() => undefined, { store, version: 2 });
    await expect.poll(() => next.listing.get("a", { strong: true }), { timeout: 10_000 }).toMatchObject({ value: [0, 2], fresh: true });
    await expect.poll(() => runtimeOf(next).view("listing").rebuild.state, { timeout: 10_000 }).toBe("active");
    expect(await next.listing.get("a", { strong: true })).toMatchObject({ value: [0, 2] });
  });

  test("a strong version is built without what was discarded in an eventual one", async () => {
    const store = openStore();
    const running = await start(failing(1), { store });
    await add(running, ["a", 0], ["a", 1], ["a", 2]);
    const runtime = runtimeOf(running);
    await expect.poll(() => runtime.parked(), { timeout: 5000 }).toMatchObject([{ state: "parked" }]);
    await runtime.discard({ reader: "listing", key: "a" }, { reason: "a test order", by: "ada" });
    await expect.poll(() => runtime.parked(), { timeout: 5000 }).toEqual([]);
    await running.stop();
    const strong = view("listing", {
      from: [note],
      document: z.array(z.number()),
      key: (event) => event.entityId,
      version: 2,
      consistency: "strong",
    }).on({
      "note.added": (document, event) => {
        failing(1)(event.data.n);
        return [...(document ?? []), event.data.n];
      },
    });
    const next = await service("notes", { parts: { note, listing: strong } }).start({ store });
    expect(await next.listing.get("a", { strong: true })).toMatchObject({ value: [0, 2], fresh: true });
    await next.stop();
  });

  test("what a version parked before the older one did holds up the swap, until that is discarded", async () => {
    const store = openStore();
    const running = await start(failing(2), { store });
    const token = await add(running, ["a", 0], ["a", 1], ["a", 2], ["a", 3]);
    await expect.poll(() => runtimeOf(running).parked(), { timeout: 5000 }).toMatchObject([{ state: "parked", position: 3 }]);
    await running.stop();
    const next = await start(failing(1, 2), { store, version: 2 });
    const runtime = runtimeOf(next);
    const parked = async (): Promise<object[]> => (await runtime.parked()).filter((each) => each.version === 2);
    await expect.poll(parked, { timeout: 5000 }).toMatchObject([{ state: "parked", position: 2 }]);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(await next.listing.get("a", { after: token, wait: "50ms" })).toMatchObject({ value: [0, 1], asOf: 2, parked: { position: 3 } });
    await runtime.discard({ reader: "listing", version: 2, key: "a" }, { reason: "wrong", by: "ada" });
    await expect.poll(parked, { timeout: 10_000 }).toMatchObject([{ state: "parked", position: 3 }]);
    await expect.poll(() => runtime.view("listing").rebuild.state, { timeout: 10_000 }).toBe("active");
    expect(await next.listing.get("a")).toMatchObject({ value: [0], asOf: 2, parked: { position: 3 } });
  });

  test("what was discarded for one version is no longer parked in another that runs beside it", async () => {
    const store = openStore();
    const running = await start(failing(1), { store });
    await add(running, ["a", 0], ["a", 1], ["a", 2], ["b", 5]);
    await expect.poll(() => runtimeOf(running).parked(), { timeout: 5000 }).toMatchObject([{ state: "parked" }]);
    await running.stop();
    const replaced = listing(failing(1));
    const newer = view("listing", {
      from: [note],
      document: z.array(z.number()),
      key: (event) => event.entityId,
      version: 2,
      replaces: { view: replaced },
    }).on({
      "note.added": (document, event) => {
        failing(1, 5)(event.data.n); // with 5 alone it holds up its own swap
        return [...(document ?? []), event.data.n];
      },
    });
    const next = await service("notes", { parts: { note, listing: newer } }).start({ store, attemptsMax: 1 });
    onTestFinished(() => next.stop());
    const runtime = runtimeOf(next);
    await expect.poll(() => runtime.parked(), { timeout: 5000 }).toHaveLength(3);
    await runtime.discard({ reader: "listing", version: 1, key: "a" }, { reason: "wrong", by: "ada" });
    await expect.poll(() => runtime.parked(), { timeout: 10_000 }).toMatchObject([{ version: 2, key: "b" }]);
    await runtime.discard({ reader: "listing", key: "b" }, { reason: "wrong", by: "ada" });
    await expect.poll(() => runtime.view("listing").rebuild.state, { timeout: 10_000 }).toBe("active");
    expect(await next.listing.get("a", { strong: true })).toMatchObject({ value: [0, 2], fresh: true });
  });

  test("a handler says by its error whether to try again: one that gives up is parked at once, one that asks for time is not parked", async () => {
    const tries = { 1: 0, 2: 0 };
    const running = await start((n) => {
      if (n === 1 && ++tries[1] > 0) giveUp("never");
      if (n === 2 && ++tries[2] <= 3) retryLater("not yet");
    });
    const token = await add(running, ["a", 1], ["b", 2]);
    await expect.poll(() => running.listing.get("b", { after: token }), { timeout: 10_000 }).toMatchObject({ value: [2], fresh: true });
    expect(tries).toEqual({ 1: 1, 2: 4 });
    expect(await runtimeOf(running).parked()).toMatchObject([{ key: "a", state: "parked", attempts: 1, error: "never" }]);
  });

  test("what is set aside is known after a restart, and tried on", async () => {
    const store = openStore();
    const running = await start(failing(1), { store });
    await add(running, ["a", 1], ["a", 2]);
    await expect.poll(async () => (await runtimeOf(running).parked()).length, { timeout: 5000 }).toBe(1);
    await running.stop();
    const again = await start(() => undefined, { store });
    const token = await add(again, ["a", 3]);
    if ((await runtimeOf(again).parked())[0]?.state === "parked") await runtimeOf(again).replay({ reader: "listing" });
    await expect.poll(() => again.listing.get("a", { after: token }), { timeout: 5000 }).toMatchObject({ value: [1, 2, 3], fresh: true });
  });

  test("a higher version of a reaction takes over what the one before it has parked, with what waits behind it", async () => {
    const store = openStore();
    const heard = entity("heard", { initial: (): number[] => [], events: { noted: z.object({ n: z.number() }) } })
      .evolve({ noted: (all, { n }) => [...all, n] })
      .commands({ note: command(z.object({ n: z.number() }), (_, input, emit) => emit.noted(input)) });
    const hearing = (version: number, fails: (n: number) => void) => {
      const echo = reaction("echo", { from: [note], to: { heard }, version }).on({
        "note.added": ({ entityId, data }, { commands }) => {
          fails(data.n);
          return commands.heard(entityId).note(data);
        },
      });
      return service("notes", { parts: { note, heard, echo } }).start({ store, attemptsMax: 1 });
    };
    const first = await hearing(1, failing(2));
    for (const n of [1, 2, 3]) await first.note("a").add({ n });
    await expect.poll(() => runtimeOf(first).parked(), { timeout: 5000 }).toMatchObject([{ version: 1, events: 2 }]);
    await first.stop();
    const second = await hearing(2, () => undefined);
    await second.note("a").add({ n: 4 });
    await expect
      .poll(() => runtimeOf(second).parked(), { timeout: 5000 })
      .toContainEqual(expect.objectContaining({ version: 2, events: 3 }));
    await runtimeOf(second).replay({ reader: "echo", version: 2 });
    await expect.poll(() => second.heard.state("a"), { timeout: 5000 }).toMatchObject({ state: [1, 2, 3, 4] });
    await second.stop();
  });

  /** Two drivers onto one open store, as processes that share a file would have it. */
  async function shared(): Promise<StoreDriver> {
    const driver = openStore();
    const store = await driver.open({ name: "notes" });
    const open: StoreDriver["open"] = async () =>
      new Proxy(store, {
        get: (target, property) => {
          if (property === "close") return async () => undefined;
          const value: unknown = Reflect.get(target, property, target);
          return typeof value === "function" ? (value.bind(target) as unknown) : value;
        },
      });
    return { host: driver.host, open };
  }

  test("of two versions of a reaction that run side by side each event is reacted to by the commands of one", async () => {
    const store = await shared();
    const heard = entity("heard", { initial: (): number[] => [], events: { noted: z.object({ n: z.number() }) } })
      .evolve({ noted: (all, { n }) => [...all, n] })
      .commands({ note: command(z.object({ n: z.number() }), (_, input, emit) => emit.noted(input)) });
    const hearing = (version: number, numbers: readonly number[]) => {
      const echo = reaction("echo", { from: [note], to: { heard }, version }).on({
        "note.added": ({ entityId }, { commands }) => numbers.map((n) => commands.heard(entityId).note({ n })),
      });
      return service("notes", { parts: { note, heard, echo } }).start({ store });
    };
    const releases = [await hearing(1, [1, 2]), await hearing(2, [3, 1, 2])] as const;
    for (let index = 0; index < 20; index++) await releases[0].note(`n${index}`).add({ n: 1 });
    const { token } = accepted(await releases[0].note("last").add({ n: 1 }));
    for (const running of releases) expect(await running.waitFor(token)).toBe(true);
    for (let index = 0; index < 20; index++)
      expect([
        [1, 2],
        [3, 1, 2],
      ]).toContainEqual((await releases[0].heard.state(`n${index}`)).state);
    await Promise.all(releases.map((running) => running.stop()));
  });
});
