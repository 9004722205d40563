// One append to several streams: all parts or none, at positions that follow each other, remembered as one.
import type { AppendedAll, AppendPart, AppendAllOutcome } from "convergent";
import { describe, expect, test } from "vitest";
import { appended, codeOf, soundEvents } from "./log-questions.ts";
import { newPlace, openLog, type StoreKind } from "./store-kinds.ts";

function part(stream: string, data: readonly unknown[] = [null], expected: AppendPart["expected"] = "any"): AppendPart {
  return { stream, expected, events: data.map((each) => ({ type: "note.written", data: each })) };
}

function together(outcome: AppendAllOutcome): AppendedAll {
  if (outcome.kind !== "appended") throw new Error(`nothing was appended: ${JSON.stringify(outcome)}`);
  return outcome;
}

const id = { scope: "caller", id: "t-1" };

export function togetherContract(kind: StoreKind): void {
  describe("an append to several streams", () => {
    test("writes all parts at positions that follow each other, among appends of others; a stream may come twice", async () => {
      const log = await openLog(kind);
      await log.append({ ...part("order/b"), expected: "none" });
      const [, outcome] = await Promise.all([
        log.append(part("order/x")),
        log.appendAll([part("order/a", [1, 2]), part("order/b", [3], 1), part("order/a", [4], 2), part("order/c", [5], "none")]),
        log.append(part("order/x")),
      ]);
      const { parts, token, repeated } = together(outcome);
      expect(parts.map(({ stream, firstVersion, lastVersion }) => [stream, firstVersion, lastVersion])).toEqual([
        ["order/a", 1, 2],
        ["order/b", 2, 2],
        ["order/a", 3, 3],
        ["order/c", 1, 1],
      ]);
      const positions = parts.flatMap(({ events }) => events.map((event) => event.position));
      expect(positions).toEqual([3, 4, 5, 6, 7]);
      expect([token.entries[0]?.position, repeated]).toEqual([7, false]);
      const events = await soundEvents(log);
      expect(events.filter((event) => positions.includes(event.position)).map((event) => event.data)).toEqual(["1", "2", "3", "4", "5"]);
      expect(new Set(events.filter((event) => positions.includes(event.position)).map((event) => event.at)).size).toBe(1);
    });

    test("writes nothing when one stream is not as expected, and says which", async () => {
      const log = await openLog(kind);
      await log.append(part("order/b"));
      const [, outcome, after] = await Promise.all([
        log.append(part("order/x")),
        log.appendAll([part("order/a", [1, 2]), part("order/b", [3], "none"), part("order/c")], { id }),
        log.append(part("order/x")),
      ]);
      expect(outcome).toEqual({ kind: "conflict", version: 1, index: 1, stream: "order/b" });
      // What its own earlier parts led to counts.
      expect(await log.appendAll([part("order/n", [1]), part("order/n", [2], "none")])).toMatchObject({
        kind: "conflict",
        index: 1,
        version: 1,
      });
      expect(appended(after).lastVersion).toBe(2);
      expect((await soundEvents(log)).map((event) => event.stream)).toEqual(["order/b", "order/x", "order/x"]);
      // Nothing is remembered of it.
      expect(together(await log.appendAll([part("order/c")], { id })).repeated).toBe(false);
    });

    test("under an id gives the first result for every part again, across a restart, and refuses other content", async () => {
      const place = newPlace();
      const first = await openLog(kind, place);
      const parts = [part("order/a", [1, 2]), part("order/b", [3]), part("order/a", [4])];
      const done = together(await first.appendAll(parts, { id }));
      await first.append(part("order/a"));
      const check = async (log: typeof first): Promise<void> => {
        const again = together(await log.appendAll(parts, { id }));
        expect(again).toMatchObject({ repeated: true, at: done.at });
        expect(String(again.token)).toBe(String(done.token));
        expect(again.parts.map(({ stream, firstVersion, lastVersion, events }) => [stream, firstVersion, lastVersion, events])).toEqual(
          done.parts.map(({ stream, firstVersion, lastVersion }) => [stream, firstVersion, lastVersion, []]),
        );
        expect(again.parts.map(({ token }) => String(token))).toEqual(done.parts.map(({ token }) => String(token)));
        expect(await codeOf(log.appendAll([...parts, part("order/c")], { id }))).toBe("idempotency_key_reused");
        expect(await codeOf(log.append({ ...part("order/a", [1, 2]), id }))).toBe("idempotency_key_reused");
      };
      await check(first);
      await first.close();
      const reopened = await openLog(kind, place);
      await check(reopened);
      expect(await soundEvents(reopened)).toHaveLength(5);
      expect((await reopened.void(id)).state).toBe("done");
      await reopened.void({ ...id, id: "t-2" });
      expect(await codeOf(reopened.appendAll(parts, { id: { ...id, id: "t-2" } }))).toBe("id_voided");
    });

    test("asked for twice at once takes effect once", async () => {
      const log = await openLog(kind);
      const parts = [part("order/a"), part("order/b")];
      const both = await Promise.all([log.appendAll(parts, { id }), log.appendAll(parts, { id })]);
      expect(both.map((outcome) => together(outcome).repeated).filter(Boolean)).toHaveLength(1);
      expect(both.map((outcome) => together(outcome).parts.map(({ lastVersion }) => lastVersion))).toEqual([
        [1, 1],
        [1, 1],
      ]);
      expect(await soundEvents(log)).toHaveLength(2);
    });

    test("belongs to the transaction that it is given", async () => {
      const log = await openLog(kind);
      const failure = new Error("the body failed");
      const body = log.transact(async (tx) => {
        const outcome = together(await log.appendAll([part("order/a"), part("order/b")], { tx, id }));
        expect(outcome.parts.map(({ lastVersion }) => lastVersion)).toEqual([1, 1]);
        expect(together(await log.appendAll([part("order/a"), part("order/b")], { tx, id })).repeated).toBe(true);
        expect(await codeOf(log.appendAll([part("order/a")]))).toBe("append_in_transaction");
        throw failure;
      });
      await expect(body).rejects.toBe(failure);
      expect(await soundEvents(log)).toEqual([]);
    });

    test("that cannot be stored is refused before anything is written", async () => {
      const log = await openLog(kind);
      const codes = await Promise.all(
        [[], [part("order/a"), part("nowhere")], [part("order/a"), part("order/b", [])], [{ ...part("order/a"), id }]].map((parts) =>
          codeOf(log.appendAll(parts)),
        ),
      );
      expect(codes).toEqual(["invalid_input", "invalid_input", "invalid_input", "invalid_input"]);
      expect(
        await codeOf(log.appendAll([part("order/a", Array.from({ length: 6000 })), part("order/b", Array.from({ length: 6000 }))])),
      ).toBe("invalid_input");
      expect(await soundEvents(log)).toEqual([]);
    });
  });
}
