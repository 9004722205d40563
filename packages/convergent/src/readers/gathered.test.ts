import { expect, test } from "vitest";
import { Log } from "../log/log.ts";
import type { Store, StoreDriver, WriteTransaction } from "../log/store.ts";
import { memory } from "../stores/memory/index.ts";
import { gatheredOf } from "./gathered.ts";

/** A log that counts its transactions. */
async function countedLog(): Promise<{ log: Log; transactions: () => number }> {
  let transactions = 0;
  const driver = memory();
  const counted: StoreDriver = {
    ...driver,
    host: driver.host,
    open: async (options) => {
      const store = await driver.open(options);
      return new Proxy(store, {
        get: (target, name) => {
          if (name === "write") transactions++;
          const value: unknown = Reflect.get(target, name, target);
          return typeof value === "function" ? (value as (...given: unknown[]) => unknown).bind(target) : value;
        },
      }) satisfies Store;
    },
  };
  const log = await Log.open(counted, "orders");
  transactions = 0;
  return { log, transactions: () => transactions };
}

function saving(key: string): (tx: WriteTransaction) => Promise<string> {
  return async (tx) => {
    await tx.saveDocuments([{ view: "v", version: 1, key, document: "{}", indexes: [] }]);
    return key;
  };
}

const documents = (log: Log, keys: readonly string[]): Promise<Array<string | undefined>> =>
  log.snapshot((tx) => tx.documents("v", 1, keys));

test("what is ready in one turn is committed together, each with its own result", async () => {
  const { log, transactions } = await countedLog();
  const gathered = gatheredOf(log);
  const keys = Array.from({ length: 50 }, (_, index) => `k${index}`);
  expect(await Promise.all(keys.map((key) => gathered.commit(1, saving(key))))).toEqual(keys);
  // One, unless the machine is so busy that it takes longer than others are to wait for it.
  expect(transactions()).toBeLessThan(10);
  expect(await documents(log, keys)).toEqual(keys.map(() => "{}"));
  await log.close();
});

test("a body that throws is rolled back alone and takes nobody with it", async () => {
  const { log } = await countedLog();
  const gathered = gatheredOf(log);
  const failing = async (tx: WriteTransaction): Promise<never> => {
    await saving("bad")(tx);
    throw new Error("no");
  };
  const settled = await Promise.allSettled([
    gathered.commit(1, saving("first")),
    gathered.commit(1, saving("good")),
    gathered.commit(1, failing),
    gathered.commit(1, saving("later")),
  ]);
  expect(settled.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled", "rejected", "fulfilled"]);
  expect(await documents(log, ["first", "good", "bad", "later"])).toEqual(["{}", "{}", undefined, "{}"]);
  await log.close();
});

test("one transaction holds about as many events as one reader's batch", async () => {
  const { log, transactions } = await countedLog();
  const gathered = gatheredOf(log);
  await Promise.all(Array.from({ length: 9 }, (_, index) => gathered.commit(64, saving(`k${index}`))));
  expect(transactions()).toBe(5); // two at a time
  await log.close();
});

test("a transaction that takes long leaves the rest to the next one, and an append that came meanwhile goes first", async () => {
  const { log } = await countedLog();
  const gathered = gatheredOf(log);
  const order: string[] = [];
  const slowly =
    (name: string) =>
    async (tx: WriteTransaction): Promise<void> => {
      order.push(`${name} at ${(await tx.head()).position}`);
      await log.host.timers.sleep(5);
    };
  const all = ["a", "b", "c"].map((name) => gathered.commit(1, slowly(name)));
  await log.host.timers.sleep(2);
  await log.append({ stream: "order/1", expected: "any", events: [{ type: "order.placed", data: {} }] });
  await Promise.all(all);
  expect(order).toEqual(["a at 0", "b at 1", "c at 1"]);
  await log.close();
});
