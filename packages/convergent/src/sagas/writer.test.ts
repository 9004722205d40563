import { expect, test } from "vitest";
import { ConvergentError } from "../errors/error.ts";
import type { StoredEvent } from "../log/event.ts";
import { Log } from "../log/log.ts";
import type { Position } from "../position/position.ts";
import { memory } from "../stores/memory/index.ts";
import type { Fact, Told } from "./facts.ts";
import { Abandoned, Exists, Writer } from "./writer.ts";

const stream = "script/s-1";
const step = (name: string): Fact => ({ name: "undo-begun", data: { step: name } });
const taken: Fact = { name: "taken", data: { owner: "another", run: "another" } };

async function writers(holds: (fact: Fact) => boolean = () => true) {
  const log = await Log.open(memory(), "orders");
  const told: Told[] = [];
  const abandoned: Abandoned[] = [];
  const wrote: Told[] = [];
  const at = (version: number): Writer =>
    new Writer({
      log,
      saga: "script",
      stream,
      metadata: {},
      version,
      told: (fact) => told.push(fact),
      abandoned: (why) => abandoned.push(why),
      wrote: (facts) => wrote.push(...facts),
      isStopped: () => false,
      holds,
    });
  const types = async (): Promise<string[]> => (await log.stream(stream)).map(({ type }) => type.slice("script.".length));
  return { log, at, told, abandoned, wrote, types };
}

test("what is recorded in one turn is one append; what follows from it right away is the next", async () => {
  const { at, wrote, types } = await writers();
  const writer = at(0);
  await Promise.all([writer.record(step("a")), writer.record(step("b"), step("c"))]);
  expect([writer.version, new Set(wrote.map(({ at: time }) => time)).size]).toEqual([3, 1]);
  await writer.record(step("d"));
  expect(await types()).toHaveLength(4);
});

test("of two who believe that a saga is theirs the one that did not take it over last writes nothing any more", async () => {
  const { at, abandoned, types } = await writers();
  const first = at(0);
  await first.record(step("a"));
  const second = at(1);
  await second.record(taken);
  await expect(first.record(step("b"))).rejects.toThrow(Abandoned);
  await expect(first.record(step("c"))).rejects.toThrow(Abandoned);
  await second.record(step("d"));
  expect(abandoned).toHaveLength(1);
  expect(await types()).toEqual(["undo-begun", "taken", "undo-begun"]);
});

test("what is not true any more after what others wrote meanwhile is left out, and the rest of its append is written", async () => {
  const made = await writers((fact) => fact.name !== "completed" || made.told.length === 0);
  const { log, at, types } = made;
  const writer = at(0);
  await writer.record(step("a"));
  await log.append({ stream, expected: 1, events: [{ type: "script.cancelled", data: { reason: "tired" } }] });
  await Promise.all([writer.record(step("b")), writer.record({ name: "completed", data: {} })]);
  await writer.record({ name: "completed", data: {} });
  expect([await types(), writer.version]).toEqual([["undo-begun", "cancelled", "undo-begun"], 3]);
});

test("what begins a saga that is there already is told so", async () => {
  const { at } = await writers();
  await at(0).record(step("a"));
  await expect(at(0).record(step("a"))).rejects.toThrow(Exists);
});

test("signals that came in between are told, once and in order, and written behind", async () => {
  const { log, at, told, types } = await writers();
  const writer = at(0);
  await writer.record(step("a"));
  const signal = async (data: number): Promise<Told> => {
    const outcome = await log.append({ stream, expected: "any", events: [{ type: "script.signalled", data: { signal: "go", data } }] });
    const { version, at: time, position } = (outcome as { readonly events: readonly StoredEvent[] }).events[0] as StoredEvent;
    return { name: "signalled", data: { signal: "go", data }, version, at: time, position };
  };
  await signal(1);
  const second = await signal(2);
  await writer.record(step("b"));
  writer.hear(second.version, second); // the news comes late
  const third = await signal(3);
  const fourth = await signal(4);
  writer.hear(fourth.version, fourth); // and out of order
  writer.hear(third.version, third);
  await expect.poll(() => told.length).toBe(4);
  expect(told.map(({ data }) => (data as { data: number }).data)).toEqual([1, 2, 3, 4]);
  expect(await types()).toEqual(["undo-begun", "signalled", "signalled", "undo-begun", "signalled", "signalled"]);
  expect(writer.position).toBe(fourth.position); // a saga that shows what others wrote stands there
});

test("an append whose answer is lost is found, and not written again", async () => {
  const { log, at, types } = await writers();
  const append = log.append.bind(log);
  let lost = 0;
  Object.assign(log, {
    append: async (...args: Parameters<typeof append>) => {
      const outcome = await append(...args);
      if (lost++ % 2 === 0) throw new ConvergentError("outcome_unknown", "the reply was lost");
      return outcome;
    },
  });
  const writer = at(0);
  await writer.record(step("a"));
  await writer.record(step("b"));
  expect(await types()).toEqual(["undo-begun", "undo-begun"]);
  expect(writer.token?.entries).toMatchObject([{ position: 2 }]);
});

test("after an append that the store refuses nothing follows that would be written without it", async () => {
  const { log, at, abandoned, types } = await writers();
  const append = log.append.bind(log);
  Object.assign(log, { append: () => Promise.reject(new ConvergentError("definitions_outdated", "refused by the test")) });
  const writer = at(0);
  await expect(writer.record(step("a"))).rejects.toMatchObject({ code: "definitions_outdated" });
  Object.assign(log, { append });
  await expect(writer.record(step("b"))).rejects.toThrow(Abandoned);
  expect(abandoned).toMatchObject([{ cause: { code: "definitions_outdated" } }]);
  expect(await types()).toEqual([]);
});

test("what was told of out of order is read as soon as the store answers again", async () => {
  const { log, at, told } = await writers();
  const writer = at(0);
  await writer.record(step("a"));
  const signals = [1, 2].map((data) => ({ type: "script.signalled", data: { signal: "go", data } }));
  await log.append({ stream, expected: "any", events: signals });
  const read = log.stream.bind(log);
  let failed = 0;
  Object.assign(log, {
    stream: async (...args: Parameters<typeof read>) => {
      if (failed++ < 2) throw new ConvergentError("unavailable", "away for a while");
      return read(...args);
    },
  });
  writer.hear(3, { name: "signalled", data: { signal: "go", data: 2 }, version: 3, at: 0, position: 3 as Position });
  await expect.poll(() => told.length).toBe(2);
});
