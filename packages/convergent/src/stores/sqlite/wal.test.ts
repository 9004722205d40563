import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { nodeHost } from "../../host-node/host.ts";
import type { Database } from "./database.ts";
import { connect, openFile } from "./open.ts";
import { readHead } from "./queries.ts";
import { ReadPool } from "./read-pool.ts";
import { Wal } from "./wal.ts";

async function longWal(): Promise<{ file: string; database: Database; reads: ReadPool; wal: Wal; size: () => number }> {
  const directory = mkdtempSync(join(tmpdir(), "convergent-sqlite-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const file = join(directory, "store.db");
  const host = nodeHost();
  const { database } = await openFile({ host, path: file, name: "orders", lockWaitMs: 1000 });
  const reads = new ReadPool(
    host,
    file,
    { connect: () => connect(file), took: (some) => void some.get(readHead) },
    { connections: 2, lockWaitMs: 1000 },
  );
  onTestFinished(() => database.close());
  onTestFinished(() => reads.close(10));
  const wal = new Wal(file, reads, { bytesMax: 250_000, commitsBetweenLooks: 1, holdMs: 50 });
  return { file, database, reads, wal, size: () => statSync(`${file}-wal`).size };
}

function fill(database: Database): void {
  for (let count = 0; count < 100; count++)
    database.run(
      "INSERT INTO convergent_documents (view, version, key, document) VALUES ('v', 1, ?, ?)",
      String(Math.random()),
      "x".repeat(4000),
    );
}

test("a WAL past its limit is truncated between reads, and reads go on after it", async () => {
  const { database, reads, wal, size } = await longWal();
  expect(wal.isTooLong()).toBe(false);
  fill(database);
  expect(wal.isTooLong()).toBe(true);
  let hasEnded = false;
  const reading = reads.use(async (read) => {
    await nodeHost().timers.sleep(5);
    hasEnded = true;
    return read.get("SELECT count(*) FROM convergent_documents")?.[0];
  });
  const truncating = wal.truncate(database);
  const later = reads.use(async (read) => [hasEnded, size(), read.get("SELECT count(*) FROM convergent_documents")?.[0]]);
  await truncating;
  expect(await reading).toBe(100);
  expect(await later).toEqual([true, 0, 100]);
  expect(wal.isTooLong()).toBe(false);
});

test("a read that does not end leaves the WAL long for now, and holds back no other read for long", async () => {
  const { database, reads, wal, size } = await longWal();
  let end: () => void = () => undefined;
  const endless = reads.use(() => new Promise<void>((resolve) => (end = resolve)));
  await nodeHost().timers.turn();
  fill(database);
  const truncating = wal.truncate(database);
  expect(await reads.use(async (read) => read.get("SELECT count(*) FROM convergent_documents")?.[0])).toBe(100);
  await truncating;
  expect(size()).toBeGreaterThan(100_000);
  end();
  await endless;
  await wal.truncate(database);
  expect(size()).toBe(0);
});

test("a reader of another process leaves the WAL long for now, without an error", async () => {
  const { file, database, wal, size } = await longWal();
  const other = connect(file);
  onTestFinished(() => other.close());
  other.run("BEGIN");
  other.get("SELECT count(*) FROM convergent_documents");
  fill(database);
  await wal.truncate(database);
  expect(size()).toBeGreaterThan(100_000);
});
