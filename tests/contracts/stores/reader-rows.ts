// Rows about readers: members, leases, events that are set aside and events that were discarded.
import type { Lease, Member, ParkedEvent, ReadTransaction, Store } from "convergent";
import { describe, expect, test } from "vitest";
import { newPlace, openStore, type StoreKind } from "./store-kinds.ts";

const of = { reader: "summary", version: 1, source: "orders" };

function lease(slot: number, owner: string, fence: number, more: Partial<Lease> = {}): Lease {
  return { ...of, slot, owner, fence, ...more };
}

function parked(key: string, position: number, more: Partial<ParkedEvent> = {}): ParkedEvent {
  const event = { ...of, slot: 3, key, position: position as never, eventId: `e${position}`, type: "order.placed" };
  return { ...event, state: "waiting", error: "", attempts: 0, since: 5, ...more };
}

/** What a batch of a view's reader asks before it writes: who owns its slots, and what has become of its version. */
async function standing(tx: ReadTransaction): Promise<string[]> {
  const owners = (await tx.ownership.leases(of)).map(({ slot, owner, fence }) => `${slot} ${owner} ${fence}`);
  const states = (await tx.definitions({ name: "summary" })).map(({ version, state }) => `${version} ${state}`);
  const strong = (await tx.definitions({ kind: "strong-view" })).map(({ name }) => name);
  return [...owners, ...states, ...strong];
}

type Definition = Awaited<ReturnType<ReadTransaction["definitions"]>>[number];

function definition(state: Definition["state"], kind: Definition["kind"] = "view"): Definition {
  return { kind, name: "summary", version: 1, fingerprint: "", state, reason: "" };
}

async function take(store: Store, owner: string, fence: number): Promise<void> {
  await store.write(async (tx) => {
    await tx.ownership.saveLeases([lease(0, owner, fence)]);
    await tx.saveDefinition(definition("active"));
  });
}

export function readerRowContract(kind: StoreKind): void {
  describe("rows about readers", () => {
    test("members are kept by id, replaced and removed", async () => {
      const store = await openStore(kind);
      const member = (id: string, beat: number): Member => ({ id, place: "here now", process: "1 2", beat, readers: [of] });
      await store.write(async (tx) => {
        for (const each of [member("b", 1), member("a", 1), member("c", 1)]) await tx.ownership.saveMember(each);
        await tx.ownership.saveMember(member("a", 2));
        await tx.ownership.removeMember("c");
      });
      expect(await store.read((tx) => tx.ownership.members())).toEqual([member("a", 2), member("b", 1)]);
    });

    test("leases are kept by slot, and what one member holds is counted", async () => {
      const store = await openStore(kind);
      const other = lease(0, "a", 7, { version: 2 });
      await store.write((tx) => tx.ownership.saveLeases([lease(10, "a", 1), lease(2, "b", 1), lease(1, "a", 3), other]));
      await store.write((tx) => tx.ownership.saveLeases([lease(2, "a", 2)]));
      const { own, all, held } = await store.read(async (tx) => ({
        own: await tx.ownership.leases(of),
        all: await tx.ownership.leases(),
        held: [await tx.ownership.held("a"), await tx.ownership.held("nobody")],
      }));
      expect(own).toEqual([lease(1, "a", 3), lease(2, "a", 2), lease(10, "a", 1)]);
      expect(all).toHaveLength(4);
      expect(held).toEqual([
        { leases: 4, fences: 13 },
        { leases: 0, fences: 0 },
      ]);
    });

    test("a write sees who owns slots and which versions there are as they are: after its own changes, after a rollback, after a drop", async () => {
      const store = await openStore(kind);
      await take(store, "a", 1);
      const before = ["0 a 1", "1 active"];
      expect(await store.write(standing)).toEqual(before);
      expect(await store.write(standing)).toEqual(before);
      const changed = store.write(async (tx) => {
        await tx.ownership.saveLeases([lease(0, "b", 2)]);
        await tx.saveDefinition(definition("retired", "strong-view"));
        expect(await standing(tx)).toEqual(["0 b 2", "1 retired", "summary"]);
        throw new Error("rolled back");
      });
      await expect(changed).rejects.toThrow("rolled back");
      expect(await store.write(standing)).toEqual(before);
      await take(store, "c", 3);
      expect(await store.write(standing)).toEqual(["0 c 3", "1 active"]);
      await store.write((tx) => tx.dropView("summary", 1));
      expect(await store.write(standing)).toEqual([]);
    });

    test("a write sees who owns slots and which versions there are after another one has changed that", async () => {
      const place = newPlace();
      const store = await openStore(kind, place);
      const other = kind.severalProcesses ? await openStore(kind, place) : store;
      await take(store, "a", 1);
      for (let fence = 2; fence < 20; fence++) {
        await take(other, "b", fence);
        expect(await store.write(standing)).toEqual([`0 b ${fence}`, "1 active"]);
        expect(await store.write(standing)).toEqual([`0 b ${fence}`, "1 active"]);
      }
      await other.write((tx) => tx.dropView("summary"));
      expect(await store.write(standing)).toEqual([]);
    });

    test("events set aside come by key in the order of the log, and a key is its first event", async () => {
      const store = await openStore(kind);
      const first = parked("a", 4, { state: "parked", error: "no", attempts: 5 });
      const asked = parked("b", 2, { request: { kind: "discard", reason: "why", by: "ada", at: 9 } });
      await store.write((tx) => tx.parking.saveEvents([parked("a", 11), first, asked, parked("a", 9), parked("c", 1, { version: 2 })]));
      await store.write((tx) => tx.parking.saveEvents([parked("a", 9, { attempts: 1 })]));
      const found = await store.read(async (tx) => ({
        events: await tx.parking.events(of, "a", 2),
        keys: await tx.parking.keys(of),
        all: (await tx.parking.keys()).map(({ key }) => key),
        count: await tx.parking.count(of),
        none: await tx.parking.count({ ...of, reader: "other" }),
        requested: await tx.parking.requested(),
      }));
      expect(found).toEqual({
        events: [first, parked("a", 9, { attempts: 1 })],
        keys: [
          { ...asked, events: 1 },
          { ...first, events: 3 },
        ],
        all: ["c", "b", "a"],
        count: { keys: 2, events: 4, first: 2 },
        none: { keys: 0, events: 0, first: undefined },
        requested: [{ ...asked, events: 1 }],
      });
      await store.write((tx) => tx.parking.removeEvents(of, "a", [4, 11] as never));
      expect(await store.read((tx) => tx.parking.events(of, "a", 9))).toEqual([parked("a", 9, { attempts: 1 })]);
    });

    test("a view that is dropped takes its leases and parked events along; what was discarded stays", async () => {
      const store = await openStore(kind);
      const event = { eventId: "e1", position: 1 as never, type: "order.placed", key: "a", error: "no" };
      const discard = { reader: "summary", source: "orders", ...event, reason: "why", by: "ada", at: 3 };
      await store.write(async (tx) => {
        await tx.ownership.saveLeases([lease(0, "a", 1), lease(0, "a", 1, { version: 2 }), lease(0, "a", 1, { reader: "other" })]);
        await tx.parking.saveEvents([parked("a", 1), parked("a", 1, { version: 2 }), parked("a", 1, { reader: "other" })]);
        await tx.parking.saveDiscards([discard]);
        await tx.dropView("summary", 1);
      });
      const left = await store.read(async (tx) => ({
        leases: (await tx.ownership.leases()).map(({ reader, version }) => `${reader} ${version}`).sort(),
        parked: (await tx.parking.keys()).map(({ reader, version }) => `${reader} ${version}`).sort(),
        discards: await tx.parking.discards(),
        own: await tx.parking.discards({ reader: "other", source: "orders" }),
        count: await tx.parking.discarded(),
      }));
      expect(left).toEqual({ leases: ["other 1", "summary 2"], parked: ["other 1", "summary 2"], discards: [discard], own: [], count: 1 });
    });
  });
}
