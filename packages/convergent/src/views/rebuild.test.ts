import { expect, test } from "vitest";
import { z } from "zod";
import { command, entity } from "../entities/entity.ts";
import type { StoreDriver } from "../log/store.ts";
import { accepted } from "../protocol/outcome.ts";
import { runtimeOf, type Running, service } from "../service/service.ts";
import { memory } from "../stores/memory/index.ts";
import { cancelRebuild, dropVersions, resumeRebuild, viewVersions } from "./operating.ts";
import type { RebuildNews } from "./rebuild.ts";
import { view } from "./view.ts";

const thing = entity("thing", { initial: () => ({}), events: { added: z.object({ n: z.number() }) } })
  .evolve({ added: (state) => state })
  .commands({ add: command(z.object({ n: z.number() }), (_, input, emit) => emit.added(input)) });

/** Holds up a build: without its key no event can be applied. */
class Hold {
  held = true;

  check(): void {
    if (this.held) throw new Error("held by the test");
  }
}

const released = new Hold();
released.held = false;

function sums1() {
  return view("sums", {
    version: 1,
    from: [thing],
    document: z.object({ sum: z.number() }),
    key: (event) => event.entityId,
    indexes: ["sum"],
  }).on({ "thing.added": (document, event) => ({ sum: (document?.sum ?? 0) + event.data.n }) });
}

// What version 1 holds meets this schema, too.
function sums2(hold: Hold = released, version: number = 2) {
  return view("sums", {
    version,
    from: [thing],
    document: z.object({ sum: z.number(), count: z.number().default(-1) }),
    key: (event) => {
      hold.check();
      return event.entityId;
    },
    indexes: ["sum", "count"],
  }).on({ "thing.added": (document, event) => ({ sum: (document?.sum ?? 0) + event.data.n, count: (document?.count ?? 0) + 1 }) });
}

const first = service("things", { parts: { thing, sums: sums1() } });
const second = (hold?: Hold, version?: number) => service("things", { parts: { thing, sums: sums2(hold, version) } });

/** A store with version 1 of the view and some events, closed. */
async function seeded(events = 30): Promise<StoreDriver> {
  const store = memory();
  const running = await first.start({ store });
  for (let index = 0; index < events; index++) await running.thing(`t${index % 3}`).add({ n: index });
  expect(await running.waitFor(accepted(await running.thing("t0").add({ n: 1 })).token)).toBe(true);
  await running.stop();
  return store;
}

function versions(running: Running): Promise<Array<[number, string]>> {
  const { log } = runtimeOf(running);
  return log.snapshot(async (tx) => (await viewVersions(tx, log.store)).map(({ version, state }) => [version, state]));
}

function swapped(running: Running, version = 2): Promise<unknown> {
  return expect.poll(() => versions(running), { timeout: 5000 }).toContainEqual([version, "active"]);
}

/** Two drivers onto one open store, as processes that share a file would have it. */
async function shared(): Promise<StoreDriver> {
  const driver = memory();
  const store = await driver.open({ name: "things" });
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

test("while a higher version is built, reads are answered by the older rows and labelled by how far those are", async () => {
  const store = await seeded();
  const hold = new Hold();
  const news: RebuildNews[] = [];
  const running = await second(hold).start({ store, onRebuild: (one) => news.push(one) });
  expect(await running.sums.get("t1")).toMatchObject({ value: { sum: 145, count: -1 }, fresh: true, asOf: 31 });
  expect((await running.sums.find({ sum: { from: 100 } }, { orderBy: "sum" })).value.map(({ key }) => key)).toEqual(["t0", "t1", "t2"]);
  const { token } = accepted(await running.thing("t1").add({ n: 5 }));
  expect(await running.sums.get("t1", { after: token, wait: "50ms" })).toMatchObject({
    ...{ value: { sum: 145, count: -1 }, fresh: false, asOf: 31, behind: { positions: 1 } },
  });
  await expect(running.sums.find({ count: 1 })).rejects.toMatchObject({ code: "rebuilding", details: { view: "sums", version: 2 } });
  expect(await versions(running)).toEqual([
    [1, "active"],
    [2, "building"],
  ]);
  hold.held = false;
  expect(await running.sums.get("t1", { after: token, wait: "10s" })).toMatchObject({ value: { sum: 150, count: 11 }, fresh: true });
  expect((await running.sums.find({ count: 11 })).value.map(({ key }) => key)).toEqual(["t0", "t1"]);
  expect(news.map(({ kind }) => kind)).toEqual(["begun", "swapped"]);
  await running.stop();
});

test("a document that the new definition cannot be answered with is said to be rebuilding, not given", async () => {
  const store = await seeded();
  const hold = new Hold();
  const strict = view("sums", {
    version: 2,
    from: [thing],
    document: z.object({ total: z.number() }),
    key: (event) => {
      hold.check();
      return event.entityId;
    },
  }).on({ "thing.added": (document, event) => ({ total: (document?.total ?? 0) + event.data.n }) });
  const running = await service("things", { parts: { thing, sums: strict } }).start({ store });
  await expect(running.sums.get("t1")).rejects.toMatchObject({
    code: "rebuilding",
    retry: "later",
    message: expect.stringContaining("total") as string,
  });
  expect(await running.sums.get("nobody")).toMatchObject({ value: undefined, fresh: false });
  hold.held = false;
  await swapped(running);
  expect(await running.sums.get("t1", { strong: true })).toMatchObject({ value: { total: 145 }, fresh: true });
  await running.stop();
});

test("a definition that names the one it replaces keeps reads fresh while it is built", async () => {
  const store = await seeded();
  const hold = new Hold();
  const totals = view("sums", {
    version: 2,
    from: [thing],
    document: z.object({ total: z.number() }),
    key: (event) => {
      hold.check();
      return event.entityId;
    },
    replaces: { view: sums1(), as: ({ sum }) => ({ total: sum }) },
  }).on({ "thing.added": (document, event) => ({ total: (document?.total ?? 0) + event.data.n }) });
  const running = await service("things", { parts: { thing, sums: totals } }).start({ store });
  const { token } = accepted(await running.thing("t1").add({ n: 5 }));
  expect(await running.sums.get("t1", { after: token, wait: "10s" })).toMatchObject({ value: { total: 150 }, fresh: true });
  expect(await running.sums.find({}, { strong: true })).toMatchObject({
    fresh: true,
    value: [{ key: "t0" }, { key: "t1", value: { total: 150 } }, { key: "t2" }],
  });
  expect(await versions(running)).toEqual([
    [1, "active"],
    [2, "building"],
  ]);
  hold.held = false;
  await swapped(running);
  const later = accepted(await running.thing("t1").add({ n: 5 }));
  expect(await running.sums.get("t1", { after: later.token, wait: "10s" })).toMatchObject({ value: { total: 155 }, fresh: true });
  await running.stop();
});

test("a build that consumed something else than the log holds fails, names the range, and is never swapped; built again it is right", async () => {
  const store = await seeded();
  const hold = new Hold();
  const news: RebuildNews[] = [];
  const running = await second(hold).start({ store, onRebuild: (one) => news.push(one) });
  const { log } = runtimeOf(running);
  const wrong = { reader: "sums", version: 2, range: 0, events: 0, sumA: 1, sumB: 0, verified: false };
  await log.transact((tx) => tx.addConsumed([wrong]));
  hold.held = false;
  await expect.poll(() => versions(running), { timeout: 5000 }).toContainEqual([2, "failed"]);
  expect(news.at(-1)).toMatchObject({ kind: "failed", reason: expect.stringContaining("positions 1 to 10000") as string });
  expect(await running.sums.get("t1")).toMatchObject({ value: { sum: 145, count: -1 } });
  await log.transact((tx) => resumeRebuild(tx, "sums"));
  await swapped(running);
  expect(await running.sums.get("t1", { strong: true })).toMatchObject({ value: { sum: 145, count: 10 }, fresh: true });
  await running.stop();
});

test("a view that is reset while a version of it is being built is built from the first event, without a restart", async () => {
  const store = await seeded();
  const hold = new Hold();
  const running = await second(hold).start({ store });
  await runtimeOf(running).log.transact((tx) => dropVersions(tx, "sums"));
  await expect.poll(() => versions(running), { timeout: 5000 }).toEqual([[2, "active"]]);
  hold.held = false;
  await expect
    .poll(() => running.sums.get("t1", { strong: true, wait: "50ms" }), { timeout: 15_000 })
    .toMatchObject({ value: { sum: 145, count: 10 }, fresh: true });
  await running.stop();
});

test("of two releases side by side whose view is reset, the newer one's version is the active one again", async () => {
  const store = await shared();
  const older = await first.start({ store });
  await older.thing("t1").add({ n: 1 });
  const hold = new Hold();
  hold.held = false;
  const newer = await second(hold).start({ store });
  await swapped(newer);
  hold.held = true;
  await runtimeOf(newer).log.transact((tx) => tx.dropView("sums"));
  await expect.poll(() => versions(newer), { timeout: 15_000 }).toEqual([[1, "active"]]);
  hold.held = false;
  const both = [
    [1, "retired"],
    [2, "active"],
  ];
  await expect.poll(() => versions(newer), { timeout: 15_000 }).toEqual(both);
  for (const running of [older, newer])
    await expect
      .poll(() => running.sums.get("t1"), { timeout: 15_000 })
      .toMatchObject({ value: expect.objectContaining({ sum: 1 }) as unknown, fresh: true });
  expect(await versions(newer)).toEqual(both);
  await Promise.all([older.stop(), newer.stop()]);
});

test("a cancelled build stands still, also after a restart, while the older version answers; resumed it goes on", async () => {
  const store = await seeded();
  const hold = new Hold();
  let running = await second(hold).start({ store });
  await runtimeOf(running).log.transact((tx) => cancelRebuild(tx, "sums", 2));
  await runtimeOf(running).log.transact((tx) => cancelRebuild(tx, "sums", 2));
  await expect.poll(() => runtimeOf(running).view("sums").reader.state, { timeout: 5000 }).toBe("paused");
  hold.held = false;
  await running.stop();
  running = await second().start({ store });
  await expect.poll(() => runtimeOf(running).view("sums").reader.state, { timeout: 5000 }).toBe("paused");
  expect(await running.sums.get("t1")).toMatchObject({ value: { sum: 145, count: -1 } });
  expect(await runtimeOf(running).log.transact((tx) => resumeRebuild(tx, "sums"))).toBe(2);
  await swapped(running);
  expect(await running.sums.get("t1", { strong: true })).toMatchObject({ value: { sum: 145, count: 10 } });
  await expect(runtimeOf(running).log.transact((tx) => cancelRebuild(tx, "sums", 2))).rejects.toMatchObject({ code: "invalid_input" });
  await running.stop();
});

test("two releases side by side each answer by their own version, before the swap and after it", async () => {
  const store = await shared();
  const older = await first.start({ store });
  await older.thing("t1").add({ n: 1 });
  const hold = new Hold();
  const newer = await second(hold).start({ store });
  const before = accepted(await newer.thing("t1").add({ n: 2 })).token;
  expect(await newer.sums.get("t1", { after: before, wait: "10s" })).toMatchObject({ value: { sum: 3, count: -1 }, fresh: true });
  hold.held = false;
  await swapped(newer);
  const after = accepted(await older.thing("t1").add({ n: 3 })).token;
  expect(await older.sums.get("t1", { after, wait: "10s" })).toMatchObject({ value: { sum: 6 }, fresh: true });
  expect(await newer.sums.get("t1", { after, wait: "10s" })).toMatchObject({ value: { sum: 6, count: 3 }, fresh: true });
  await Promise.all([older.stop(), newer.stop()]);
});

test("a lower version that starts after a higher one is in place builds nothing over it", async () => {
  const store = memory();
  let running: Running = await second().start({ store });
  const { token } = accepted(await (running as Awaited<ReturnType<ReturnType<typeof second>["start"]>>).thing("t1").add({ n: 1 }));
  await running.waitFor(token);
  await running.stop();
  const lower = await first.start({ store });
  expect(await lower.sums.get("t1", { strong: true })).toMatchObject({ value: { sum: 1 }, fresh: true });
  await expect
    .poll(() => versions(lower), { timeout: 5000 })
    .toEqual([
      [1, "retired"],
      [2, "active"],
    ]);
  await lower.stop();
  running = await second().start({ store });
  expect(await versions(running)).toEqual([
    [1, "retired"],
    [2, "active"],
  ]);
  await running.stop();
});

test("a retired version that nobody uses is deleted, a few rows at a time, and nothing of it is left", async () => {
  const store = await seeded();
  const news: RebuildNews[] = [];
  const running = await second().start({ store, onRebuild: (one) => news.push(one) });
  await expect.poll(() => news.at(-1), { timeout: 15_000 }).toEqual({ service: "things", kind: "dropped", view: "sums", version: 1 });
  expect(await versions(running)).toEqual([[2, "active"]]);
  const left = await runtimeOf(running).log.snapshot(async (tx) => [
    await tx.documents("sums", 1, ["t0", "t1", "t2"]),
    (await tx.checkpoints()).filter(({ version }) => version === 1),
  ]);
  expect(left).toEqual([[undefined, undefined, undefined], []]);
  expect(await running.sums.get("t1", { strong: true })).toMatchObject({ value: { sum: 145, count: 10 } });
  await running.stop();
});

function strongSums(version: number, consistency: "strong" | "eventual" = "strong", hold: Hold = released) {
  return view("sums", {
    version,
    from: [thing],
    document: z.object({ sum: z.number() }),
    key: (event) => {
      hold.check();
      return event.entityId;
    },
    consistency,
  }).on({ "thing.added": (document, event) => ({ sum: (document?.sum ?? 0) + event.data.n }) });
}

test("a strong view's next version is built and verified before the service starts, which tells how far it is", async () => {
  const store = memory();
  const older = await service("things", { parts: { thing, sums: strongSums(1) } }).start({ store });
  for (let n = 1; n <= 20; n++) await older.thing("a").add({ n });
  await older.stop();
  const news: RebuildNews[] = [];
  const newer = await service("things", { parts: { thing, sums: strongSums(2) } }).start({ store, onRebuild: (one) => news.push(one) });
  expect(news.map(({ kind }) => kind)).toEqual(["begun", "swapped"]);
  expect(await versions(newer)).toEqual([
    [1, "retired"],
    [2, "active"],
  ]);
  await newer.thing("a").add({ n: 5 });
  expect(await newer.sums.get("a")).toMatchObject({ value: { sum: 215 }, fresh: true, asOf: 21 });
  await newer.stop();
  const late = service("things", { parts: { thing, sums: strongSums(1) } }).start({ store });
  await expect(late).rejects.toMatchObject({ code: "definitions_outdated" });
});

test("an eventual version after a strong one: appends go on, and the strong rows answer as of the moment they were left", async () => {
  const store = memory();
  const older = await service("things", { parts: { thing, sums: strongSums(1) } }).start({ store });
  for (let n = 1; n <= 4; n++) await older.thing("a").add({ n });
  await older.stop();
  const hold = new Hold();
  const newer = await service("things", { parts: { thing, sums: strongSums(2, "eventual", hold) } }).start({ store });
  await newer.thing("a").add({ n: 5 });
  expect(await newer.sums.get("a")).toMatchObject({ value: { sum: 10 }, fresh: false, asOf: 4, behind: { positions: 1 } });
  hold.held = false;
  await swapped(newer);
  expect(await newer.sums.get("a", { strong: true, wait: "10s" })).toMatchObject({ value: { sum: 15 }, fresh: true });
  await newer.stop();
});

test("a build that parked a key which the older version could apply is not used before that is replayed", async () => {
  const store = await seeded();
  const news: RebuildNews[] = [];
  const broken = { is: true };
  const picky = view("sums", {
    version: 2,
    from: [thing],
    document: z.object({ sum: z.number() }),
    key: (event) => event.entityId,
  }).on({
    "thing.added": (document, event) => {
      if (broken.is && event.data.n === 13) throw new Error("thirteen");
      return { sum: (document?.sum ?? 0) + event.data.n };
    },
  });
  const parts = { parts: { thing, sums: picky } };
  let running = await service("things", parts).start({ store, attemptsMax: 1, onRebuild: (one) => news.push(one) });
  await expect
    .poll(() => news.at(-1), { timeout: 10_000 })
    .toMatchObject({ kind: "waiting", keys: 1, key: "t1", position: 14, error: "thirteen" });
  expect(await versions(running)).toEqual([
    [1, "active"],
    [2, "building"],
  ]);
  expect(await running.sums.get("t1")).toMatchObject({ value: { sum: 145 }, fresh: true });
  await running.stop();
  broken.is = false;
  running = await service("things", parts).start({ store });
  const { log } = runtimeOf(running);
  const [row] = await log.snapshot((tx) => tx.parking.keys({ reader: "sums", version: 2, source: "things" }));
  const request = { kind: "replay", reason: "corrected", by: "test", at: 0 } as const;
  await log.transact((tx) => tx.parking.saveEvents([{ ...(row as NonNullable<typeof row>), request }]));
  await swapped(running);
  expect(await running.sums.get("t1", { strong: true, wait: "10s" })).toMatchObject({ value: { sum: 145 }, fresh: true });
  await running.stop();
});

test("which version answers is decided once a snapshot, also when the swap is heard of in the middle of it", async () => {
  const store = await seeded();
  const hold = new Hold();
  const running = await second(hold).start({ store });
  const { rebuild } = runtimeOf(running).view("sums");
  const swapped = Promise.withResolvers<void>();
  const answers = runtimeOf(running).log.snapshot(async (tx) => {
    const before = await rebuild.olderIn(tx);
    hold.held = false;
    await swapped.promise;
    return { before, after: await rebuild.olderIn(tx) };
  });
  await expect.poll(() => rebuild.older, { timeout: 10_000 }).toBe(undefined);
  swapped.resolve();
  const { before, after } = await answers;
  expect(before).toMatchObject({ version: 1 });
  expect(after).toBe(before);
  expect(await runtimeOf(running).log.snapshot((tx) => rebuild.olderIn(tx))).toBe(undefined);
  await running.stop();
});
