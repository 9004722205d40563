// A disk that is full or fails: what was acknowledged stays, the rest is refused with a code that says whether it may have
// happened, and the store goes on when there is space again.
import { spawnSync } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type * as Sqlite from "node:sqlite";
import type { Host, Log } from "convergent";
import { ConvergentError } from "convergent";
import { nodeHost } from "convergent/node";
import { expect, onTestFinished, test, vi } from "vitest";
import { appended, codeOf, positionOf, soundEvents, written } from "./log-questions.ts";
import { startWriter } from "./start-writer.ts";
import { fileKinds, newPlace, openLog, type StoreKind, storeKind } from "./store-kinds.ts";
import { requestsOf } from "./workload.ts";

// Where no small disk can be mounted, SQLite is told that its file may have no more pages: the same result code.
const pages = vi.hoisted(() => ({ max: undefined as number | undefined }));
vi.mock("node:sqlite", async (original) => {
  const actual = await original<typeof Sqlite>();
  class DatabaseSync extends actual.DatabaseSync {
    override prepare(sql: string): ReturnType<InstanceType<typeof actual.DatabaseSync>["prepare"]> {
      if (sql === "BEGIN IMMEDIATE" && pages.max !== undefined) super.exec(`PRAGMA max_page_count = ${pages.max}`);
      return super.prepare(sql);
    }
  }
  return { ...actual, DatabaseSync };
});

interface SmallDisk {
  readonly place: string;
  readonly host?: Host;
  makeSpace(): void;
}

/** A disk of 2 MB with ballast on it, in memory; or, where nothing can be mounted, a store that is told that its disk is full. */
function smallDisk(kind: StoreKind): SmallDisk {
  const place = newPlace();
  if (spawnSync("/usr/bin/env", ["mount", "-t", "tmpfs", "-o", "size=2m,mode=0755", "none", place]).status === 0) {
    onTestFinished(() => void spawnSync("/usr/bin/env", ["umount", "-l", place]));
    writeFileSync(join(place, "ballast"), Buffer.alloc(1024 * 1024));
    return { place, makeSpace: () => rmSync(join(place, "ballast")) };
  }
  if (kind.name === "sqlite") {
    pages.max = 200;
    onTestFinished(() => void (pages.max = undefined));
    return { place, makeSpace: () => undefined };
  }
  return limitedHost(place);
}

function limitedHost(place: string): SmallDisk {
  const host = nodeHost();
  let left = 100_000;
  const open: Host["disk"]["open"] = async (path) => {
    const file = await host.disk.open(path);
    const append = async (bytes: Uint8Array): Promise<void> => {
      if (bytes.length > left) throw new ConvergentError("disk_full", `the disk of ${path} is full`);
      left -= bytes.length;
      await file.append(bytes);
    };
    return { ...file, append };
  };
  return { place, host: { ...host, disk: { ...host.disk, open } }, makeSpace: () => void (left = Number.MAX_SAFE_INTEGER) };
}

async function appendUntilRefused(log: Log): Promise<{ count: number; error: unknown }> {
  for (let count = 0; count < 10_000; count++) {
    const error = await log.append(written(`order/${count}`, "x".repeat(1000), `r-${count}`)).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    if (error !== undefined) return { count, error };
  }
  throw new Error("the disk never filled up");
}

test.each(fileKinds)(
  "$name: a full disk refuses a write with nothing of it kept, and the store goes on when there is space",
  async (kind) => {
    const disk = smallDisk(kind);
    let log = await openLog(kind, disk.place, disk.host ? { host: disk.host } : {});
    const { count, error } = await appendUntilRefused(log);
    expect(count).toBeGreaterThan(20);
    expect(error).toMatchObject({ code: "disk_full", retry: "later", message: expect.stringContaining(disk.place) as string });
    expect(await codeOf(log.append(written("order/next", "x".repeat(2000), "r-next")))).toBe("disk_full");
    expect(await soundEvents(log)).toHaveLength(count);
    disk.makeSpace();
    if (pages.max !== undefined) {
      // The limit belongs to the connection; a new one has none.
      pages.max = 1_000_000;
      await log.close();
      log = await openLog(kind, disk.place);
    }
    const retried = appended(await log.append(written(`order/${count}`, "x".repeat(1000), `r-${count}`)));
    expect(retried.repeated).toBe(false);
    expect(positionOf(retried)).toBe(count + 1);
    expect(appended(await log.append(written("order/0", "x".repeat(1000), "r-0"))).repeated).toBe(true);
    await log.close();
    expect(await soundEvents(await openLog(kind, disk.place))).toHaveLength(count + 1);
  },
);

test("sqlite: an I/O error at the commit leaves the outcome open, and sending it again takes effect once", async () => {
  const place = newPlace();
  const load = { name: "a", writers: 4, turns: 60 };
  // The limit on the size of files makes the write of the WAL fail as a broken disk does.
  const writer = startWriter({ kind: "sqlite", place, load }, { fileBlocksMax: 1500 });
  expect(await writer.ended).toMatchObject({ code: 0, complaint: "" });
  expect(writer.failed).toEqual([{ code: "outcome_unknown", message: expect.stringContaining(place) as string }]);
  expect(writer.acknowledged.length).toBeGreaterThan(10);
  const log = await openLog(storeKind("sqlite"), place);
  const told = new Map(writer.acknowledged.map((line) => [line.id, line.position]));
  for (const request of requestsOf(load)) {
    const outcome = appended(await log.append(request));
    const position = told.get(request.id?.id ?? "");
    if (position !== undefined) expect([outcome.repeated, positionOf(outcome)]).toEqual([true, position]);
  }
  expect(await soundEvents(log)).toHaveLength(requestsOf(load).flatMap((request) => request.events).length);
});
