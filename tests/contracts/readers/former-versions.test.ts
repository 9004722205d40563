// R4: what a version of a reaction has set aside is inherited by the next one, and listed once: as that one's, when nobody runs the older one.
import { command, entity, reaction, type RunningService, runtimeOf, service, type StoreDriver } from "convergent";
import { describe, expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { newPlace, storeKinds } from "../stores/store-kinds.ts";

const Numbered = z.object({ n: z.number() });
const note = entity("note", { initial: () => 0, events: { added: Numbered } })
  .evolve({ added: (count) => count + 1 })
  .commands({ add: command(Numbered, (_, input, emit) => emit.added(input)) });
const heard = entity("heard", { initial: (): number[] => [], events: { noted: Numbered } })
  .evolve({ noted: (all, { n }) => [...all, n] })
  .commands({ note: command(Numbered, (_, input, emit) => emit.noted(input)) });

function hearing(version: number, fails: boolean) {
  const echo = reaction("echo", { from: [note], to: { heard }, version }).on({
    "note.added": ({ entityId, data }, { commands }) => {
      if (fails && data.n === 2) throw new Error("cannot hear 2");
      return commands.heard(entityId).note(data);
    },
  });
  return service("notes", { parts: { note, heard, echo } });
}

type Hearing = RunningService<ReturnType<typeof hearing>["parts"]>;

async function start(store: StoreDriver, version: number, options: { readonly fails?: boolean } = {}): Promise<Hearing> {
  const running = await hearing(version, options.fails ?? true).start({ store, attemptsMax: 1 });
  onTestFinished(() => running.stop());
  return running;
}

async function add(running: Hearing, ...numbers: readonly number[]): Promise<void> {
  for (const n of numbers) await running.note("a").add({ n });
}

async function parked(running: Hearing): Promise<Array<readonly [version: number, events: number]>> {
  const keys = await runtimeOf(running).parked();
  return keys.map(({ version, events }) => [version, events] as const).sort(([a], [b]) => a - b);
}

describe.each(storeKinds)("$name", (kind) => {
  test("what a version has parked is listed as the next one's once nobody runs it", async () => {
    const place = newPlace();
    const first = await start(kind.driver(place), 1);
    await add(first, 1, 2, 3);
    await expect.poll(() => parked(first), { timeout: 5000 }).toEqual([[1, 2]]);
    await first.stop();
    const second = await start(kind.driver(place), 2);
    await expect.poll(() => parked(second), { timeout: 10_000 }).toEqual([[2, 2]]);
    await second.stop();
    const third = await start(kind.driver(place), 3, { fails: false });
    await expect.poll(() => parked(third), { timeout: 10_000 }).toEqual([[3, 2]]);
    await runtimeOf(third).replay({ reader: "echo" });
    await expect.poll(() => third.heard.state("a"), { timeout: 5000 }).toMatchObject({ state: [1, 2, 3] });
    expect(await parked(third)).toEqual([]);
  });

  test("a discard that names the former version is honoured by the one that inherited from it", async () => {
    const place = newPlace();
    const first = await start(kind.driver(place), 1);
    await add(first, 1, 2, 3);
    await expect.poll(() => parked(first), { timeout: 5000 }).toEqual([[1, 2]]);
    await first.stop();
    const second = await start(kind.driver(place), 2);
    await expect.poll(() => parked(second), { timeout: 5000 }).toContainEqual([2, 2]);
    await runtimeOf(second).discard({ reader: "echo", version: 1, key: "note/a" }, { reason: "a test", by: "ada" });
    await expect.poll(() => second.heard.state("a"), { timeout: 5000 }).toMatchObject({ state: [1, 3] });
    await expect.poll(() => parked(second), { timeout: 10_000 }).toEqual([]);
  });

  test("an older release that is started again holds back what is parked, in order, and goes on where it stood", async () => {
    const place = newPlace();
    const first = await start(kind.driver(place), 1);
    await add(first, 1, 2, 3);
    await expect.poll(() => parked(first), { timeout: 5000 }).toEqual([[1, 2]]);
    await first.stop();
    const second = await start(kind.driver(place), 2);
    await expect.poll(() => parked(second), { timeout: 10_000 }).toEqual([[2, 2]]);
    await second.stop();
    const again = await start(kind.driver(place), 1, { fails: false });
    await add(again, 4);
    await expect.poll(() => parked(again), { timeout: 5000 }).toContainEqual([1, 3]);
    expect((await again.heard.state("a")).state).toEqual([1]);
    await runtimeOf(again).replay({ reader: "echo", version: 1 });
    await expect.poll(() => again.heard.state("a"), { timeout: 5000 }).toMatchObject({ state: [1, 2, 3, 4] });
    await again.stop();
    const last = await start(kind.driver(place), 2, { fails: false });
    await runtimeOf(last).replay({ reader: "echo" });
    await expect.poll(() => parked(last), { timeout: 10_000 }).toEqual([]);
    expect((await last.heard.state("a")).state).toEqual([1, 2, 3, 4]);
  });
});

describe.each(storeKinds.filter((each) => each.severalProcesses))("$name, opened several times", (kind) => {
  test("while a process runs the older version, its rows stay", async () => {
    const place = newPlace();
    const first = await start(kind.driver(place), 1);
    await add(first, 1, 2, 3);
    await expect.poll(() => parked(first), { timeout: 5000 }).toEqual([[1, 2]]);
    const second = await start(kind.driver(place), 2);
    const both = [
      [1, 2],
      [2, 2],
    ];
    await expect.poll(() => parked(second), { timeout: 5000 }).toEqual(both);
    await new Promise((resolve) => setTimeout(resolve, 4500));
    expect(await parked(second)).toEqual(both);
    await first.stop();
    await expect.poll(() => parked(second), { timeout: 10_000 }).toEqual([[2, 2]]);
  });
});
