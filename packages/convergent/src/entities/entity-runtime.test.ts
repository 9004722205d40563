import fc from "fast-check";
import { expect, test } from "vitest";
import { z } from "zod";
import { isConvergentError } from "../errors/error.ts";
import { nodeHost } from "../host-node/host.ts";
import type { Host } from "../host/host.ts";
import { Log } from "../log/log.ts";
import type { StoreDriver } from "../log/store.ts";
import { accepted } from "../protocol/outcome.ts";
import { memory } from "../stores/memory/index.ts";
import { memoryDisk } from "../stores/memory/memory-disk.ts";
import { command, entity, reject } from "./entity.ts";
import { EntityRuntime } from "./entity-runtime.ts";

const Amount = z.object({ amount: z.number().int() });
const account = entity("account", {
  initial: () => ({ balance: 0, moves: [] as number[] }),
  events: { moved: Amount, closed: z.object({}) },
})
  .evolve(
    { moved: (state, data) => ({ balance: state.balance + data.amount, moves: [...state.moves, data.amount] }), closed: (state) => state },
    { pending: (state) => (state.balance < 0 ? ["overdraft-fee"] : []) },
  )
  .commands({
    move: command(Amount, (state, input, emit) => (state.balance + input.amount < -1000 ? reject("over the limit") : emit.moved(input))),
    moveRetried: command(Amount, (_, input, emit) => emit.moved(input), { onConflict: "retry" }),
    split: command(Amount, (_, input, emit) => [emit.moved(input), emit.moved(input)]),
    nothing: command(z.object({}), () => []),
  });

async function open(driver: StoreDriver = memory()): Promise<{ runtime: EntityRuntime; log: Log }> {
  const log = await Log.open(driver, "bank");
  return { runtime: new EntityRuntime(account, log), log };
}

test("a command answers with the state it led to, its version and what is pending", async () => {
  const { runtime } = await open();
  const outcome = accepted(await runtime.run({ entityId: "a", command: "move", input: { amount: -5 } }));
  expect(outcome).toMatchObject({ state: { balance: -5 }, version: 1, pending: ["overdraft-fee"], repeated: false });
  expect(outcome.events).toMatchObject([{ type: "account.moved", version: 1, position: 1, data: { amount: -5 } }]);
});

test("a refusal is a value and changes nothing", async () => {
  const { runtime } = await open();
  expect(await runtime.run({ entityId: "a", command: "move", input: { amount: -1001 } })).toEqual({
    kind: "rejected",
    reason: "over the limit",
  });
  await expect(runtime.read("a")).rejects.toMatchObject({ code: "entity_not_found" });
});

test("a command that decides on no events is accepted and leaves the version", async () => {
  const { runtime } = await open();
  await runtime.run({ entityId: "a", command: "move", input: { amount: 1 } });
  expect(await runtime.run({ entityId: "a", command: "nothing", input: {} })).toMatchObject({ kind: "accepted", version: 1, events: [] });
});

test("input that does not meet its schema names every field, and an unknown command the known ones", async () => {
  const { runtime } = await open();
  await expect(runtime.run({ entityId: "a", command: "move", input: { amount: "5" } })).rejects.toMatchObject({
    code: "invalid_input",
    details: { issues: [{ path: "amount" }] },
  });
  await expect(runtime.run({ entityId: "a", command: "toString", input: {} })).rejects.toMatchObject({
    code: "not_found",
    details: { known: ["move", "moveRetried", "split", "nothing"] },
  });
});

test("the four forms of expected hold against the present version", async () => {
  const { runtime } = await open();
  const move = async (expected: number | "none" | "some" | "any"): Promise<string> =>
    (await runtime.run({ entityId: "a", command: "move", input: { amount: 1 }, options: { expected } })).kind;
  expect(await move("some")).toBe("conflict");
  expect(await move(1)).toBe("conflict");
  expect(await move("none")).toBe("accepted");
  expect(await move("none")).toBe("conflict");
  expect(await move(1)).toBe("accepted");
  expect(await move("some")).toBe("accepted");
  expect(await move("any")).toBe("accepted");
  expect(await runtime.run({ entityId: "a", command: "move", input: { amount: 1 }, options: { expected: 2 } })).toMatchObject({
    kind: "conflict",
    version: 4,
    state: { balance: 4 },
  });
  expect(await runtime.run({ entityId: "a", command: "moveRetried", input: { amount: 1 }, options: { expected: 2 } })).toMatchObject({
    kind: "accepted",
    version: 5,
  });
});

test("the same id and input get the first answer again, also when the entity would now refuse; other input is an error", async () => {
  const { runtime } = await open();
  const first = accepted(await runtime.run({ entityId: "a", command: "move", input: { amount: -900 }, options: { id: "r-1" } }));
  await runtime.run({ entityId: "a", command: "move", input: { amount: -100 } });
  const again = accepted(await runtime.run({ entityId: "a", command: "move", input: { amount: -900 }, options: { id: "r-1" } }));
  expect(again).toMatchObject({ repeated: true, version: 1, state: first.state, events: first.events });
  expect(String(again.token)).toBe(String(first.token));
  await expect(runtime.run({ entityId: "a", command: "move", input: { amount: 1 }, options: { id: "r-1" } })).rejects.toMatchObject({
    code: "idempotency_key_reused",
  });
  expect(await runtime.run({ entityId: "a", command: "move", input: { amount: -900 }, options: { id: "r-2" } })).toMatchObject({
    kind: "rejected",
  });
  expect(accepted(await runtime.run({ entityId: "a", command: "move", input: { amount: 900 }, options: { id: "r-2" } })).repeated).toBe(
    false,
  ); // a refusal is not remembered
});

test("a caller cannot change the state that the next command decides on", async () => {
  const { runtime } = await open();
  const { state } = accepted(await runtime.run({ entityId: "a", command: "move", input: { amount: 1 } }));
  expect(() => (state as { moves: number[] }).moves.push(999)).toThrow(TypeError);
  expect((await runtime.read("a")).state).toEqual({ balance: 1, moves: [1] });
});

test("many commands on one entity at once all take effect: they never lose a race to each other", async () => {
  const { runtime } = await open();
  const outcomes = await Promise.all(
    Array.from({ length: 200 }, () => runtime.run({ entityId: "a", command: "move", input: { amount: 1 } })),
  );
  expect(outcomes.every((outcome) => outcome.kind === "accepted")).toBe(true);
  expect((await runtime.read("a")).state).toMatchObject({ balance: 200 });
});

test("a process whose memory of an entity is old decides on the present state", async () => {
  const { runtime, log } = await open();
  const elsewhere = new EntityRuntime(account, log); // its own memory, the same log
  await runtime.run({ entityId: "a", command: "move", input: { amount: -500 } });
  await elsewhere.run({ entityId: "a", command: "move", input: { amount: -400 } });
  expect(await runtime.run({ entityId: "a", command: "move", input: { amount: -200 } })).toMatchObject({ kind: "rejected" });
  expect(await runtime.run({ entityId: "a", command: "move", input: { amount: -100 } })).toMatchObject({
    kind: "accepted",
    version: 3,
    state: { balance: -1000 },
  });
});

test("the state can be asked for as of a version and as of a time", async () => {
  let now = 1000;
  const host: Host = { ...nodeHost(), disk: memoryDisk(), clock: { now: () => now, elapsed: () => performance.now() } };
  const { runtime } = await open(memory({ host }));
  for (const amount of [1, 2, 3]) {
    await runtime.run({ entityId: "a", command: "move", input: { amount } });
    now += 1000;
  }
  expect((await runtime.read("a", { version: 2 })).state).toMatchObject({ balance: 3 });
  expect((await runtime.read("a", { atMs: 2500 })).state).toMatchObject({ balance: 3 });
  expect((await runtime.read("a", { atMs: 1000 })).version).toBe(1);
  await expect(runtime.read("a", { version: 4 })).rejects.toSatisfy((error) => isConvergentError(error, "entity_not_found"));
  await expect(runtime.read("a", { atMs: 999 })).rejects.toSatisfy((error) => isConvergentError(error, "entity_not_found"));
});

test("property: an entity's state is the fold of its events, whatever order commands, repeats and conflicts come in", async () => {
  const step = fc.record({
    id: fc.integer({ min: 0, max: 2 }),
    amount: fc.integer({ min: -600, max: 600 }),
    key: fc.option(fc.integer({ min: 0, max: 5 }), { nil: undefined }),
    split: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const { runtime } = await open();
      const seen = new Set<string>();
      await Promise.all(
        steps.map(async ({ id, amount, key, split }) => {
          seen.add(`e${id}`);
          const options = key === undefined ? {} : { id: `k${key}` };
          await runtime
            .run({ entityId: `e${id}`, command: split ? "split" : "move", input: { amount }, options })
            .catch((error: unknown) => expect(error).toMatchObject({ code: "idempotency_key_reused" }));
        }),
      );
      for (const entityId of seen) {
        const events = await runtime.events(entityId, { after: 0, limit: 1000 }).catch(() => []);
        if (events.length === 0) continue;
        const amounts = events.map((event) => (event.data as { amount: number }).amount);
        expect(events.map((event) => event.version)).toEqual(amounts.map((_, index) => index + 1));
        expect((await runtime.read(entityId)).state).toEqual({ balance: amounts.reduce((sum, amount) => sum + amount, 0), moves: amounts });
      }
    }),
    { numRuns: 60 },
  );
});

test("what fails on an old memory of the entity is decided again on its present state", async () => {
  const { runtime, log } = await open();
  const elsewhere = new EntityRuntime(account, log);
  const strict = entity("account", { initial: () => 0, events: { moved: z.object({ amount: z.number().max(0) }), closed: z.object({}) } })
    .evolve({ moved: (state, data) => state + data.amount, closed: (state) => state })
    .commands({ repay: command(z.object({}), (state, _input, emit) => emit.moved({ amount: state + 100 })) });
  const careful = new EntityRuntime(strict, log);
  await runtime.run({ entityId: "a", command: "move", input: { amount: -50 } });
  await careful.read("a"); // remembers -50, on which repaying would emit 50, which its event's schema refuses
  await elsewhere.run({ entityId: "a", command: "move", input: { amount: -100 } });
  expect(await careful.run({ entityId: "a", command: "repay", input: {} })).toMatchObject({ kind: "accepted", version: 3 });
});

test("two processes that write one entity at full speed both get every command through", async () => {
  const { runtime, log } = await open();
  const elsewhere = new EntityRuntime(account, log);
  const many = (of: EntityRuntime): Promise<unknown> =>
    Promise.all(Array.from({ length: 150 }, () => of.run({ entityId: "a", command: "move", input: { amount: 1 } })));
  await Promise.all([many(runtime), many(elsewhere)]);
  expect((await runtime.read("a")).state).toMatchObject({ balance: 300 });
});

test("a command inside a write transaction is refused at once, instead of waiting for itself", async () => {
  const { runtime, log } = await open();
  const inside = log.transact(() => runtime.run({ entityId: "a", command: "move", input: { amount: 1 } }));
  await expect(inside).rejects.toMatchObject({ code: "append_in_transaction" });
  await runtime.run({ entityId: "a", command: "move", input: { amount: 1 } });
});

test("a misspelt expectation and a time that is none are errors, not conflicts or present states", async () => {
  const { runtime } = await open();
  await runtime.run({ entityId: "a", command: "move", input: { amount: 1 } });
  await expect(
    runtime.run({ entityId: "a", command: "move", input: { amount: 1 }, options: { expected: "nune" as never } }),
  ).rejects.toMatchObject({ code: "invalid_input" });
  await expect(runtime.read("a", { atMs: Number.NaN })).rejects.toMatchObject({ code: "invalid_input" });
});
