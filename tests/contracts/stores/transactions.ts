// What a store promises about transactions: all or nothing, snapshots, an end that is an end, and a limit on how long one stays open.
import type { ReadTransaction, WriteTransaction } from "convergent";
import { describe, expect, test } from "vitest";
import { allEvents, codeOf, soundEvents, written } from "./log-questions.ts";
import { newPlace, openLog, openStore, type StoreKind } from "./store-kinds.ts";

const summary = { view: "summary", version: 1 };

export function document(key: string, text: string): Parameters<WriteTransaction["saveDocuments"]>[0][number] {
  return { ...summary, key, document: JSON.stringify(text), indexes: [{ field: "text", value: `s${text}` }] };
}

const checkpoint = (slot: number, position: number): Parameters<WriteTransaction["saveCheckpoints"]>[0][number] => ({
  reader: "summary",
  version: 1,
  source: "orders",
  slot,
  epoch: "e",
  position: position as never,
  reached: position as never,
  seen: "{}",
  check: "",
});

export function transactionContract(kind: StoreKind): void {
  test("a write whose body throws leaves nothing behind: no event, head, id, document, checkpoint or definition", async () => {
    const place = newPlace();
    const log = await openLog(kind, place);
    await log.append(written("order/1"));
    const failure = new Error("the body failed");
    const write = log.transact(async (tx) => {
      await log.append(written("order/1", null, "r-1"), { tx });
      await tx.saveDocuments([document("a", "x")]);
      await tx.saveCheckpoints([checkpoint(0, 1)]);
      await tx.saveDefinition({ kind: "view", name: "summary", version: 1, fingerprint: "f", state: "active", reason: "" });
      throw failure;
    });
    await expect(write).rejects.toBe(failure);
    await log.close();
    const reopened = await openLog(kind, place);
    expect(await soundEvents(reopened)).toHaveLength(1);
    const found = await reopened.snapshot(async (tx) => [
      await tx.streamHeads(["order/1"]),
      await tx.ids([{ scope: "caller", id: "r-1" }]),
      await tx.documents("summary", 1, ["a"]),
      await tx.checkpoints(),
      await tx.definitions(),
    ]);
    expect(found).toEqual([[{ version: 1, position: 1 }], [undefined], [undefined], [], []]);
    await reopened.append(written("order/1", null, "r-1"));
    expect(await soundEvents(reopened)).toHaveLength(2);
  });

  test("a write sees what it wrote itself; nobody else does before it is committed", async () => {
    const log = await openLog(kind);
    await log.transact(async (tx) => {
      await log.append(written("order/1"), { tx });
      await tx.saveDocuments([document("a", "x")]);
      expect(await tx.head()).toMatchObject({ position: 1 });
      expect(await tx.streamHeads(["order/1", "order/2"])).toEqual([{ version: 1, position: 1 }, undefined]);
      expect(await tx.documents("summary", 1, ["a"])).toEqual(['"x"']);
      const outside = await log.snapshot(async (read) => [await read.head(), await read.documents("summary", 1, ["a"])]);
      expect(outside).toEqual([{ position: 0, at: 0 }, [undefined]]);
    });
    expect(await log.snapshot((tx) => tx.documents("summary", 1, ["a"]))).toEqual(['"x"']);
  });

  test("a read sees one moment from its first question to its last, while writes go on", async () => {
    const log = await openLog(kind);
    for (let count = 0; count < 10; count++) await log.append(written("order/1", count, `r-${count}`));
    await log.transact((tx) => tx.saveDocuments([document("a", "old"), document("gone", "old")]));
    const all = async (tx: ReadTransaction): Promise<unknown> => [
      await tx.head(),
      await tx.events({ after: 0 as never, upTo: 100 as never, limit: 100 }),
      await tx.streamEvents("order/1", { after: 0, upTo: 100, limit: 100 }),
      await tx.streamHeads(["order/1"]),
      await tx.ids(["r-1", "r-new"].map((id) => ({ scope: "caller", id }))),
      await tx.documents("summary", 1, ["a", "b", "gone"]),
      await tx.find({ ...summary, field: "text", where: [], descending: false, limit: 10 }),
      await tx.checkpoints(),
      await tx.definitions(),
    ];
    await log.snapshot(async (tx) => {
      const before = await all(tx);
      await log.append(written("order/1", "new", "r-new"));
      await log.transact(async (write) => {
        await write.saveDocuments([document("a", "new"), document("b", "new"), { ...document("gone", "old"), document: undefined }]);
        await write.saveCheckpoints([checkpoint(0, 1)]);
        await write.saveDefinition({ kind: "view", name: "summary", version: 1, fingerprint: "f", state: "active", reason: "" });
      });
      expect(await all(tx)).toEqual(before);
    });
    expect(await log.snapshot((tx) => tx.documents("summary", 1, ["a", "b", "gone"]))).toEqual(['"new"', '"new"', undefined]);
    expect(await soundEvents(log)).toHaveLength(11);
  });

  test("writes of one process run one at a time, so that a read before a write in one body is never stale", async () => {
    const log = await openLog(kind);
    const add = (): Promise<void> =>
      log.transact(async (tx) => {
        const [text] = await tx.documents("summary", 1, ["count"]);
        await log.host.timers.turn();
        await tx.saveDocuments([document("count", String(Number(JSON.parse(text ?? '"0"')) + 1))]);
      });
    await Promise.all(Array.from({ length: 25 }, add));
    expect(await log.snapshot((tx) => tx.documents("summary", 1, ["count"]))).toEqual(['"25"']);
  });

  test("a transaction that has ended refuses every further call, also one that threw", async () => {
    const log = await openLog(kind);
    let read: ReadTransaction | undefined;
    let write: WriteTransaction | undefined;
    await log.snapshot(async (tx) => {
      read = tx;
    });
    await log.transact(async (tx) => {
      write = tx;
    });
    expect(await refusals(read!, write!)).toEqual(Array.from({ length: 15 }, () => "closed"));
    await codeOf(
      log.transact(async (tx) => {
        write = tx;
        throw new Error("no");
      }),
    );
    expect(await codeOf(write!.saveDocuments([document("a", "x")]))).toBe("closed");
    expect(await allEvents(log)).toEqual([]);
  });

  test("a write that stays open past its limit is rolled back and refused; the next one goes on", async () => {
    const log = await openLog(kind, newPlace(), { transactionLimitMs: 40 });
    let late: Promise<unknown> | undefined;
    const overdue = log.transact(async (tx) => {
      await tx.saveDocuments([document("a", "x")]);
      await new Promise<void>((resolve) => {
        setTimeout(resolve, 400).unref();
        late = log.host.timers.sleep(200).then(() => tx.saveDocuments([document("b", "x")]));
        late.catch(() => undefined);
      });
    });
    const queued = log.transact((tx) => tx.saveDocuments([document("c", "x")]));
    expect(await codeOf(overdue)).toBe("transaction_timeout");
    await queued;
    expect(await codeOf(late!)).toBe("closed");
    expect(await log.snapshot((tx) => tx.documents("summary", 1, ["a", "b", "c"]))).toEqual([undefined, undefined, '"x"']);
  });

  test("a store that was closed refuses reads and writes; closing twice is no mistake", async () => {
    const store = await openStore(kind);
    await store.close();
    await store.close();
    expect(await codeOf(store.read((tx) => tx.head()))).toBe("closed");
    expect(await codeOf(store.write((tx) => tx.lock()))).toBe("closed");
  });

  describe("listeners", () => {
    test("are called after a commit, with the commit to be seen, and not after one that wrote nothing or failed", async () => {
      const store = await openStore(kind);
      const seen: Array<Promise<Array<string | undefined>>> = [];
      const stop = store.onCommit(() => seen.push(store.read((tx) => tx.documents("summary", 1, ["a"]))));
      await codeOf(store.write(() => Promise.reject(new Error("no"))));
      await store.write((tx) => tx.head());
      expect(seen).toHaveLength(0);
      await store.write((tx) => tx.saveDocuments([document("a", "x")]));
      expect(await Promise.all(seen)).toEqual([['"x"']]);
      stop();
      await store.write((tx) => tx.saveDocuments([document("a", "y")]));
      expect(seen).toHaveLength(1);
    });
  });
}

function refusals(read: ReadTransaction, write: WriteTransaction): Promise<unknown[]> {
  const calls: Array<Promise<unknown>> = [
    read.head(),
    read.events({ after: 0 as never, upTo: 1 as never, limit: 1 }),
    read.streamHeads(["order/1"]),
    read.checkpoints(),
    read.definitions(),
    write.lock(),
    write.insert({ events: [], heads: new Map(), ids: [] }),
    write.saveDocuments([document("a", "x")]),
    write.saveCheckpoints([]),
    write.saveDefinition({ kind: "view", name: "summary", version: 1, fingerprint: "f", state: "active", reason: "" }),
    write.dropView("summary"),
    write.dropDocuments("summary", 1, 1),
    write.addConsumed([]),
    read.consumed("summary", 1),
    write.forgetIds(0, 1),
  ];
  return Promise.all(calls.map(codeOf));
}
