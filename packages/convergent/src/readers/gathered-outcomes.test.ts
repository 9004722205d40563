// What becomes of effects when the commit of several readers' work together fails, and how.
import { expect, onTestFinished, test } from "vitest";
import { ConvergentError } from "../errors/error.ts";
import type { StoredEvent } from "../log/event.ts";
import { Log } from "../log/log.ts";
import type { StoreDriver } from "../log/store.ts";
import { position } from "../position/position.ts";
import { memory } from "../stores/memory/index.ts";
import { Reader } from "./reader.ts";

/** A store that is asked before and after each commit of derived rows: what is thrown there comes instead of the answer. */
function interrupted(interrupt: { before?: () => void; after?: () => void }, limitMs = 10_000): StoreDriver {
  const driver = memory({ transactionLimitMs: limitMs });
  return {
    host: driver.host,
    open: async (options) => {
      const store = await driver.open(options);
      const write: typeof store.write = async (body, how = {}) => {
        const value = await store.write(async (tx) => {
          const done = await body(tx);
          if (how.derived) interrupt.before?.();
          return done;
        }, how);
        if (how.derived) interrupt.after?.();
        return value;
      };
      return new Proxy(store, {
        get: (target, name) => {
          if (name === "write") return write;
          const value: unknown = Reflect.get(target, name, target);
          return typeof value === "function" ? (value as (...given: unknown[]) => unknown).bind(target) : value;
        },
      });
    },
  };
}

/** Keeps, in one document a reader, the positions that were applied to it. */
function tallyOf(log: Log, name: string, around: (events: readonly StoredEvent[]) => Promise<void> = async () => undefined): Reader {
  const reader = new Reader<StoredEvent>({
    name,
    version: 1,
    source: log,
    effects: log,
    derived: true,
    batchEvents: 4,
    slots: 2,
    prepare: (event) => event,
    orderKey: () => "all",
    apply: async (tx, events) => {
      const [known = "[]"] = await tx.documents(name, 1, ["all"]);
      await around(events);
      const all = [...(JSON.parse(known) as number[]), ...events.map((event) => event.position)];
      await tx.saveDocuments([{ view: name, version: 1, key: "all", document: JSON.stringify(all), indexes: [] }]);
    },
  });
  onTestFinished(() => reader.stop());
  return reader;
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);
const tallies = (log: Log, names: readonly string[]): Promise<unknown[]> =>
  log.snapshot((tx) => Promise.all(names.map(async (name) => JSON.parse((await tx.documents(name, 1, ["all"]))[0] ?? "[]") as unknown)));

async function append(log: Log, count: number): Promise<void> {
  for (let index = 0; index < count; index++)
    await log.append({ stream: "note/n", expected: "any", events: [{ type: "note.written", data: index }] });
}

test("a commit of which nobody knows whether it took place has its events applied once, whether it did or not", async () => {
  let countdown = Infinity;
  const lose = (): void => {
    if (--countdown === 0) throw new ConvergentError("outcome_unknown", "the disk did not confirm the commit");
  };
  for (const when of ["before", "after"] as const) {
    const log = await Log.open(interrupted({ [when]: lose }), "notes");
    onTestFinished(() => log.close());
    const names = ["one", "two", "three"];
    const readers = names.map((name) => tallyOf(log, name));
    for (const reader of readers) reader.start();
    await append(log, 5);
    for (let round = 1; round <= 8; round++) {
      countdown = round;
      await append(log, 5);
      for (const reader of readers) expect(await reader.waitFor((await log.head()).position, 5_000)).toBe(true);
    }
    expect(await tallies(log, names)).toEqual(names.map(() => upTo(45)));
    countdown = Infinity;
    for (const reader of readers) await reader.stop();
  }
});

test("a reader that stops after a commit of which nobody knows does not set its rows back", async () => {
  let isLost = false;
  const lose = (): void => {
    if (isLost) throw new ConvergentError("outcome_unknown", "the disk did not confirm the commit");
  };
  const log = await Log.open(interrupted({ after: lose }), "notes");
  onTestFinished(() => log.close());
  const first = tallyOf(log, "one");
  first.start();
  await append(log, 3);
  expect(await first.waitFor(position(3), 5_000)).toBe(true);
  isLost = true;
  await append(log, 2);
  await expect.poll(() => first.state).toBe("stuck");
  isLost = false;
  await first.stop();
  const second = tallyOf(log, "one");
  second.start();
  expect(await second.waitFor(position(5), 5_000)).toBe(true);
  expect(await tallies(log, ["one"])).toEqual([upTo(5)]);
});

test("of several readers that commit together, one that fails, hangs or throws half way takes back nothing of the others and doubles nothing", async () => {
  const log = await Log.open(interrupted({}, 200), "notes");
  onTestFinished(() => log.close());
  const names = ["good", "failing", "hanging", "later"];
  let broken = true;
  let hung = 0;
  const readers = [
    tallyOf(log, "good"),
    tallyOf(log, "failing", async () => {
      if (broken) throw new ConvergentError("unavailable", "not now");
    }),
    tallyOf(log, "hanging", async (events) => {
      if (broken && events.some((event) => event.position > 8) && hung++ < 3) await log.host.timers.sleep(350);
    }),
    tallyOf(log, "later"),
  ];
  for (const reader of readers) reader.start();
  await append(log, 20);
  for (const index of [0, 3]) expect(await (readers[index] as Reader).waitFor(position(20), 5_000)).toBe(true);
  broken = false;
  for (const reader of readers) expect(await reader.waitFor(position(20), 10_000)).toBe(true);
  expect(await tallies(log, names)).toEqual(names.map(() => upTo(20)));
});
