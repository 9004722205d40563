// The archive beside an SQLite store: two files that hold one log, through crashes, other processes, older copies and a file that is gone.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, existsSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, onTestFinished, test } from "vitest";
import { nodeHost } from "../../host-node/host.ts";
import { Log } from "../../log/log.ts";
import type { Store } from "../../log/store.ts";
import { position } from "../../position/position.ts";
import { verifyStore } from "../../transfer/verify.ts";
import { sqlite } from "./index.ts";

function newFile(): string {
  const directory = mkdtempSync(join(tmpdir(), "convergent-archive-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return join(directory, "store.db");
}

async function openStore(file: string): Promise<Store> {
  const store = await sqlite(file).open({ name: "orders" });
  onTestFinished(() => store.close());
  return store;
}

async function append(file: string, stream: string, count: number, type = "order.amended"): Promise<void> {
  const log = await Log.open(sqlite(file), "orders");
  const events = Array.from({ length: count }, (_, data) => ({ type, data: { data, stream } }));
  await log.append({ stream, expected: "any", events });
  await log.close();
}

function rows(file: string, table = "convergent_events"): number {
  const database = new DatabaseSync(file);
  try {
    return database.prepare(`SELECT count(*) AS n FROM ${table}`).get()?.["n"] as number;
  } finally {
    database.close();
  }
}

test("a process that had the store open before anything was archived goes on reading everything, and writing", async () => {
  const file = newFile();
  await append(file, "order/1", 600);
  const log = await Log.open(sqlite(file), "orders");
  onTestFinished(() => log.close());
  const other = await openStore(file);
  const reading = { failed: 0, rounds: 0, ended: false };
  const reads = (async () => {
    while (!reading.ended) {
      const events = await log.stream("order/1");
      if (events.length < 600 || events.some((event, index) => event.version !== index + 1)) reading.failed++;
      reading.rounds++;
    }
  })();
  expect(await other.archive(["order/1"])).toBe(599);
  const outcome = await log.append({ stream: "order/1", expected: 600, events: [{ type: "order.amended", data: 1 }] });
  expect(outcome).toMatchObject({ kind: "appended", firstVersion: 601 });
  reading.ended = true;
  await reads;
  expect([reading.failed, reading.rounds > 0]).toEqual([0, true]);
  expect([rows(file), rows(`${file}-archive`)]).toEqual([2, 599]);
});

test.each(["archive.named", "archive.copied", "archive.moved"])(
  "a process killed at %s loses no event, and the archive can go on",
  async (point) => {
    for (const hit of [1, 2]) {
      const file = newFile();
      for (const stream of ["order/1", "order/2"]) await append(file, stream, 400);
      const before = await verifyStore(await openStore(file));
      const program = `
      const { sqlite } = await import(${JSON.stringify(join(import.meta.dirname, "index.ts"))});
      const { nodeHost } = await import(${JSON.stringify(join(import.meta.dirname, "../../host-node/host.ts"))});
      let hits = 0;
      const host = { ...nodeHost(), reached: (name) => { if (name === ${JSON.stringify(point)} && ++hits === ${hit}) process.kill(process.pid, "SIGKILL"); } };
      const store = await sqlite(${JSON.stringify(file)}, { host }).open({ name: "orders" });
      await store.archive(["order/1", "order/2"]);
      await store.archive(["order/1"]);`;
      const child = spawn(process.execPath, ["--conditions=convergent-source", "--input-type=module", "-e", program], { stdio: "inherit" });
      expect(await once(child, "close")).toEqual([null, "SIGKILL"]);
      const store = await openStore(file);
      expect(await verifyStore(store)).toEqual(before);
      await store.archive(["order/1", "order/2"]);
      expect(await verifyStore(store)).toEqual(before);
      await store.close();
      expect(rows(file)).toBe(2);
    }
  },
);

test("without its archive a store refuses to read around the gap, and says which file is missing; another store's archive is refused too", async () => {
  const file = newFile();
  await append(file, "order/1", 10);
  const store = await openStore(file);
  await store.archive(["order/1"]);
  await store.close();
  renameSync(`${file}-archive`, `${file}-away`);
  await expect(Log.open(sqlite(file), "orders")).rejects.toMatchObject({
    code: "store_broken",
    message: expect.stringContaining("-archive") as string,
  });
  const foreign = newFile();
  await append(foreign, "order/1", 10);
  const other = await openStore(foreign);
  await other.archive(["order/1"]);
  await other.close();
  copyFileSync(`${foreign}-archive`, `${file}-archive`);
  await expect(Log.open(sqlite(file), "orders")).rejects.toMatchObject({ code: "store_broken" });
  renameSync(`${file}-away`, `${file}-archive`);
  const log = await Log.open(sqlite(file), "orders");
  expect(await log.stream("order/1")).toHaveLength(10);
  await log.close();
});

test("an older copy of the store goes on beside an archive that knows a lost history, and never shows it", async () => {
  const file = newFile();
  await append(file, "order/1", 5);
  const first = await openStore(file);
  await first.archive(["order/1"]);
  await first.close();
  copyFileSync(file, `${file}.copy`);
  await append(file, "order/lost", 4, "order.lost");
  const second = await openStore(file);
  expect(await second.archive(["order/lost"])).toBe(3);
  await second.close();
  copyFileSync(`${file}.copy`, file);
  for (const end of ["-wal", "-shm"]) expect(existsSync(file + end)).toBe(false);

  await append(file, "order/2", 6);
  const store = await openStore(file);
  expect(store.identity.epochs).toHaveLength(2);
  const all = { after: position(0), upTo: position(100), limit: 100 };
  expect((await store.read((tx) => tx.events(all))).map((event) => event.stream)).toEqual([
    ...Array<string>(5).fill("order/1"),
    ...Array<string>(6).fill("order/2"),
  ]);
  expect(await store.read((tx) => tx.events({ ...all, types: ["order.lost"] }))).toEqual([]);
  expect(await store.read((tx) => tx.streamEvents("order/lost", { after: 0, upTo: 9, limit: 9 }))).toEqual([]);
  const before = await verifyStore(store);
  expect(await store.archive(["order/2"])).toBe(5);
  expect(await verifyStore(store)).toEqual({ ...before, problems: [] });
});

test("an archive that was begun and never named is moved aside", async () => {
  const file = newFile();
  await append(file, "order/1", 10);
  const stray = new DatabaseSync(`${file}-archive`);
  stray.exec("CREATE TABLE something (x)");
  stray.close();
  const store = await sqlite(file, { host: nodeHost() }).open({ name: "orders" });
  expect(await store.archive(["order/1"])).toBe(9);
  expect((await verifyStore(store)).problems).toEqual([]);
  await store.close();
  expect(existsSync(`${file}-archive.old`)).toBe(true);
});
