// Copies of whole stores, for every pair: what is kept, what goes on after a stop, and what is noticed.
import { join } from "node:path";
import {
  type Checkpoint,
  differences,
  type Discard,
  type ParkedEvent,
  parseToken,
  type Position,
  StoreCopy,
  type Store,
  unfinishedCopyOf,
  verifyStore,
} from "convergent";
import { memory } from "convergent/memory";
import { expect, onTestFinished, test } from "vitest";
import { allEvents, appended, codeOf, written } from "./log-questions.ts";
import { newPlace, openLog, openStore, type StoreKind, storeKinds } from "./store-kinds.ts";
import { fill } from "./transfer.ts";

/** A store that is being copied into. A journal in a directory has its service's name, so the file is named. */
async function openCopy(kind: StoreKind, place: string): Promise<Store> {
  const driver = kind.name === "memory" ? memory({ file: join(place, "orders.journal") }) : kind.driver(place);
  const store = await driver.open({ name: unfinishedCopyOf("orders") });
  onTestFinished(() => store.close());
  return store;
}

export const reaction = { reader: "reserve-stock", version: 1, source: "catalogue" };
export const checkpoint: Checkpoint = {
  ...reaction,
  slot: 0,
  epoch: "e",
  position: 7 as Position,
  reached: 3 as Position,
  seen: "{}",
  check: "ab",
};
const view: Checkpoint = { ...checkpoint, reader: "summary" };
export const parked: ParkedEvent = {
  ...reaction,
  slot: 0,
  key: "k",
  position: 5 as Position,
  eventId: "x",
  type: "order.placed",
  state: "parked",
  error: "no stock",
  attempts: 5,
  since: 1000,
};
export const discard: Discard = {
  reader: "summary",
  source: "orders",
  eventId: "y",
  position: 2 as Position,
  type: "note.written",
  key: "k",
  error: "odd",
  reason: "a test",
  by: "ada",
  at: 2000,
};

/** Rows of a reaction and of a view, a discard, and a person who is still to be forgotten. */
export async function addReaders(kind: StoreKind, place: string): Promise<void> {
  const store = await openStore(kind, place);
  await store.write(async (tx) => {
    await tx.saveDefinition({ kind: "view", name: "summary", version: 1, fingerprint: "f", state: "active", reason: "" });
    await tx.saveCheckpoints([checkpoint, view]);
    await tx.parking.saveEvents([parked, { ...parked, reader: "summary" }]);
    await tx.parking.saveDiscards([discard]);
    await tx.persons.beginForgetting({ person: "p", reason: "asked for it", actor: "ada" });
  });
  await store.close();
}

export function copyContract(kind: StoreKind): void {
  test.each(storeKinds)(
    "a copy to $name keeps everything of the log, and of readers what no log tells; tokens past it are refused",
    async (to) => {
      const [place, target] = [newPlace(), newPlace()];
      await fill(kind, place);
      await addReaders(kind, place);
      const source = await openStore(kind, place);
      const before = await verifyStore(source);
      const into = await openCopy(to, target);
      const copy = await StoreCopy.begin(source, into);
      expect(await copy.bring()).toEqual({ events: 38, ids: 10, position: 38 });
      expect(await copy.verify()).toEqual({ events: 38, ranges: 1 });
      const epoch = await copy.finish();
      expect(epoch.first).toBe(39);
      await into.close();

      const store = await openStore(to, target);
      const after = await verifyStore(store);
      expect(after).toEqual(before);
      expect(differences(before, after)).toEqual([]);
      expect(store.identity.epochs.slice(1)).toEqual([...source.identity.epochs, epoch]);
      const rows = await store.read(async (tx) => ({
        checkpoints: await tx.checkpoints(),
        parked: await tx.parking.events(reaction, "k", 10),
        keys: (await tx.parking.keys()).length,
        discards: await tx.parking.discards(),
        forgettings: await tx.persons.forgettings(),
        types: await tx.eventTypes(0),
        definitions: await tx.definitions(),
      }));
      expect(rows).toEqual({
        checkpoints: [checkpoint],
        parked: [parked],
        keys: 1,
        discards: [discard],
        forgettings: [{ person: "p", reason: "asked for it", actor: "ada" }],
        types: await source.read((tx) => tx.eventTypes(0)),
        definitions: [],
      });
      await source.close();
      await store.close();

      const [original, log] = [await openLog(kind, place), await openLog(to, target)];
      expect(await allEvents(log)).toEqual(await allEvents(original));
      const repeated = { ...written("order/1 ö", "", "id-3"), metadata: { actor: "ada ✓" } };
      expect(await log.append(repeated)).toMatchObject({ kind: "appended", repeated: true });
      expect(await codeOf(log.append(written("order/1", 1, "never")))).toBe("id_voided");
      const kept = String(await original.tokenAt(38 as Position));
      expect(await log.demand(parseToken(kept))).toMatchObject({ position: 38 });
      const lost = String(appended(await original.append(written("order/lost"))).token);
      await expect(log.demand(parseToken(lost))).rejects.toMatchObject({ code: "token_epoch", details: { fork: 38 } });
    },
  );

  test("a copy brings what was appended meanwhile, goes on after a stop, and no service opens it before it is finished", async () => {
    const to = storeKinds.at(-1) as StoreKind;
    const [place, target] = [newPlace(), newPlace()];
    await fill(kind, place);
    let source = await openStore(kind, place);
    let into = await openCopy(to, target);
    await (await StoreCopy.begin(source, into)).bring();
    expect(await codeOf(to.driver(target).open({ name: "orders" }))).toBe("store_mismatch");
    await source.close();
    await into.close();

    const log = await openLog(kind, place);
    await log.append(written("order/later", 1, "later"));
    await log.void({ scope: "caller", id: "never again" });
    await log.close();
    source = await openStore(kind, place);
    into = await openCopy(to, target);
    const copy = await StoreCopy.begin(source, into);
    expect(await copy.bring()).toEqual({ events: 1, ids: 2, position: 39 });
    expect(await copy.verify()).toEqual({ events: 39, ranges: 1 });
    await source.write(async (tx) => {
      const [last] = await tx.events({ after: 38 as Position, upTo: 39 as Position, limit: 1 });
      const next = { ...last!, position: 40 as Position, version: last!.version + 1 };
      await tx.insert({ events: [next], heads: new Map([[next.stream, { version: next.version, position: next.position }]]), ids: [] });
    });
    expect(await codeOf(copy.finish())).toBe("store_in_use");
    await copy.bring();
    await copy.finish();
    await into.close();
    expect((await verifyStore(await openStore(to, target))).events).toBe(40);
  });

  test("another store's unfinished copy is refused, and so is a target that somebody else wrote to", async () => {
    const [one, other, target] = [newPlace(), newPlace(), newPlace()];
    await fill(kind, one);
    await fill(kind, other);
    const source = await openStore(kind, one);
    const into = await openCopy(kind, target);
    const copy = await StoreCopy.begin(source, into);
    await copy.bring();
    expect(await codeOf(StoreCopy.begin(await openStore(kind, other), into))).toBe("store_mismatch");
    expect(await codeOf(StoreCopy.begin(source, await openStore(kind)))).toBe("store_mismatch");
    const [last] = await into.read((tx) => tx.events({ after: 37 as Position, upTo: 38 as Position, limit: 1 }));
    const foreign = { ...last!, position: 39 as Position, version: last!.version + 1 };
    const heads = new Map([[foreign.stream, { version: foreign.version, position: foreign.position }]]);
    await into.write((tx) => tx.insert({ events: [foreign], heads, ids: [] }));
    expect(await codeOf(copy.finish())).toBe("store_in_use");
  });

  test("a store that was moved takes no more writes, until that is taken back; what it holds can be read", async () => {
    const place = newPlace();
    const log = await openLog(kind, place);
    await log.append(written("order/1", 1, "first"));
    // Of several processes, where there may be several: the one that appends is not the one that moves.
    if (!kind.severalProcesses) await log.close();
    const store = await openStore(kind, place);
    await store.write((tx) => tx.saveMove("it's \\elsewhere"));
    if (!kind.severalProcesses) await store.close();
    const appending = kind.severalProcesses ? log : await openLog(kind, place);
    const refused = appending.append(written("order/1", 2, "second"));
    await expect(refused).rejects.toMatchObject({
      code: "store_moved",
      retry: "later",
      message: expect.stringContaining("it's \\elsewhere") as string,
    });
    expect(await codeOf(appending.void({ scope: "caller", id: "late" }))).toBe("store_moved");
    expect(await appending.append(written("order/1", 1, "first"))).toMatchObject({ repeated: true });
    expect(await allEvents(appending)).toHaveLength(1);
    if (!kind.severalProcesses) await appending.close();
    const again = kind.severalProcesses ? store : await openStore(kind, place);
    await again.write((tx) => tx.saveMove(undefined));
    await again.close();
    const back = kind.severalProcesses ? log : await openLog(kind, place);
    expect(appended(await back.append(written("order/1", 2, "second"))).lastVersion).toBe(2);
  });
}
