import { mkdtempSync, rmSync, statSync, utimesSync, watch } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, onTestFinished, test, vi } from "vitest";
import { nodeHost } from "../../host-node/host.ts";
import type { Host } from "../../host/host.ts";
import type { Store } from "../../log/store.ts";
import type { Position } from "../../position/position.ts";
import { Database } from "./database.ts";
import { type SqliteOptions, sqlite } from "./index.ts";

function newFile(): string {
  const directory = mkdtempSync(join(tmpdir(), "convergent-sqlite-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return join(directory, "store.db");
}

async function openStore(file: string, options: SqliteOptions = {}): Promise<Store> {
  const store = await sqlite(file, options).open({ name: "orders" });
  onTestFinished(() => store.close());
  return store;
}

/** The write lock, as another process would hold it. */
function takeLock(file: string): () => void {
  const other = new DatabaseSync(file);
  other.exec("BEGIN IMMEDIATE");
  return () => {
    other.exec("ROLLBACK");
    other.close();
  };
}

const save = (store: Store, text: string): Promise<void> =>
  store.write((tx) => tx.saveDocuments([{ view: "v", version: 1, key: "k", document: JSON.stringify(text), indexes: [] }]));

const load = (store: Store): Promise<string | undefined> => store.read(async (tx) => (await tx.documents("v", 1, ["k"]))[0]);

test("a write waits for another process's lock while the event loop goes on turning", async () => {
  const file = newFile();
  const store = await openStore(file);
  const release = takeLock(file);
  const write = save(store, "x");
  let turns = 0;
  for (; turns < 50; turns++) await nodeHost().timers.sleep(1);
  expect(await load(store)).toBeUndefined();
  release();
  await write;
  expect(await load(store)).toBe('"x"');
});

test("a lock that is not released in time is reported with the file, and nothing was written", async () => {
  const file = newFile();
  const store = await openStore(file, { lockWaitLimitMs: 30 });
  const release = takeLock(file);
  await expect(save(store, "x")).rejects.toMatchObject({ code: "unavailable", message: expect.stringContaining(file) as string });
  release();
  expect(await load(store)).toBeUndefined();
  await save(store, "y");
  expect(await load(store)).toBe('"y"');
});

test("a write whose body swallows the failure of a statement is refused all the same, and rolled back", async () => {
  const store = await openStore(newFile());
  const event = { position: 1 as Position, id: "i", stream: "a/b", version: 1, type: "a.b", at: 1, data: "1", metadata: "{}", digest: "d" };
  const write = store.write(async (tx) => {
    await tx.saveDocuments([{ view: "v", version: 1, key: "k", document: '"x"', indexes: [] }]);
    await tx.insert({ events: [event], heads: new Map(), ids: [] });
    await tx.insert({ events: [event], heads: new Map(), ids: [] }).catch(() => undefined); // position 1 is taken
    await tx.saveDocuments([{ view: "v", version: 1, key: "k", document: '"y"', indexes: [] }]).catch(() => undefined);
  });
  await expect(write).rejects.toThrow(/UNIQUE/);
  expect(await load(store)).toBeUndefined();
  expect(await store.read((tx) => tx.head())).toEqual({ position: 0, at: 0 });
});

test("reads asked for in one turn see one snapshot, with everything committed before they were asked for", async () => {
  const store = await openStore(newFile(), { readConnectionsMax: 1 });
  await save(store, "x");
  const failing = store.read(async () => Promise.reject(new Error("one body's own failure")));
  const [first, second] = [load(store), load(store)]; // with one connection, two snapshots would have to wait for each other
  await expect(failing).rejects.toThrow("own failure");
  expect([await first, await second]).toEqual(['"x"', '"x"']);
  await save(store, "y");
  expect(await load(store)).toBe('"y"');
});

test("what reads remember of checkpoints and parked events holds until somebody commits, this process or another one", async () => {
  const file = newFile();
  const [ours, theirs] = [await openStore(file, { readConnectionsMax: 1 }), await openStore(file)];
  const key = { reader: "r", version: 1, source: "orders" };
  const look = (): Promise<[positions: number[], parked: number]> =>
    ours.read(async (tx) => [(await tx.checkpoints(key)).map(({ position }) => position), (await tx.parking.events(key, "k", 9)).length]);
  const at = (store: Store, place: number): Promise<void> =>
    store.write(async (tx) => {
      const position = place as Position;
      await tx.saveCheckpoints([{ ...key, slot: 0, epoch: "e", position, reached: position, seen: "{}", check: "" }]);
      const event = {
        position,
        slot: 0,
        key: "k",
        eventId: `e-${place}`,
        type: "t",
        state: "parked" as const,
        error: "",
        attempts: 1,
        since: 0,
      };
      await tx.parking.saveEvents([{ ...key, ...event }]);
    });
  expect(await look()).toEqual([[], 0]);
  await at(ours, 1);
  expect([await look(), await look()]).toEqual([
    [[1], 1],
    [[1], 1],
  ]);
  await at(theirs, 2);
  expect(await look()).toEqual([[2], 2]);
  await theirs.write((tx) => tx.parking.removeEvents(key, "k", [1 as Position, 2 as Position]));
  expect(await look()).toEqual([[2], 0]);
});

test("reads beyond the limit wait for one to end, in the order they came", async () => {
  const store = await openStore(newFile(), { readConnectionsMax: 2 });
  const order: number[] = [];
  let open = 0;
  let openMax = 0;
  const read = (number: number): Promise<void> =>
    store.read(async (tx) => {
      openMax = Math.max(openMax, ++open);
      await tx.head();
      for (let turns = 0; turns < 5; turns++) await nodeHost().timers.turn();
      order.push(number);
      open--;
    });
  const reads: Array<Promise<void>> = [];
  for (let number = 0; number < 12; number++) {
    reads.push(read(number)); // each in a turn of its own: those of one turn share a connection
    await nodeHost().timers.turn();
  }
  await Promise.all(reads);
  expect(openMax).toBe(2);
  expect(order).toEqual([...order].sort((a, b) => a - b));
});

test("closing lets reads that are under way end, and refuses those that wait", async () => {
  const store = await openStore(newFile(), { readConnectionsMax: 1 });
  let goOn: () => void = () => undefined;
  const reading = store.read(async (tx) => {
    await new Promise<void>((resolve) => (goOn = resolve));
    return tx.head();
  });
  await nodeHost().timers.turn();
  const waiting = store.read((tx) => tx.head());
  waiting.catch(() => undefined);
  const closing = store.close();
  goOn();
  expect(await reading).toEqual({ position: 0, at: 0 });
  await expect(waiting).rejects.toMatchObject({ code: "closed" });
  await closing;
});

test("the last one to close leaves one file and the bell: no WAL that a copy of the file would miss", async () => {
  const file = newFile();
  const store = await openStore(file);
  await save(store, "x");
  await load(store);
  await store.close();
  expect(statSync(`${file}-wal`, { throwIfNoEntry: false })).toBeUndefined();
  expect(await load(await openStore(file))).toBe('"x"');
});

test("two that open a missing file at once agree on its identity, whose secret and epoch come from the host's randomness", async () => {
  const file = newFile();
  let drawn = 0;
  const host = nodeHost();
  const random = { ...host.random, id: () => `drawn${String(drawn++).padStart(21, "0")}` };
  const stores = await Promise.all(Array.from({ length: 4 }, () => openStore(file, { host: { ...host, random } })));
  for (const store of stores) expect(store.identity).toEqual(stores[0]?.identity);
  expect(stores[0]?.identity).toMatchObject({ store: "orders", key: expect.stringMatching(/^drawn.*drawn/) as string });
  expect(stores[0]?.identity.epochs).toEqual([{ id: "drawn0000000", first: 1 }]);
});

/** A host without polling: only the bell is left. */
function deafToPolls(): Host {
  const host = nodeHost();
  return { ...host, timers: { ...host.timers, after: () => ({ cancel: () => undefined }) } };
}

test("a listener hears of another's commit by the bell", async () => {
  const file = newFile();
  const first = await openStore(file, { host: deafToPolls() });
  const second = await openStore(file);
  // The first one may be heard because opening the store has touched the bell; those after it ring themselves.
  for (const text of ["x", "y", "z"]) {
    const heard = new Promise<void>((resolve) => void first.onCommit(() => resolve()));
    await save(second, text);
    await heard;
    expect(await load(first)).toBe(JSON.stringify(text));
  }
});

test("a listener hears of another's commit by polling when the bell is lost", async () => {
  const file = newFile();
  const first = await openStore(file);
  rmSync(`${file}-bell`);
  const second = await openStore(file); // makes a bell of its own, which the first one does not hear
  // The first one may be heard because the loss of the bell was; those after it are found by polling.
  for (const text of ["x", "y"]) {
    const heard = new Promise<void>((resolve) => void first.onCommit(() => resolve()));
    await save(second, text);
    await heard;
    expect(await load(first)).toBe(JSON.stringify(text));
  }
});

test("a bell that rings for nothing wakes no listener and writes nothing", async () => {
  const file = newFile();
  const store = await openStore(file);
  await save(store, "x");
  const before = statSync(`${file}-wal`);
  let woken = 0;
  store.onCommit(() => woken++);
  for (let ring = 1; ring <= 5; ring++) {
    // Another watch of the same file hears of it when the store's own has.
    const heard = new Promise<void>((resolve) => {
      const watcher = watch(`${file}-bell`, () => {
        watcher.close();
        resolve();
      });
    });
    utimesSync(`${file}-bell`, ring, ring);
    await heard;
    await load(store);
  }
  const after = statSync(`${file}-wal`);
  expect([woken, after.size, after.mtimeMs]).toEqual([0, before.size, before.mtimeMs]);
});

test.each(["", ":memory:"])('sqlite("%s") is refused: it names no file', (path) => {
  expect(() => sqlite(path)).toThrow(/memory\(\)/);
});

test("nothing can be inserted into the log in a transaction that need not be durable", async () => {
  const store = await openStore(newFile());
  const insert = (derived: boolean): Promise<void> =>
    store.write((tx) => tx.insert({ events: [], heads: new Map(), ids: [] }), { derived });
  await insert(false);
  await expect(insert(true)).rejects.toThrow("durable");
  await save(store, "x"); // and what follows is durable again
});

test("writes ask about leases and definitions anew only when somebody may have changed them", async () => {
  const store = await openStore(newFile());
  const key = { reader: "v", version: 1, source: "orders" };
  await store.write((tx) => tx.ownership.saveLeases([{ ...key, slot: 0, owner: "a", fence: 1 }]));
  const asked = vi.spyOn(Database.prototype, "all");
  onTestFinished(() => asked.mockRestore());
  for (let count = 0; count < 3; count++)
    await store.write(async (tx) => {
      expect(await tx.ownership.leases(key)).toEqual([{ ...key, slot: 0, owner: "a", fence: 1 }]);
      expect(await tx.definitions({ name: "v" })).toEqual([]);
      await tx.saveDocuments([{ view: "v", version: 1, key: "k", document: `${count}`, indexes: [] }]);
    });
  expect(asked.mock.calls.filter(([sql]) => /convergent_(leases|definitions)/.test(sql))).toHaveLength(2);
});
