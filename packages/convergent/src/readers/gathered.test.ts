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

test("what is ready while a transaction runs is committed in the next one together, each with its own result", async () => {
  const { log, transactions } = await countedLog();
  const gathered = gatheredOf(log);
  const keys = Array.from({ length: 50 }, (_, index) => `k${index}`);
  expect(await Promise.all(keys.map((key) => gathered.commit(1, saving(key))))).toEqual(keys);
  expect(transactions()).toBe(2);
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
  expect(transactions()).toBe(5); // the first alone, then two at a time
  await log.close();
});
