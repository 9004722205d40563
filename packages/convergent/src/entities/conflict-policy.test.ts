import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { z } from "zod";
import { Log } from "../log/log.ts";
import { mergeList } from "../merge/keyed-list.ts";
import { sameJson } from "../merge/same-json.ts";
import { threeWay } from "../merge/three-way.ts";
import { accepted, type Conflict, type Outcome } from "../protocol/outcome.ts";
import { memory } from "../stores/memory/index.ts";
import { merge } from "./conflict-policy.ts";
import { command, entity, reject } from "./entity.ts";
import { type CommandOptions, EntityRuntime } from "./entity-runtime.ts";

const Lines = z.array(z.object({ product: z.string(), quantity: z.int() }));
const Amend = z
  .object({ lines: Lines, note: z.string().optional(), from: z.int(), to: z.int() })
  .refine(({ from, to }) => from <= to, { message: "from is after to" });
type Input = z.infer<typeof Amend>;

function inputOf({ lines, note, from, to }: Input): Input {
  return { lines, from, to, ...(note === undefined ? {} : { note }) };
}

const order = entity("order", {
  initial: (): Input & { readonly closed: boolean } => ({ lines: [], from: 0, to: 9, closed: false }),
  events: { amended: Amend, closed: z.object({}) },
})
  .evolve({ amended: (state, data) => ({ closed: state.closed, ...data }), closed: (state) => ({ ...state, closed: true }) })
  .commands({
    amend: command(Amend, (state, input, emit) => (state.closed ? reject("closed") : emit.amended(input)), {
      onConflict: merge({
        of: (state) => inputOf(state),
        rules: { lines: mergeList((line) => line.product) },
      }),
    }),
    overwrite: command(Amend, (_, input, emit) => emit.amended(input)),
    retry: command(Amend, (_, input, emit) => emit.amended(input), { onConflict: "retry" }),
    close: command(z.object({}), (_, __, emit) => emit.closed({})),
  });

const first: Input = { lines: [{ product: "tea", quantity: 1 }], from: 0, to: 9 };

async function open(): Promise<{
  log: Log;
  runtime: EntityRuntime;
  run: (command: string, input: unknown, options?: CommandOptions) => Promise<Outcome<unknown>>;
}> {
  const log = await Log.open(memory(), "shop");
  const runtime = new EntityRuntime(order, log);
  return { log, runtime, run: (command, input, options = {}) => runtime.run({ entityId: "o", command, input, options }) };
}

function conflictOf(outcome: Outcome<unknown>): Conflict<unknown> {
  if (outcome.kind !== "conflict") throw new Error(`expected a conflict, not ${JSON.stringify(outcome)}`);
  return outcome;
}

test("reject tells what the entity was, what it is, the events between and the fields that differ", async () => {
  const { run } = await open();
  await run("overwrite", first);
  await run("overwrite", { ...first, note: "ring twice", to: 7 });
  await run("close", {});
  const conflict = conflictOf(await run("overwrite", { ...first, to: 5 }, { expected: 1 }));
  expect(conflict).toMatchObject({ version: 3, expected: 1, base: { ...first, closed: false }, mergeable: false });
  expect(conflict.changed).toMatchObject([
    { type: "order.amended", version: 2 },
    { type: "order.closed", version: 3 },
  ]);
  expect(conflict.fields).toEqual([
    { field: "closed", base: false, theirs: true, conflicting: true },
    { field: "to", base: 9, theirs: 7, conflicting: true },
    { field: "note", theirs: "ring twice", conflicting: true },
  ]);
  expect(conflict).not.toHaveProperty("more");
});

test("a conflict on a version that never was has neither base nor fields, and one on nothing begins with the initial state", async () => {
  const { run } = await open();
  expect(conflictOf(await run("overwrite", first, { expected: "some" }))).toMatchObject({ version: 0, changed: [], fields: [] });
  await run("overwrite", first);
  const ahead = conflictOf(await run("amend", first, { expected: 7 }));
  expect(ahead).toMatchObject({ version: 1, expected: 7, changed: [], fields: [], mergeable: false });
  expect(ahead).not.toHaveProperty("base");
  const created = conflictOf(await run("overwrite", first, { expected: "none" }));
  expect(created).toMatchObject({ expected: "none", base: { lines: [] }, changed: [{ version: 1 }], fields: [{ field: "lines" }] });
});

test("a conflict tells of a hundred events at most, and says when there are more", async () => {
  const { run } = await open();
  for (let index = 0; index < 102; index++) await run("overwrite", { ...first, from: -index });
  expect(conflictOf(await run("overwrite", first, { expected: 2 }))).not.toHaveProperty("more");
  const conflict = conflictOf(await run("overwrite", first, { expected: 1 }));
  expect(conflict.more).toBe(true);
  expect(conflict.changed.map(({ version }) => version)).toEqual(Array.from({ length: 100 }, (_, index) => index + 2));
});

test("merge takes over what others changed and keeps what this caller changed, and says what it did", async () => {
  const { run } = await open();
  await run("amend", first);
  await run("amend", { ...first, note: "ring twice", lines: [...first.lines, { product: "cup", quantity: 2 }] });
  const outcome = accepted(await run("amend", { ...first, to: 5, lines: [{ product: "tea", quantity: 3 }] }, { expected: 1 }));
  const lines = [
    { product: "tea", quantity: 3 },
    { product: "cup", quantity: 2 },
  ];
  expect(outcome).toMatchObject({ version: 3, state: { lines, note: "ring twice", from: 0, to: 5 } });
  expect(outcome.merged).toEqual([
    {
      field: "lines",
      base: first.lines,
      theirs: [...first.lines, { product: "cup", quantity: 2 }],
      ours: [{ product: "tea", quantity: 3 }],
      merged: lines,
      conflicting: false,
    },
    { field: "note", theirs: "ring twice", merged: "ring twice", conflicting: false },
  ]);
});

test("a command that met its expectation says nothing of a merge", async () => {
  const { run } = await open();
  await run("amend", first);
  expect(accepted(await run("amend", { ...first, to: 5 }, { expected: 1 }))).not.toHaveProperty("merged");
  expect(accepted(await run("amend", { ...first, to: 6 }))).not.toHaveProperty("merged");
});

test("fields that both changed are a conflict with all three values, beside what the rules made of the others; nothing is written", async () => {
  const { run, runtime } = await open();
  await run("amend", first);
  await run("amend", { ...first, to: 7, note: "ring twice" });
  const conflict = conflictOf(await run("amend", { ...first, to: 5, from: 1 }, { expected: 1 }));
  expect(conflict).toMatchObject({ version: 2, base: first, mergeable: true });
  expect(conflict.fields).toEqual([
    { field: "to", base: 9, theirs: 7, ours: 5, conflicting: true },
    { field: "note", theirs: "ring twice", merged: "ring twice", conflicting: false },
  ]);
  expect((await runtime.read("o")).version).toBe(2);
});

test("what a partial input leaves out is left to the others, and what another one leaves out was removed", async () => {
  const Fields = z.object({ a: z.string().optional(), b: z.string().optional() });
  const initial = (): z.infer<typeof Fields> => ({});
  const form = entity("form", { initial, events: { saved: Fields } })
    .evolve({ saved: (state, data) => ({ ...state, ...data }) })
    .commands({
      patch: command(Fields, (_, input, emit) => emit.saved(input), { onConflict: merge({ of: (state) => state, partial: true }) }),
      put: command(Fields, (_, input, emit) => emit.saved(input), { onConflict: merge({ of: (state) => state }) }),
    });
  const runtime = new EntityRuntime(form, await Log.open(memory(), "forms"));
  const run = (name: string, input: unknown, options: CommandOptions = {}) => runtime.run({ entityId: "f", command: name, input, options });
  await run("put", { a: "1", b: "1" });
  await run("put", { a: "2", b: "1" });
  expect(conflictOf(await run("put", { b: "3" }, { expected: 1 })).fields).toEqual([
    { field: "a", base: "1", theirs: "2", conflicting: true },
  ]);
  expect(accepted(await run("patch", { b: "3" }, { expected: 1 })).state).toEqual({ a: "2", b: "3" });
  expect(conflictOf(await run("patch", { a: "3", b: undefined }, { expected: 1 })).fields).toMatchObject([
    { field: "a", base: "1", theirs: "2", ours: "3", conflicting: true },
    { field: "b", base: "1", theirs: "3", merged: "3", conflicting: false },
  ]);
});

test("a merge that is no input any more is a conflict of the fields involved, not a failure", async () => {
  const { run } = await open();
  await run("amend", first);
  await run("amend", { ...first, from: 6 });
  const conflict = conflictOf(await run("amend", { ...first, to: 5 }, { expected: 1 }));
  expect(conflict.fields).toEqual([{ field: "from", base: 0, theirs: 6, ours: 0, conflicting: true }]);
});

test("what was merged is decided on the present state, which may refuse it", async () => {
  const { run } = await open();
  await run("amend", first);
  await run("close", {});
  expect(await run("amend", { ...first, to: 5 }, { expected: 1 })).toEqual({ kind: "rejected", reason: "closed" });
});

test("the caller may ask for another policy than the command's own, but for a merge only where one is declared", async () => {
  const { run } = await open();
  await run("amend", first);
  await run("amend", { ...first, note: "ring twice" });
  const mine = { ...first, to: 5 };
  expect(conflictOf(await run("amend", mine, { expected: 1, onConflict: "reject" }))).toMatchObject({
    mergeable: true,
    fields: [{ field: "note", merged: "ring twice", conflicting: false }],
  });
  expect(conflictOf(await run("retry", mine, { expected: 1, onConflict: "reject" }))).toMatchObject({ mergeable: false });
  expect(accepted(await run("amend", mine, { expected: 1, onConflict: "retry" })).state).not.toHaveProperty("note");
  await expect(run("overwrite", mine, { expected: 1, onConflict: "merge" })).rejects.toMatchObject({ code: "invalid_input" });
  await expect(run("amend", mine, { expected: 1, onConflict: "ignore" as never })).rejects.toMatchObject({ code: "invalid_input" });
});

test("a repeat of a merged command gets the first answer, with what was merged", async () => {
  const { run } = await open();
  await run("amend", first);
  await run("amend", { ...first, note: "ring twice" });
  const options: CommandOptions = { expected: 1, id: "r-1" };
  const outcome = accepted(await run("amend", { ...first, to: 5 }, options));
  await run("amend", { ...first, note: "later" });
  const again = accepted(await run("amend", { ...first, to: 5 }, options));
  expect(again).toEqual({ ...outcome, repeated: true, token: again.token });
  await expect(run("amend", { ...first, to: 6 }, options)).rejects.toMatchObject({ code: "idempotency_key_reused" });
});

test("property: what merging commands lead to is the three-way merge of what their callers saw, wanted and found", async () => {
  const text = fc.constantFrom("a", "b", "c");
  const Fields = z.object({ a: z.string(), b: z.string(), c: z.string() });
  const form = entity("form", { initial: (): z.infer<typeof Fields> => ({ a: "", b: "", c: "" }), events: { saved: Fields } })
    .evolve({ saved: (_, data) => data })
    .commands({
      save: command(Fields, (_, input, emit) => emit.saved(input), { onConflict: merge({ of: (state) => state, rules: { c: "theirs" } }) }),
    });
  const edit = fc.record({ back: fc.nat(3), a: fc.option(text), b: fc.option(text), c: fc.option(text) });
  await fc.assert(
    fc.asyncProperty(fc.array(edit, { maxLength: 12 }), async (edits) => {
      const runtime = new EntityRuntime(form, await Log.open(memory(), "forms"));
      const states: Array<z.infer<typeof Fields>> = [form.initial()];
      for (const { back, ...change } of edits) {
        const seen = Math.max(0, states.length - 1 - back);
        const base = states[seen]!;
        const input = { a: change.a ?? base.a, b: change.b ?? base.b, c: change.c ?? base.c };
        const theirs = states.at(-1)!;
        const wanted = threeWay(base, theirs, input, { c: "theirs" });
        const outcome = await runtime.run({ entityId: "f", command: "save", input, options: { expected: seen === 0 ? "none" : seen } });
        if (wanted.fields.some(({ conflicting }) => conflicting))
          expect(outcome).toMatchObject({ kind: "conflict", fields: wanted.fields });
        else {
          const { state, version } = accepted(outcome);
          expect(sameJson(state, wanted.merged)).toBe(true);
          expect(version).toBe(states.push(wanted.merged) - 1);
        }
      }
    }),
    { numRuns: 60 },
  );
});

test("writers that merge, each from what it last saw, lose no change of disjoint fields", async () => {
  const { log } = await open();
  const writers = ["a", "b", "c"].map((name) => ({ name, runtime: new EntityRuntime(order, log) })); // each with its own memory
  await writers[0]!.runtime.run({ entityId: "o", command: "amend", input: { ...first, lines: [] } });
  const work = async ({ name, runtime }: { name: string; runtime: EntityRuntime }): Promise<void> => {
    let { state, version } = (await runtime.read("o")) as { state: Input; version: number };
    for (let quantity = 1; quantity <= 30; quantity++) {
      const lines = [...state.lines.filter((line) => line.product !== name), { product: name, quantity }];
      const outcome = accepted(
        await runtime.run({ entityId: "o", command: "amend", input: { ...first, lines }, options: { expected: version } }),
      );
      ({ state, version } = outcome as { state: Input; version: number });
    }
  };
  await Promise.all(writers.map(work));
  const { state, version } = await writers[0]!.runtime.read("o");
  expect(version).toBe(1 + 3 * 30);
  expect((state as Input).lines.toSorted((one, other) => (one.product < other.product ? -1 : 1))).toEqual(
    writers.map(({ name }) => ({ product: name, quantity: 30 })),
  );
});

test("of a long stream, a conflict with what was there a while ago reads the events since, and not all before", async () => {
  const { log, run } = await open();
  for (let index = 0; index < 3000; index++) await run("overwrite", { ...first, from: -index });
  const elsewhere = new EntityRuntime(order, log); // that has folded the stream once
  await elsewhere.read("o");
  const stream = vi.spyOn(log, "stream");
  const eventsRead = async (): Promise<number> =>
    (await Promise.all(stream.mock.results.map(({ value }) => value as Promise<unknown[]>))).reduce(
      (sum, events) => sum + events.length,
      0,
    );
  for (const runtime of [
    { run },
    { run: (command: string, input: unknown, options: CommandOptions) => elsewhere.run({ entityId: "o", command, input, options }) },
  ]) {
    stream.mockClear();
    const conflict = conflictOf(await runtime.run("amend", { ...first, to: 5 }, { expected: 2500, onConflict: "reject" }));
    expect(conflict).toMatchObject({ base: { from: -2499 }, state: { from: -2999 }, version: 3000, more: true });
    expect(await eventsRead()).toBeLessThan(64 + 101 + 1);
  }
});
