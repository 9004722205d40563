// Several processes on one store: dense positions in real-time order, nobody starves, ids are known to all, and one wakes the other.
import { beginEpoch } from "convergent";
import { describe, expect, test } from "vitest";
import { disorders } from "./appends.ts";
import { tokenOf } from "./epochs.ts";
import { appended, soundEvents, written } from "./log-questions.ts";
import { startWriter } from "./start-writer.ts";
import { newPlace, openLog, openStore, storeKinds } from "./store-kinds.ts";
import { idOf, requestOf, requestsOf, type Workload } from "./workload.ts";

describe.each(storeKinds.filter((each) => each.severalProcesses))("$name", (kind) => {
  test("positions are dense and in real-time order under 16 writers in 2 processes", async () => {
    const place = newPlace();
    const loads = ["a", "b"].map((name): Workload => ({ name, writers: 8, turns: 60 }));
    const writers = loads.map((load) => startWriter({ kind: kind.name, place, load, waits: true }));
    await Promise.all(writers.map((writer) => writer.opened));
    for (const writer of writers) writer.tell();
    for (const writer of writers) expect(await writer.ended).toEqual({ code: 0, signal: null, complaint: "" });
    const spans = writers.flatMap((writer) => writer.acknowledged);
    expect(spans).toHaveLength(2 * 8 * 60);
    expect(disorders(spans)).toEqual([]);
    const log = await openLog(kind, place);
    const events = await soundEvents(log);
    expect(events).toHaveLength(loads.flatMap(requestsOf).flatMap((request) => request.events).length);
    for (const { id, position } of spans) expect(events[position - 1]?.data).toContain(`"${id} `);
  });

  test("several processes may create and open the store at one moment", async () => {
    for (let round = 0; round < 3; round++) {
      const place = newPlace();
      const loads = ["a", "b", "c"].map((name): Workload => ({ name, writers: 1, turns: 1 }));
      const writers = loads.map((load) => startWriter({ kind: kind.name, place, load }));
      for (const writer of writers) {
        expect(await writer.ended).toEqual({ code: 0, signal: null, complaint: "" });
        expect(writer.failed).toEqual([]);
      }
      expect(await soundEvents(await openLog(kind, place))).toHaveLength(6);
    }
  });

  test("a process that has closed its store ends at once", async () => {
    const writer = startWriter({ kind: kind.name, place: newPlace(), load: { name: "a", writers: 1, turns: 1 }, waits: true });
    await writer.opened;
    const begun = performance.now();
    writer.tell();
    expect(await writer.ended).toMatchObject({ code: 0 });
    expect(performance.now() - begun).toBeLessThan(4_000);
  });

  test("an id that one process used gives another one the first result", async () => {
    const place = newPlace();
    const load: Workload = { name: "a", writers: 2, turns: 2 };
    const log = await openLog(kind, place);
    const writer = startWriter({ kind: kind.name, place, load });
    expect(await writer.ended).toMatchObject({ code: 0 });
    for (const { id, firstVersion } of writer.acknowledged) {
      const [, index, turn] = id.split("-").map(Number);
      expect(id).toBe(idOf(load, index!, turn!));
      expect(appended(await log.append(requestOf(load, index!, turn!)))).toMatchObject({ repeated: true, firstVersion });
    }
  });

  test("a process that writes now and then is not starved by one that never pauses", async () => {
    const place = newPlace();
    const log = await openLog(kind, place);
    const greedy = startWriter({ kind: kind.name, place, load: { name: "greedy", writers: 64, turns: 10 }, endless: true });
    await greedy.opened;
    const pastHead = async (count: number): Promise<void> => {
      const end = (await log.head()).position + count;
      while ((await log.head()).position < end) await log.host.timers.turn();
    };
    for (let turn = 0; turn < 20; turn++) {
      await pastHead(100);
      await log.append(written("order/rare"));
    }
    greedy.tell();
    expect(await greedy.ended).toMatchObject({ code: 0 });
    expect((await soundEvents(log)).filter((event) => event.stream === "order/rare")).toHaveLength(20);
  });

  test("a commit wakes the listeners of another process", async () => {
    const place = newPlace();
    const store = await openStore(kind, place);
    const seen: number[] = [];
    const writer = startWriter({ kind: kind.name, place, load: { name: "a", writers: 1, turns: 1 }, waits: true });
    await writer.opened;
    const woken = new Promise<void>((resolve) => {
      store.onCommit(() => {
        void store
          .read((tx) => tx.head())
          .then(({ position }) => {
            seen.push(position);
            if (position === 2) resolve();
          });
      });
    });
    writer.tell();
    await woken;
    expect(seen.at(-1)).toBe(2);
    expect(await writer.ended).toMatchObject({ code: 0 });
  });

  test("an open store keeps no process alive", async () => {
    const writer = startWriter({ kind: kind.name, place: newPlace(), load: { name: "a", writers: 1, turns: 3 }, leavesOpen: true });
    expect(await writer.ended).toEqual({ code: 0, signal: null, complaint: "" });
    expect(writer.acknowledged).toHaveLength(3);
  });

  test("an epoch that another process begins is known before a token is issued or judged", async () => {
    const place = newPlace();
    const [here, there] = [await openLog(kind, place), await openLog(kind, place)];
    const before = await tokenOf(here, "order/1");
    const store = await openStore(kind, place);
    const { epoch } = await store.write((tx) => beginEpoch(tx, store.host.random));
    const fresh = await tokenOf(there, "order/2");
    expect(fresh.entries[0]?.epoch).toBe(epoch.id);
    expect(await here.demand(fresh)).toMatchObject({ position: 2 });
    expect(await here.demand(before)).toMatchObject({ position: 1 });
  });
});
