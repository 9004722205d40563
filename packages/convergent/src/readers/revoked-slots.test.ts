import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import type { StoredEvent } from "../log/event.ts";
import { Log } from "../log/log.ts";
import type { WriteTransaction } from "../log/store.ts";
import { sqlite } from "../stores/sqlite/index.ts";
import { Reader } from "./reader.ts";

const slots = 16;

/** A reader that keeps nothing, in a process of its own as far as its store can tell. */
async function openReader(file: string): Promise<{ log: Log; reader: Reader }> {
  const log = await Log.open(sqlite(file), "notes");
  const reader = new Reader<StoredEvent>({
    name: "copy",
    version: 1,
    source: log,
    effects: log,
    slots,
    prepare: (event) => event,
    orderKey: "stream",
    apply: async () => undefined,
  });
  onTestFinished(async () => {
    await reader.stop();
    await log.close();
  });
  return { log, reader };
}

const leasesOf = (log: Log): Promise<Array<{ slot: number; owner: string; fence: number }>> =>
  log.snapshot((tx) => tx.ownership.leases({ reader: "copy", version: 1, source: "notes" }));

const ways: ReadonlyArray<readonly [string, (tx: WriteTransaction) => Promise<void>]> = [
  [
    "taken from everybody",
    async (tx) => tx.ownership.saveLeases((await tx.ownership.leases()).map((lease) => ({ ...lease, owner: "", fence: lease.fence + 1 }))),
  ],
  ["deleted with the reader's rows", (tx) => tx.dropView("copy", 1)],
];

async function openReaders(): Promise<Array<{ log: Log; reader: Reader }>> {
  const directory = mkdtempSync(join(tmpdir(), "convergent-slots-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const file = join(directory, "notes.db");
  return [await openReader(file), await openReader(file)];
}

/** Every slot has an owner that lives and knows it, and each reader has some. */
async function expectAllOwned(readers: ReadonlyArray<{ log: Log; reader: Reader }>): Promise<void> {
  const ids = readers.map(({ reader }) => reader.membership.id);
  const { log } = readers[0] as { log: Log };
  const found = async (): Promise<unknown> => {
    const leases = await leasesOf(log);
    const owners = ids.map((id) => leases.some(({ owner }) => owner === id));
    return { slots: leases.length, owners, unowned: leases.filter(({ owner }) => !ids.includes(owner)).length };
  };
  await expect.poll(found, { timeout: 4_000 }).toEqual({ slots, owners: [true, true], unowned: 0 });
  await log.append({ stream: "note/n", expected: "any", events: [{ type: "note.written", data: {} }] });
  const { position } = await log.head();
  for (const { reader } of readers) expect(await reader.waitFor(position, 4_000)).toBe(true);
}

test.each(ways)("slots that are %s while some are to be handed over come to whom they belong", async (_, revoke) => {
  const readers = await openReaders();
  const [one, two] = readers as [{ log: Log; reader: Reader }, { log: Log; reader: Reader }];
  one.reader.start();
  await expect.poll(() => one.reader.state).toBe("idle");
  two.reader.start();
  await expect.poll(() => two.reader.state, { interval: 2 }).toBe("standby");
  await one.log.transact(revoke, { derived: true });
  await expectAllOwned(readers);
});

test("slots that are taken from a process before it has learnt that they were its come to whom they belong", async () => {
  const readers = await openReaders();
  const [one, two] = readers as [{ log: Log; reader: Reader }, { log: Log; reader: Reader }];
  one.reader.start();
  await expect.poll(() => one.reader.state).toBe("idle");
  two.reader.start();
  const handed = async (): Promise<number> => (await leasesOf(one.log)).filter(({ owner }) => owner === two.reader.membership.id).length;
  await expect.poll(handed, { interval: 2, timeout: 4_000 }).toBeGreaterThan(0);
  await one.log.transact(
    async (tx) => {
      const untold = (await tx.ownership.leases()).filter(({ owner }) => owner === two.reader.membership.id);
      await tx.ownership.saveLeases(untold.map((lease) => ({ ...lease, owner: "", fence: lease.fence + 1 })));
    },
    { derived: true },
  );
  await expectAllOwned(readers);
});
