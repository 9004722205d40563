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

test.each(ways)("slots that are %s while some are to be handed over come to whom they belong", async (_, revoke) => {
  const file = join(mkdtempSync(join(tmpdir(), "convergent-slots-")), "notes.db");
  onTestFinished(() => rmSync(join(file, ".."), { recursive: true, force: true }));
  const [one, two] = [await openReader(file), await openReader(file)];
  one.reader.start();
  await expect.poll(() => one.reader.state).toBe("idle");
  two.reader.start();
  await expect.poll(() => two.reader.state, { interval: 2 }).toBe("standby");
  await one.log.transact(revoke, { derived: true });
  const ids = [one.reader.membership.id, two.reader.membership.id];
  const owned = async (): Promise<unknown> => {
    const leases = await leasesOf(one.log);
    return {
      slots: leases.length,
      owners: ids.map((id) => leases.some(({ owner }) => owner === id)),
      unowned: leases.filter(({ owner }) => !ids.includes(owner)).length,
    };
  };
  await expect.poll(owned, { timeout: 4_000 }).toEqual({ slots, owners: [true, true], unowned: 0 });
  await expect
    .poll(async () => (await Promise.all([one, two].map(({ reader }) => reader.slots()))).map(({ unowned }) => unowned))
    .toEqual([0, 0]);
  await one.log.append({ stream: "note/n", expected: "any", events: [{ type: "note.written", data: {} }] });
  const { position } = await one.log.head();
  for (const { reader } of [one, two]) expect(await reader.waitFor(position, 4_000)).toBe(true);
});
