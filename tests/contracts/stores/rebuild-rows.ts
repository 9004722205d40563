// Rows of a rebuild: where a version stands in its life, what a build has consumed, and a version deleted a few rows at a time.
import { describe, expect, test } from "vitest";
import { openStore, type StoreKind } from "./store-kinds.ts";

const largest = 0xffff_ffff;

export function rebuildRowContract(kind: StoreKind): void {
  describe("a rebuild's rows", () => {
    test("a definition keeps its state and why it failed, and saving again replaces both", async () => {
      const store = await openStore(kind);
      const row = { kind: "view", name: "summary", version: 2, fingerprint: "f", state: "failed", reason: "range 3 differs" } as const;
      await store.write((tx) => tx.saveDefinition(row));
      expect(await store.read((tx) => tx.definitions())).toEqual([row]);
      await store.write((tx) => tx.saveDefinition({ ...row, state: "building", reason: "" }));
      expect(await store.read((tx) => tx.definitions())).toEqual([{ ...row, state: "building", reason: "" }]);
    });

    test("consumed ranges add up modulo 2^32, come by range, and stay verified", async () => {
      const store = await openStore(kind);
      const of = { reader: "summary", version: 2 };
      const range = (number: number, events: number, sumA: number, sumB: number, verified = false) => ({
        ...{ ...of, range: number, events, sumA, sumB, verified },
      });
      await store.write((tx) => tx.addConsumed([range(10, 1, 5, largest), range(2, 128, largest, 7)]));
      await store.write((tx) => tx.addConsumed([range(2, 0, 0, 0, true), { ...range(2, 9, 9, 9), version: 3 }]));
      await store.write((tx) => tx.addConsumed([range(2, 2, 3, largest)]));
      expect(await store.read((tx) => tx.consumed("summary", 2))).toEqual([range(2, 130, 2, 6, true), range(10, 1, 5, largest)]);
      await store.write((tx) => tx.dropView("summary", 2));
      expect(await store.read((tx) => tx.consumed("summary", 2))).toEqual([]);
      expect(await store.read((tx) => tx.consumed("summary", 3))).toHaveLength(1);
    });

    test("the documents of one version are deleted a few at a time, with their index entries, and no others", async () => {
      const store = await openStore(kind);
      const document = (key: string, version: number) => ({
        ...{ view: "summary", version, key, document: `"${key}"`, indexes: [{ field: "text", value: key }] },
      });
      await store.write((tx) => tx.saveDocuments(["a", "b", "c"].flatMap((key) => [document(key, 1), document(key, 2)])));
      expect(await store.write((tx) => tx.dropDocuments("summary", 1, 2))).toBe(2);
      const left = async (version: number): Promise<number> => {
        const query = { view: "summary", version, field: "text", where: [], descending: false, limit: 10 };
        return (await store.read((tx) => tx.find(query))).length;
      };
      expect([await left(1), await left(2)]).toEqual([1, 3]);
      expect(await store.write((tx) => tx.dropDocuments("summary", 1, 2))).toBe(1);
      expect(await store.write((tx) => tx.dropDocuments("summary", 1, 2))).toBe(0);
      expect([await left(1), await left(2)]).toEqual([0, 3]);
    });
  });
}
