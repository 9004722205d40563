// The versions of a view where something happens at a bad moment: a build is dropped while it is about to be swapped, or while
// others work on it, and releases with strong versions start in the wrong order.
import {
  accepted,
  command,
  dropRows,
  dropVersions,
  entity,
  Log,
  type RebuildNews,
  type RunningService,
  service,
  type Store,
  type StoreDriver,
  view,
  viewVersions,
} from "convergent";
import { describe, expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { newPlace, type StoreKind, storeKinds } from "./store-kinds.ts";

const thing = entity("thing", { initial: () => ({}), events: { added: z.object({ n: z.number() }) } })
  .evolve({ added: (state) => state })
  .commands({ add: command(z.object({ n: z.number() }), (_, input, emit) => emit.added(input)) });

interface Shape {
  readonly strong?: boolean;
  /** Whether its build is held up. */
  readonly held?: () => boolean;
  /** A number that it cannot add. */
  readonly fails?: number;
}

function things(version: number, { strong = false, held = () => false, fails }: Shape = {}) {
  const sums = view("sums", {
    version,
    from: [thing],
    document: z.object({ sum: z.number() }),
    key: (event) => {
      if (held()) throw new Error("held by the test");
      return event.entityId;
    },
    consistency: strong ? "strong" : "eventual",
  }).on({
    "thing.added": (document, event) => {
      if (event.data.n === fails) throw new Error(`cannot add ${fails}`);
      return { sum: (document?.sum ?? 0) + event.data.n };
    },
  });
  return service("things", { parts: { thing, sums } });
}

type Things = RunningService<ReturnType<typeof things>["parts"]>;

/** One open store, opened as often as wanted, as processes that share a file would have it. `before` is called before each of its writes. */
async function shared(kind: StoreKind): Promise<(before?: () => Promise<void>) => StoreDriver> {
  const driver = kind.driver(newPlace());
  const store = await driver.open({ name: "things" });
  onTestFinished(() => store.close());
  return (before) => ({
    host: driver.host,
    open: async () =>
      new Proxy(store, {
        get: (target, property) => {
          if (property === "close") return async () => undefined;
          const value: unknown = Reflect.get(target, property, target);
          if (typeof value !== "function") return value;
          const call = value.bind(target) as (...given: unknown[]) => Promise<unknown>;
          return property === "write" && before ? async (...given: unknown[]) => before().then(() => call(...given)) : call;
        },
      }),
  });
}

async function start(store: StoreDriver, definition: ReturnType<typeof things>, news: RebuildNews[] = []): Promise<Things> {
  const running = await definition.start({ store, attemptsMax: 1, onRebuild: (one) => news.push(one) });
  onTestFinished(() => running.stop());
  return running;
}

async function seed(running: Things): Promise<void> {
  for (let n = 0; n < 12; n++) await running.thing(`t${n % 3}`).add({ n });
}

async function versions(driver: StoreDriver): Promise<Array<readonly [number, string]>> {
  const store: Store = await driver.open({ name: "things" });
  return (await store.read((tx) => viewVersions(tx, "things"))).map(({ version, state }) => [version, state] as const);
}

/** Drops version 2: marks it, and deletes its rows if that is asked. */
async function drop(driver: StoreDriver, rows: "marked" | "deleted"): Promise<void> {
  const log = await Log.open(driver, "things");
  await log.transact((tx) => dropVersions(tx, "sums", 2)).catch(() => undefined); // it is not there yet, or answers by now
  if (rows === "deleted") await dropRows(log, { name: "sums", version: 2 });
  await log.close();
}

const both = [
  [1, "retired"],
  [2, "active"],
];
const moments = [1, 2, 3, 4, 5, 6, 7, 8].flatMap((nth) => [[nth, "marked"] as const, [nth, "deleted"] as const]);

/** A driver that drops version 2 before the n-th write of whoever opens it. */
function droppedBefore(open: Awaited<ReturnType<typeof shared>>, nth: number, rows: "marked" | "deleted"): StoreDriver {
  let writes = 0;
  return open(async () => {
    if (++writes === nth) await drop(open(), rows);
  });
}

describe.each(storeKinds)("$name", (kind) => {
  test.each(moments)("a build that is dropped before its process's write %i (%s) is begun anew, and swapped whole", async (nth, rows) => {
    const open = await shared(kind);
    const older = await start(open(), things(1));
    await seed(older);
    const newer = await start(droppedBefore(open, nth, rows), things(2));
    await expect.poll(() => versions(open()), { timeout: 10_000 }).toEqual(both);
    const { token } = accepted(await newer.thing("t1").add({ n: 100 }));
    for (const running of [older, newer])
      expect(await running.sums.get("t1", { after: token, wait: "10s" })).toMatchObject({ value: { sum: 122 }, fresh: true });
  });

  test.each(moments)("a strong build that is dropped before its process's write %i (%s) is switched whole", async (nth, rows) => {
    const open = await shared(kind);
    const older = await start(open(), things(1, { strong: true }));
    await seed(older);
    const newer = await start(droppedBefore(open, nth, rows), things(2, { strong: true }));
    expect(await versions(open())).toEqual(both);
    accepted(await newer.thing("t1").add({ n: 100 }));
    expect(await newer.sums.get("t1")).toMatchObject({ value: { sum: 122 }, fresh: true });
    await expect(older.thing("t1").add({ n: 1 })).rejects.toMatchObject({ code: "definitions_outdated" });
  });

  test("a build that is dropped while it is worked on never answers before it has all that the older version has", async () => {
    const open = await shared(kind);
    const older = await start(open(), things(1));
    await seed(older);
    const state = { held: true };
    const news: RebuildNews[] = [];
    await start(open(), things(2, { held: () => state.held, fails: 7 }), news);
    await drop(open(), "deleted");
    state.held = false;
    await expect.poll(() => news.at(-1), { timeout: 10_000 }).toMatchObject({ kind: "waiting", keys: 1, key: "t1" });
    expect(await versions(open())).toEqual([
      [1, "active"],
      [2, "building"],
    ]);
  });

  test("a build that two processes work on is dropped and built again by both", async () => {
    const open = await shared(kind);
    await seed(await start(open(), things(1)));
    const state = { held: true };
    const newer = [
      await start(open(), things(2, { held: () => state.held })),
      await start(open(), things(2, { held: () => state.held })),
    ] as const;
    await drop(open(), "deleted");
    state.held = false;
    await expect.poll(() => versions(open()), { timeout: 20_000 }).toEqual(both);
    const { token } = accepted(await newer[0].thing("t1").add({ n: 100 }));
    for (const running of newer)
      expect(await running.sums.get("t1", { after: token, wait: "10s" })).toMatchObject({ value: { sum: 122 }, fresh: true });
  });

  test.each([
    [1, 2],
    [2, 1],
  ])("of strong versions %i and %i that start at once the higher one is folded, and only its release appends", async (...order) => {
    const open = await shared(kind);
    const started = await Promise.allSettled(order.map((version) => start(open(), things(version, { strong: true }))));
    const [older, newer] = order[0] === 1 ? started : [...started].reverse();
    if (newer?.status !== "fulfilled") throw new Error("the newer release did not start", { cause: newer?.reason });
    accepted(await newer.value.thing("a").add({ n: 1 }));
    expect(await newer.value.sums.get("a")).toMatchObject({ value: { sum: 1 }, fresh: true });
    const outdated = { code: "definitions_outdated" };
    if (older?.status === "rejected") expect(older.reason).toMatchObject(outdated);
    else await expect(older?.value.thing("a").add({ n: 1 })).rejects.toMatchObject(outdated);
    expect((await versions(open())).at(-1)).toEqual([2, "active"]);
  });

  test("an older release whose version is strong is refused beside a newer one whose version is eventual, which appends as before", async () => {
    const open = await shared(kind);
    const older = await start(open(), things(1, { strong: true }));
    await seed(older);
    const state = { held: true };
    const newer = await start(open(), things(2, { held: () => state.held }));
    await expect(older.thing("t1").add({ n: 1 })).rejects.toMatchObject({ code: "definitions_outdated" });
    for (const held of [true, false]) {
      state.held = held;
      if (!held) await expect.poll(() => versions(open()), { timeout: 10_000 }).toEqual(both);
      await expect(start(open(), things(1, { strong: true }))).rejects.toMatchObject({ code: "definitions_outdated" });
      accepted(await newer.thing("t1").add({ n: 50 }));
    }
    expect(await newer.sums.get("t1", { strong: true, wait: "10s" })).toMatchObject({ value: { sum: 122 }, fresh: true });
  });

  test("an older release whose version is strong starts as long as the newer strong one is being built, and when its build stands still", async () => {
    const open = await shared(kind);
    const older = await start(open(), things(1, { strong: true }));
    await seed(older);
    await expect(start(open(), things(2, { strong: true, fails: 7 }))).rejects.toThrow("cannot add 7");
    expect(await versions(open())).toEqual([
      [1, "active"],
      [2, "building"],
    ]);
    const again = await start(open(), things(1, { strong: true }));
    accepted(await again.thing("t1").add({ n: 100 }));
    expect(await older.sums.get("t1")).toMatchObject({ value: { sum: 122 }, fresh: true });
    const newer = await start(open(), things(2, { strong: true }));
    expect(await newer.sums.get("t1")).toMatchObject({ value: { sum: 122 }, fresh: true });
  });
});
