import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { command, entity, reject } from "../entities/entity.ts";
import type { StoreDriver } from "../log/store.ts";
import { memory } from "../stores/memory/index.ts";
import { sqlite } from "../stores/sqlite/index.ts";
import { view } from "../views/view.ts";
import { runtimeOf, service } from "./service.ts";

const Amount = z.object({ amount: z.number() });
const account = entity("account", { initial: () => ({ balance: 0 }), events: { deposited: Amount, withdrawn: Amount } })
  .evolve({
    deposited: (state, { amount }) => ({ balance: state.balance + amount }),
    withdrawn: (state, { amount }) => ({ balance: state.balance - amount }),
  })
  .commands({
    deposit: command(Amount, (_, input, emit) => (input.amount === 0 ? [] : emit.deposited(input))),
    withdraw: command(Amount, (state, input, emit) => (state.balance >= input.amount ? emit.withdrawn(input) : reject("too little"))),
  });
const transfer = entity("transfer", { initial: () => ({ done: false }), events: { done: z.object({}) } })
  .evolve({ done: () => ({ done: true }) })
  .commands({ complete: command(z.object({}), (state, _, emit) => (state.done ? reject("done already") : emit.done({}))) });
const balances = view("balances", {
  from: [account],
  document: z.object({ balance: z.number().min(0) }),
  key: (event) => event.entityId,
  consistency: "strong",
}).on({
  "account.deposited": (document, { data }) => ({ balance: (document?.balance ?? 0) + data.amount }),
  "account.withdrawn": (document, { data }) => ({ balance: (document?.balance ?? 0) - data.amount }),
});
const bank = service("bank", { parts: { account, transfer, balances } });

const stores: ReadonlyArray<readonly [string, () => StoreDriver]> = [
  ["memory", () => memory()],
  [
    "sqlite",
    () => {
      const place = mkdtempSync(join(tmpdir(), "convergent-together-"));
      onTestFinished(() => rmSync(place, { recursive: true, force: true }));
      return sqlite(join(place, "bank.db"));
    },
  ],
];

async function open(driver: StoreDriver) {
  const running = await bank.start({ store: driver });
  onTestFinished(() => running.stop());
  return running;
}

type Bank = Awaited<ReturnType<typeof open>>;

const move = ({ account: accounts, transfer: transfers }: Bank, amount: number, id = "t-1") =>
  [accounts.plan("ada").withdraw({ amount }), accounts.plan("bob").deposit({ amount }), transfers.plan(id).complete({})] as const;

const headOf = async (running: Bank): Promise<number> => (await runtimeOf(running).log.head()).position;

test.each(stores)(
  "%s: commands on several entities take effect in one go, each decided on what those before it led to",
  async (_, driver) => {
    const running = await open(driver());
    const { account: accounts } = running;
    const outcome = await running.together(
      [accounts.plan("ada").deposit({ amount: 5 }), ...move(running, 3), accounts.plan("ada").withdraw({ amount: 2 })],
      {
        actor: "eve",
      },
    );
    expect(outcome).toMatchObject({
      kind: "accepted",
      repeated: false,
      outcomes: [
        { state: { balance: 5 } },
        { state: { balance: 2 } },
        { state: { balance: 3 } },
        { state: { done: true } },
        { state: { balance: 0 }, version: 3 },
      ],
    });
    if (outcome.kind === "accepted") expect(outcome.token.entries).toMatchObject([{ position: 5 }]);
    const { events } = await runtimeOf(running).log.read({ after: 0 as never, limit: 10 });
    expect(events.map(({ position, stream, metadata }) => [position, stream, metadata])).toEqual(
      ["account/ada", "account/ada", "account/bob", "transfer/t-1", "account/ada"].map((stream, n) => [n + 1, stream, '{"actor":"eve"}']),
    );
    expect((await running.balances.get("bob")).value).toEqual({ balance: 3 });
  },
);

test.each(stores)("%s: the first refusal or conflict rolls all back and says which command it was", async (_, driver) => {
  const running = await open(driver());
  await running.account("ada").deposit({ amount: 5 });
  await running.transfer("t-1").complete({});
  expect(await running.together(move(running, 1))).toMatchObject({
    kind: "rejected",
    reason: "done already",
    index: 2,
    command: { entity: "transfer", entityId: "t-1", command: "complete", input: {} },
  });
  const conflict = await running.together([
    running.account.plan("bob").deposit({ amount: 1 }, { expected: "none" }),
    running.account.plan("ada").deposit({ amount: 1 }, { expected: 7 }),
  ]);
  expect(conflict).toMatchObject({ kind: "conflict", index: 1, version: 1, state: { balance: 5 }, command: { entityId: "ada" } });
  await expect(
    running.together([running.account.plan("bob").deposit({ amount: 1 }), running.account.plan("bob").deposit({ amount: "1" } as never)]),
  ).rejects.toMatchObject({ code: "invalid_input" });
  expect(await headOf(running)).toBe(2);
  expect((await running.account.state("ada")).state).toEqual({ balance: 5 });
  await expect(running.account.state("bob")).rejects.toMatchObject({ code: "entity_not_found" });
  // What was rolled back is not remembered as a state either.
  expect(await running.account("bob").withdraw({ amount: 1 })).toMatchObject({ kind: "rejected" });
  expect(await running.account("bob").deposit({ amount: 1 })).toMatchObject({ kind: "accepted", version: 1, state: { balance: 1 } });
});

test.each(stores)(
  "%s: the same id again gives the first answers for all, whatever became of the entities; other content is an error",
  async (_, make) => {
    const driver = make();
    const first = await bank.start({ store: driver });
    await first.account("ada").deposit({ amount: 5 });
    const plans = (running: Bank) => [...move(running, 3), running.account.plan("new").deposit({ amount: 0 })] as const;
    const done = await first.together(plans(first), { id: "i-1", actor: "eve" });
    expect(done).toMatchObject({ kind: "accepted", repeated: false });
    await first.account("ada").withdraw({ amount: 2 });
    await first.stop();
    const running = await open(driver);
    const again = await running.together(plans(running), { id: "i-1", actor: "eve" });
    expect(again).toMatchObject({
      kind: "accepted",
      repeated: true,
      outcomes: [
        { version: 2, state: { balance: 2 }, repeated: true },
        { version: 1, state: { balance: 3 } },
        { state: { done: true } },
        { version: 0, events: [] },
      ],
    });
    expect(await headOf(running)).toBe(5);
    for (const other of [move(running, 3), move(running, 1), plans(running).toReversed()])
      await expect(running.together(other, { id: "i-1", actor: "eve" })).rejects.toMatchObject({ code: "idempotency_key_reused" });
    await expect(running.account("ada").deposit({ amount: 1 }, { id: "i-1", actor: "eve" })).rejects.toMatchObject({
      code: "idempotency_key_reused",
    });
    // Somebody else's id is another one; a refusal is remembered by nobody.
    expect(await running.together(move(running, 3), { id: "i-1", actor: "ada" })).toMatchObject({ kind: "rejected", index: 0 });
  },
);

test.each(stores)("%s: transfers at once lose and make no money, and repeats of one id take effect once", async (_, driver) => {
  const running = await open(driver());
  await running.account("ada").deposit({ amount: 10 });
  const calls = Array.from({ length: 30 }, (_unused, n) => running.together(move(running, 1, `t-${n % 15}`), { id: `i-${n % 15}` }));
  const outcomes = await Promise.all([...calls, ...Array.from({ length: 20 }, () => running.account("bob").deposit({ amount: 1 }))]);
  const accepted = outcomes.filter((outcome) => outcome.kind === "accepted" && "outcomes" in outcome);
  expect(accepted).toHaveLength(20);
  expect((await running.account.state("ada")).state).toEqual({ balance: 0 });
  expect((await running.account.state("bob")).state).toEqual({ balance: 30 });
  expect((await running.balances.get("bob")).value).toEqual({ balance: 30 });
});

test("together runs 1 to 100 commands of entities that the service has, and not inside a write transaction", async () => {
  const running = await open(memory());
  await expect(running.together([])).rejects.toMatchObject({ code: "invalid_input" });
  const many = Array.from({ length: 101 }, () => running.account.plan("ada").deposit({ amount: 1 }));
  await expect(running.together(many)).rejects.toMatchObject({ code: "invalid_input" });
  await expect(running.together([{ entity: "order", entityId: "o", command: "place", input: {} }])).rejects.toMatchObject({
    code: "not_found",
  });
  await runtimeOf(running).log.transact(async () => {
    await expect(running.together(many.slice(1))).rejects.toMatchObject({ code: "append_in_transaction" });
  });
});
