// L4: the same id again gives the first result, with other content an error, voided never anything; for at least 7 days.
import { describe, expect, test } from "vitest";
import { appended, codeOf, positionOf, soundEvents, written } from "./log-questions.ts";
import { hostWith } from "./odd-hosts.ts";
import { newPlace, openLog, type StoreKind } from "./store-kinds.ts";

const dayMs = 24 * 3_600_000;

export function idContract(kind: StoreKind): void {
  describe("an append with an id", () => {
    test("gives the first result when its reply was lost and it is sent again, now and after a restart", async () => {
      const place = newPlace();
      const log = await openLog(kind, place);
      await log.append(written("order/1"));
      const request = { ...written("order/1", { price: 5 }, "r-1"), events: [1, 2].map((data) => ({ type: "note.written", data })) };
      const first = appended(await log.append(request));
      await log.append(written("order/1", "later"));
      const again = appended(await log.append(request));
      expect(again).toMatchObject({ repeated: true, events: [], firstVersion: 2, lastVersion: 3, at: first.at, stream: "order/1" });
      expect(again.token.toString()).toBe(first.token.toString());
      await log.close();
      const reopened = await openLog(kind, place);
      const third = appended(await reopened.append(request));
      expect(third).toMatchObject({ repeated: true, firstVersion: 2, lastVersion: 3, at: first.at });
      expect(third.token.toString()).toBe(first.token.toString());
      expect(await soundEvents(reopened)).toHaveLength(4);
    });

    test("takes effect once when it is sent many times at once, also to two who opened the store", async () => {
      const place = newPlace();
      const logs = [await openLog(kind, place)];
      if (kind.severalProcesses) logs.push(await openLog(kind, place));
      const outcomes = await Promise.all(
        Array.from({ length: 24 }, (_, index) => logs[index % logs.length]!.append(written("order/1", "same", `r-${index % 3}`))),
      );
      expect(outcomes.filter((outcome) => !appended(outcome).repeated)).toHaveLength(3);
      expect(new Set(outcomes.map(positionOf)).size).toBe(3);
      expect(await soundEvents(logs[0]!)).toHaveLength(3);
    });

    test("is decided anew after a conflict: only appends are remembered", async () => {
      const log = await openLog(kind);
      const request = { ...written("order/1", null, "r-1"), expected: 1 };
      expect((await log.append(request)).kind).toBe("conflict");
      await log.append(written("order/1"));
      expect(appended(await log.append(request))).toMatchObject({ repeated: false, firstVersion: 2 });
    });

    test("is refused when the id was used with other content, whatever the order of keys", async () => {
      const log = await openLog(kind);
      await log.append(written("order/1", { a: 1, b: 2 }, "r-1"));
      expect(appended(await log.append(written("order/1", { b: 2, a: 1 }, "r-1"))).repeated).toBe(true);
      expect(await codeOf(log.append(written("order/1", { a: 1, b: 3 }, "r-1")))).toBe("idempotency_key_reused");
      expect(await codeOf(log.append(written("order/2", { a: 1, b: 2 }, "r-1")))).toBe("idempotency_key_reused");
    });

    test("belongs to its caller: the same id of another scope is another one", async () => {
      const log = await openLog(kind);
      const keys = [
        ["a", "bc"],
        ["ab", "c"],
        ["", "abc"],
        ["abc", ""],
        ["a ", "bc"],
        ["A", "bc"],
      ] as const;
      for (const [scope, id] of keys) await log.append({ ...written("order/1"), id: { scope, id } });
      expect(await soundEvents(log)).toHaveLength(keys.length);
    });

    test("is refused for ever once the id was voided, also after a restart", async () => {
      const place = newPlace();
      const log = await openLog(kind, place);
      await log.append(written("order/0"));
      const key = { scope: "caller", id: "r-1" };
      expect(await log.void(key)).toMatchObject({ state: "void", stream: "", firstVersion: 0, lastVersion: 0, position: 1 });
      expect(await log.void(key)).toMatchObject({ state: "void" });
      expect(await codeOf(log.append(written("order/1", null, "r-1")))).toBe("id_voided");
      await log.close();
      const reopened = await openLog(kind, place);
      expect(await codeOf(reopened.append(written("order/1", null, "r-1")))).toBe("id_voided");
      expect(await codeOf(reopened.remembered(key, ""))).toBe("id_voided");
      expect(await soundEvents(reopened)).toHaveLength(1);
    });

    test("cannot be voided once it has taken effect: voiding answers with what was done", async () => {
      const log = await openLog(kind);
      await log.append(written("order/1", null, "r-1"));
      const record = await log.void({ scope: "caller", id: "r-1" });
      expect(record).toMatchObject({ state: "done", stream: "order/1", firstVersion: 1, lastVersion: 1, position: 1 });
      expect(appended(await log.append(written("order/1", null, "r-1"))).repeated).toBe(true);
    });

    test("takes effect or is voided, never both, when the two race", async () => {
      const log = await openLog(kind);
      for (let turn = 0; turn < 20; turn++) {
        const id = `r-${turn}`;
        const append = log.append(written("order/1", null, id));
        const record = log.void({ scope: "caller", id });
        const refused = (await codeOf(append)) === "id_voided";
        expect((await record).state).toBe(refused ? "void" : "done");
      }
    });

    test("is remembered for 7 days and then forgotten, the oldest first, unless it was voided", async () => {
      const begin = 1_700_000_000_000;
      let now = begin;
      const log = await openLog(kind, newPlace(), { host: hostWith({ now: () => now, elapsed: () => now - begin }) });
      await log.void({ scope: "caller", id: "voided" });
      for (let count = 0; count < 9; count++) await log.append(written("order/1", null, `old-${count}`));
      now += 7 * dayMs - 1;
      await log.append(written("order/2", null, "young"));
      expect(appended(await log.append(written("order/1", null, "old-0"))).repeated).toBe(true);
      now += dayMs;
      for (let count = 0; count < 9; count++) await log.append(written("order/2", null, `new-${count}`));
      const kept = await log.snapshot((tx) =>
        tx.ids(
          [...Array.from({ length: 9 }, (_, count) => `old-${count}`), "young", "new-0", "voided"].map((id) => ({ scope: "caller", id })),
        ),
      );
      expect(kept.map((record) => record !== undefined)).toEqual([...Array.from({ length: 9 }, () => false), true, true, true]);
      expect(await codeOf(log.append(written("order/1", null, "voided")))).toBe("id_voided");
    });
  });
}
