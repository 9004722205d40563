// R4: what an operator has discarded, no version of the reader applies that comes later, whatever became of the version that had parked it.
import {
  accepted,
  command,
  dropVersions,
  entity,
  type Member,
  requestDiscard,
  resetView,
  runtimeOf,
  service,
  type Store,
  type StoreDriver,
  view,
} from "convergent";
import { describe, expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { newPlace, storeKinds } from "../stores/store-kinds.ts";

const note = entity("note", { initial: () => 0, events: { added: z.object({ n: z.number() }) } })
  .evolve({ added: (count) => count + 1 })
  .commands({ add: command(z.object({ n: z.number() }), (_, input, emit) => emit.added(input)) });

function listing(version: number, ...failing: readonly number[]) {
  return view("listing", { from: [note], document: z.array(z.number()), key: (event) => event.entityId, version }).on({
    "note.added": (document, event) => {
      if (failing.includes(event.data.n)) throw new Error(`cannot hold ${event.data.n}`);
      return [...(document ?? []), event.data.n];
    },
  });
}

async function start(store: StoreDriver, version: number, ...failing: readonly number[]) {
  const running = await service("notes", { parts: { note, listing: listing(version, ...failing) } }).start({ store, attemptsMax: 1 });
  onTestFinished(() => running.stop());
  return running;
}

/** A store whose version 1 has parked the second of three events, and a token past them. */
async function parked(store: StoreDriver): Promise<string> {
  const running = await start(store, 1, 1);
  for (const n of [0, 1]) await running.note("a").add({ n });
  const { token } = accepted(await running.note("a").add({ n: 2 }));
  await expect.poll(() => runtimeOf(running).parked(), { timeout: 5000 }).toMatchObject([{ state: "parked", events: 2 }]);
  await running.stop();
  return String(token);
}

async function inStore<T>(driver: StoreDriver, body: (store: Store) => Promise<T>): Promise<T> {
  const store = await driver.open({ name: "notes" });
  try {
    return await body(store);
  } finally {
    await store.close();
  }
}

const request = { reason: "a test order", by: "ada", at: 1_700_000_000_000 };
const record = { reader: "listing", key: "a", position: 2, error: "cannot hold 1", ...request };
const discards = (driver: StoreDriver) => inStore(driver, (store) => store.read((tx) => tx.parking.discards()));

/** A process that is believed to live and does nothing. */
const silent: Member = {
  id: "silent",
  place: "elsewhere",
  process: "1",
  beat: 1,
  readers: [{ reader: "listing", version: 1, source: "notes" }],
};

describe.each(storeKinds)("$name", (kind) => {
  test("a discard that is asked while no process runs is honoured by the higher version that is started next", async () => {
    const store = kind.driver(newPlace());
    const after = await parked(store);
    await inStore(store, (opened) => opened.write((tx) => requestDiscard(tx, { reader: "listing", key: "a" }, request)));
    const running = await start(store, 2);
    await expect.poll(() => runtimeOf(running).view("listing").rebuild.state, { timeout: 10_000 }).toBe("active");
    expect(await running.listing.get("a", { after, wait: "5s" })).toMatchObject({ value: [0, 2], fresh: true });
    await running.stop();
    expect(await discards(store)).toMatchObject([record]);
  });

  test("a discard that a process was asked for and never came to is honoured by the higher version, too", async () => {
    const store = kind.driver(newPlace());
    const after = await parked(store);
    await inStore(store, (opened) =>
      opened.write(async (tx) => {
        await tx.ownership.saveMember(silent);
        await requestDiscard(tx, { reader: "listing", key: "a" }, request);
      }),
    );
    expect(await discards(store)).toEqual([]);
    const running = await start(store, 2);
    await expect.poll(() => runtimeOf(running).view("listing").rebuild.state, { timeout: 10_000 }).toBe("active");
    expect(await running.listing.get("a", { after, wait: "5s" })).toMatchObject({ value: [0, 2], fresh: true });
  });

  test("a discard that names a version which was replaced is honoured by the one in its place", async () => {
    const store = kind.driver(newPlace());
    const after = await parked(store);
    const running = await start(store, 2, 1);
    const runtime = runtimeOf(running);
    await expect.poll(() => runtime.view("listing").rebuild.state, { timeout: 10_000 }).toBe("active");
    expect(await running.listing.get("a", { after })).toMatchObject({ value: [0], parked: { position: 2 } });
    await runtime.discard({ reader: "listing", version: 1, key: "a" }, request);
    await expect.poll(() => running.listing.get("a", { after }), { timeout: 5000 }).toMatchObject({ value: [0, 2], fresh: true });
    await expect.poll(() => runtime.parked(), { timeout: 10_000 }).toEqual([]);
  });

  test.each([
    ["dropped", async (store: Store) => void (await store.write((tx) => dropVersions(tx, "listing")))],
    ["reset", async (store: Store) => store.write((tx) => resetView(tx, "listing"))],
  ])("what was asked to be discarded stays on record when the rows of the version are %s before it is done", async (_, remove) => {
    const store = kind.driver(newPlace());
    await parked(store);
    await inStore(store, async (opened) => {
      await opened.write(async (tx) => {
        await tx.ownership.saveMember(silent);
        await requestDiscard(tx, { reader: "listing", key: "a", all: true }, request);
      });
      await remove(opened);
    });
    expect(await discards(store)).toMatchObject([record, { position: 3, key: "a", error: "", ...request }]);
  });
});
