// The archive of ended streams, for every store: events that were moved are found by every read, and nothing is renumbered.
import { type Position, type StoredEvent, verifyStore } from "convergent";
import { expect, test } from "vitest";
import { allEvents, appended, soundEvents, written } from "./log-questions.ts";
import { newPlace, openLog, openStore, type StoreKind } from "./store-kinds.ts";

const ended = ["order/0", "order/2", "order/none"];

/** Streams 0 to 3 with 20 appends each, in turn; some under ids. */
async function fill(kind: StoreKind, place: string): Promise<StoredEvent[]> {
  const log = await openLog(kind, place);
  for (let turn = 0; turn < 20; turn++)
    for (let stream = 0; stream < 4; stream++)
      await log.append({
        stream: `order/${stream}`,
        expected: "any",
        events: [
          { type: "order.amended", data: { turn } },
          { type: turn % 5 === 0 ? "order.rare" : "order.noted", data: { stream } },
        ],
        id: { scope: "caller", id: `${stream}-${turn}` },
      });
  const events = await allEvents(log);
  await log.close();
  return events;
}

export function archiveContract(kind: StoreKind): void {
  test("archived events are found by every read: of the log, of types, of streams, of ids; versions and positions stay", async () => {
    const place = newPlace();
    const before = await fill(kind, place);
    const store = await openStore(kind, place);
    const verified = await verifyStore(store);
    expect(await store.archive(ended)).toBe(2 * 39);
    expect(await store.archive(ended)).toBe(0);
    expect(await verifyStore(store)).toEqual(verified);
    expect(verified).toMatchObject({ problems: [], ids: 80 });
    await store.read(async (tx) => {
      const events = async (after: number, upTo: number, limit: number, types?: string[]): Promise<StoredEvent[]> =>
        tx.events({ after: after as Position, upTo: upTo as Position, limit, ...(types ? { types } : {}) });
      for (const [after, upTo, limit] of [
        [0, 160, 1000],
        [0, 160, 3],
        [7, 100, 5],
        [37, 53, 1000],
        [158, 160, 9],
        [0, 900, 160],
      ] as const) {
        const wanted = before.filter(({ position }) => position > after && position <= upTo);
        expect(await events(after, upTo, limit)).toEqual(wanted.slice(0, limit));
        const rare = wanted.filter(({ type }) => type === "order.rare").slice(0, limit);
        expect(await events(after, upTo, limit, ["order.rare"])).toEqual(rare);
      }
      for (const stream of ["order/0", "order/1"]) {
        const wanted = before.filter((event) => event.stream === stream);
        expect(await tx.streamEvents(stream, { after: 0, upTo: 1e9, limit: 1e9 })).toEqual(wanted);
        expect(await tx.streamEvents(stream, { after: 3, upTo: 30, limit: 5 })).toEqual(wanted.slice(3, 8));
        expect(await tx.streamEvents(stream, { after: 39, upTo: 40, limit: 5 })).toEqual(wanted.slice(39));
      }
      expect(await tx.streamHeads(["order/0"])).toEqual([{ version: 40, position: 154 }]);
      expect(await tx.ids([{ scope: "caller", id: "0-3" }])).toMatchObject([
        { stream: "order/0", firstVersion: 7, lastVersion: 8, position: 26 },
      ]);
      expect((await tx.streams({ entity: "order", limit: 3 })).map((event) => event.stream)).toEqual(["order/0", "order/1", "order/2"]);
      expect((await tx.streams({ entity: "order", after: "order/2", limit: 3 })).map((event) => event.version)).toEqual([40]);
      expect(await tx.streams({ entity: "orde", limit: 3 })).toEqual([]);
    });
    await store.close();

    const log = await openLog(kind, place);
    expect(appended(await log.append(written("order/0"))).lastVersion).toBe(41);
    for (const expected of ["none", 0, 40] as const)
      expect(await log.append({ ...written("order/0"), expected })).toEqual({ kind: "conflict", version: 41 });
    expect((await soundEvents(log)).slice(0, 160)).toEqual(before);
    await log.close();
    const again = await openStore(kind, place);
    expect(await again.archive(["order/0"])).toBe(1);
    expect((await verifyStore(again)).problems).toEqual([]);
  });
}
