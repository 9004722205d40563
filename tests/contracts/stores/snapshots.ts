// Snapshots: used where they belong to the stream and to the definition, ignored everywhere else, and never in the way.
import { accepted, command, entity, Log, runtimeOf, service, type SnapshotPolicy, type StoreDriver } from "convergent";
import { expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { codeOf } from "./log-questions.ts";
import { newPlace, type StoreKind } from "./store-kinds.ts";

const Amount = z.object({ amount: z.number() });
const every = 10;

/** How often `evolve` ran: what a snapshot saves. */
let folded = 0;

function bank(snapshot: SnapshotPolicy | undefined) {
  const account = entity("account", { initial: () => ({ balance: 0, moves: 0 }), events: { moved: Amount } })
    .evolve(
      {
        moved: ({ balance, moves }, { amount }) => {
          folded++;
          return { balance: balance + amount, moves: moves + 1 };
        },
      },
      snapshot ? { snapshot } : {},
    )
    .commands({ move: command(Amount, (_, input, emit) => emit.moved(input)) });
  return service("orders", { parts: { account } });
}

async function started(driver: StoreDriver, snapshot?: SnapshotPolicy) {
  const running = await bank(snapshot).start({ store: driver });
  onTestFinished(() => running.stop());
  folded = 0;
  return running;
}

/** Moves 1, 2, 3 … on one account, in a service that is stopped again. */
async function moved(driver: StoreDriver, count: number, snapshot?: SnapshotPolicy): Promise<void> {
  const running = await started(driver, snapshot);
  for (let amount = 1; amount <= count; amount++) accepted(await running.account("a").move({ amount }));
  await running.stop();
}

const sum = (count: number): number => (count * (count + 1)) / 2;

export function snapshotContract(kind: StoreKind): void {
  test("after a restart a stream is folded from its last snapshot on, and with the same result", async () => {
    const place = newPlace();
    await moved(kind.driver(place), 25, { version: 1, every });
    const running = await started(kind.driver(place), { version: 1, every });
    expect((await running.account.state("a")).state).toEqual({ balance: sum(25), moves: 25 });
    expect(folded).toBe(5);
    expect(accepted(await running.account("a").move({ amount: 26 }))).toMatchObject({ state: { balance: sum(26) }, version: 26 });
    for (const version of [1, 9, 10, 11, 20, 25, 26])
      expect(await running.account.state("a", { version })).toMatchObject({ state: { balance: sum(version), moves: version }, version });
    const [first] = await running.account.events("a", { limit: 1 });
    expect((await running.account.state("a", { at: new Date(first?.at ?? 0) })).version).toBeLessThan(27);
  });

  test("a stream that was long before its entity kept snapshots has one after it was read once", async () => {
    const place = newPlace();
    await moved(kind.driver(place), 25);
    const first = await started(kind.driver(place), { version: 1, every });
    await first.account.state("a");
    expect(folded).toBe(25);
    await first.stop();
    const second = await started(kind.driver(place), { version: 1, every });
    expect((await second.account.state("a")).state).toEqual({ balance: sum(25), moves: 25 });
    expect(folded).toBe(0);
  });

  test("a snapshot of another version of the definition, or one that does not meet the schema, is not used", async () => {
    const place = newPlace();
    await moved(kind.driver(place), 25, { version: 1, every });
    for (const policy of [
      { version: 2, every },
      { version: 1, every, schema: z.object({ balance: z.string() }) },
    ]) {
      const running = await started(kind.driver(place), policy);
      expect((await running.account.state("a")).state).toEqual({ balance: sum(25), moves: 25 });
      expect(folded).toBe(25);
      await running.stop();
    }
  });

  test("a snapshot taken at an event that is not in the stream is not used, and is replaced", async () => {
    const place = newPlace();
    await moved(kind.driver(place), 25, { version: 1, every });
    const log = await Log.open(kind.driver(place), "orders");
    const lost = { stream: "account/a", version: 1, at: 30, eventId: "gone", state: '{"balance":-1,"moves":-1}' };
    await log.transact((tx) => tx.snapshots.save(lost));
    await log.transact((tx) => tx.snapshots.save({ ...lost, at: 21 }));
    await log.close();
    const running = await started(kind.driver(place), { version: 1, every });
    expect((await running.account.state("a")).state).toEqual({ balance: sum(25), moves: 25 });
    await runtimeOf(running).entity("account").settled();
    expect(await runtimeOf(running).log.snapshot((tx) => tx.snapshots.of("account/a", 1))).toMatchObject({ at: 25 });
  });

  test("of one stream there is one snapshot a version, and dropping takes all versions", async () => {
    const log = await Log.open(kind.driver(newPlace()), "orders");
    onTestFinished(() => log.close());
    const one = { stream: "s/1", version: 1, at: 5, eventId: "e", state: "5" };
    await log.transact(async (tx) => {
      for (const row of [one, { ...one, at: 6 }, { ...one, version: 2 }, { ...one, stream: "s/2" }]) await tx.snapshots.save(row);
    });
    expect(await log.snapshot((tx) => tx.snapshots.of("s/1", 1))).toEqual({ ...one, at: 6 });
    await log.transact((tx) => tx.snapshots.drop(["s/1"]));
    const left = await log.snapshot((tx) => Promise.all([tx.snapshots.of("s/1", 1), tx.snapshots.of("s/1", 2), tx.snapshots.of("s/2", 1)]));
    expect(left).toEqual([undefined, undefined, { ...one, stream: "s/2" }]);
  });

  test("states that JSON cannot hold are refused: the initial one at the start, later ones by a report, and commands go on", async () => {
    const tags = entity("tags", { initial: () => ({ all: [] as unknown[] }), events: { added: Amount } })
      .evolve(
        { added: ({ all }, { amount }) => ({ all: [...all, amount === 3 ? new Map() : amount] }) },
        { snapshot: { version: 1, every: 2 } },
      )
      .commands({ add: command(Amount, (_, input, emit) => emit.added(input)) });
    const refused: unknown[] = [];
    const running = await service("orders", { parts: { tags } }).start({
      store: kind.driver(newPlace()),
      onSnapshotRefused: (refusal) => refused.push(refusal),
    });
    onTestFinished(() => running.stop());
    for (let amount = 1; amount <= 8; amount++) accepted(await running.tags("t").add({ amount }));
    expect(refused).toEqual([{ entity: "tags", stream: "tags/t", reason: "the state.all[2] is a Map" }]);
    const dated = entity("dated", { initial: () => ({ since: new Date(0) }), events: {} })
      .evolve({}, { snapshot: { version: 1, every: 2 } })
      .commands({});
    expect(await codeOf(service("orders", { parts: { dated } }).start({ store: kind.driver(newPlace()) }))).toBe("definition_invalid");
  });

  test("a stream of 100,000 events answers its first command after a restart like one of ten", async () => {
    const place = newPlace();
    const log = await Log.open(kind.driver(place), "orders");
    const page = Array.from({ length: 10_000 }, () => ({ type: "account.moved", data: { amount: 1 } }));
    for (let append = 0; append < 10; append++) await log.append({ stream: "account/long", expected: "any", events: page });
    await log.append({ stream: "account/short", expected: "any", events: page.slice(0, 10) });
    await log.close();
    const policy = { version: 1, every: 500 };
    const first = await started(kind.driver(place), policy);
    accepted(await first.account("long").move({ amount: 1 }));
    await first.stop();
    const running = await started(kind.driver(place), policy);
    expect(accepted(await running.account("long").move({ amount: 1 })).state).toEqual({ balance: 100_002, moves: 100_002 });
    const long = folded;
    expect(accepted(await running.account("short").move({ amount: 1 })).state).toEqual({ balance: 11, moves: 11 });
    expect(long).toBeLessThanOrEqual(policy.every);
  }, 60_000);
}
