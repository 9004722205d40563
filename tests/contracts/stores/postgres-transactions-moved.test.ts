// Transactions of users that are open while their store is moved: no COMMIT is acknowledged of which the new store has nothing.
import { setTimeout as sleep } from "node:timers/promises";
import { StoreCopy, unfinishedCopyOf } from "convergent";
import { expect, onTestFinished, test } from "vitest";
import { appended, codeOf, written } from "./log-questions.ts";
import { newPlace, openLog, openStore, storeKind } from "./store-kinds.ts";
import { besideLog, inTransaction, staged } from "./user-transactions.ts";

const kind = storeKind("postgres");

test.each(["before", "behind"] as const)(
  "a transaction that staged an append %s the switch, and is committed behind it, keeps nothing and says so",
  async (when) => {
    const beside = await besideLog();
    const { log, place, table } = beside;
    appended(await log.append(written("order/1", "kept", "first")));
    const client = await beside.connect();
    const source = await openStore(kind, place);
    const target = newPlace();
    const into = await kind.driver(target).open({ name: unfinishedCopyOf("orders") });
    onTestFinished(() => into.close());
    const copy = await StoreCopy.begin(source, into);
    await copy.bring();
    const move = () => source.write((tx) => tx.saveMove("the new store"));
    if (when === "behind") await move();
    let append: Awaited<ReturnType<typeof staged>> | undefined;
    const moved = inTransaction(client, async () => {
      await client.query(`INSERT INTO ${table} VALUES ('ann')`);
      append = await staged(log, client, "order/1", "second");
      if (when === "before") await move(); // waits for no transaction that stays open
    });
    expect(await codeOf(moved)).toBe("store_moved");
    expect(await codeOf(append!.result())).toBe("rolled_back");
    expect(await beside.names()).toEqual([]);

    await copy.bring();
    await copy.verify();
    await copy.finish();
    await into.close();
    const there = await openLog(kind, target);
    expect((await there.head()).position).toBe(1);
    expect(await there.append(written("order/1", "kept", "first"))).toMatchObject({ repeated: true });
    expect(await there.append(written("order/1", "second", "second"))).toMatchObject({ repeated: false, lastVersion: 2 });
  },
);

test("a switch waits for a COMMIT that has the log's lock, and the copy then has what that appended", async () => {
  const beside = await besideLog();
  const { log, place, table } = beside;
  const client = await beside.connect();
  const source = await openStore(kind, place);
  const into = await kind.driver(newPlace()).open({ name: unfinishedCopyOf("orders") });
  onTestFinished(() => into.close());
  const copy = await StoreCopy.begin(source, into);
  await client.query("BEGIN");
  await client.query(`INSERT INTO ${table} VALUES ('ann')`);
  const append = await staged(log, client, "order/1", "first");
  await client.query("SET CONSTRAINTS ALL IMMEDIATE"); // as a COMMIT under way: it has appended, and the lock is held
  let isMoved = false;
  const moving = source.write((tx) => tx.saveMove("the new store")).then(() => (isMoved = true));
  await sleep(200);
  expect(isMoved).toBe(false);
  await client.query("COMMIT");
  await moving;
  expect((await append.result()).lastVersion).toBe(1);
  expect(await copy.bring()).toMatchObject({ events: 1, ids: 1 });
  expect(await codeOf(log.append(written("order/1")))).toBe("store_moved");
});
