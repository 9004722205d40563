// L1 and L3: positions, versions, time, the four forms of `expected`, and group commit.
import type { AppendRequest, Expected } from "convergent";
import { describe, expect, test } from "vitest";
import { allEvents, appended, codeOf, positionOf, soundEvents, written } from "./log-questions.ts";
import { hostWith } from "./odd-hosts.ts";
import { newPlace, openLog, type StoreKind } from "./store-kinds.ts";

export function appendContract(kind: StoreKind): void {
  describe("expected", () => {
    const append = (stream: string, expected: Expected): AppendRequest => ({ ...written(stream), expected });

    test.each<[Expected, number, boolean]>([
      ["none", 0, true],
      ["none", 1, false],
      ["some", 0, false],
      ["some", 1, true],
      ["any", 0, true],
      ["any", 3, true],
      [0, 0, true],
      [0, 1, false],
      [3, 3, true],
      [2, 3, false],
      [4, 3, false],
    ])("%o on a stream at version %i is admitted: %o", async (expected, version, isAdmitted) => {
      const log = await openLog(kind);
      for (let count = 0; count < version; count++) await log.append(written("order/1"));
      const outcome = await log.append(append("order/1", expected));
      if (isAdmitted) expect(appended(outcome)).toMatchObject({ firstVersion: version + 1, lastVersion: version + 1 });
      else expect(outcome).toEqual({ kind: "conflict", version });
      expect(await soundEvents(log)).toHaveLength(version + (isAdmitted ? 1 : 0));
    });

    test("of many concurrent creators one creates the stream, the others are told its version", async () => {
      const place = newPlace();
      const logs = [await openLog(kind, place)];
      if (kind.severalProcesses) logs.push(await openLog(kind, place));
      const outcomes = await Promise.all(
        Array.from({ length: 40 }, (_, index) => logs[index % logs.length]!.append(append("order/1", index % 4 < 2 ? "none" : 0))),
      );
      expect(outcomes.filter((outcome) => outcome.kind === "appended")).toHaveLength(1);
      expect(outcomes.filter((outcome) => outcome.kind === "conflict" && outcome.version === 1)).toHaveLength(39);
      expect(await soundEvents(logs[0]!)).toHaveLength(1);
    });

    test("of concurrent writers who expect one version one wins, and the next version has one winner again", async () => {
      const log = await openLog(kind);
      for (let version = 0; version < 5; version++) {
        const outcomes = await Promise.all(Array.from({ length: 8 }, () => log.append(append("order/1", version))));
        expect(outcomes.filter((outcome) => outcome.kind === "appended")).toHaveLength(1);
      }
      expect(await soundEvents(log)).toHaveLength(5);
    });
  });

  test("in one group commit a conflict, a refused id and a malformed append leave the others as they are", async () => {
    const log = await openLog(kind);
    await log.void({ scope: "caller", id: "voided" });
    await log.append(written("order/0", "first", "used"));
    const outcomes = await Promise.allSettled([
      log.append(written("order/1")),
      log.append({ ...written("order/1"), expected: "none" }),
      log.append(written("order/2", null, "voided")),
      log.append(written("order/3", "other content", "used")),
      log.append({ ...written("order/4"), events: [] }),
      log.append(written("no stream")),
      log.append(written("order/5")),
    ]);
    const said = outcomes.map((outcome) =>
      outcome.status === "fulfilled" ? outcome.value.kind : (outcome.reason as { code: string }).code,
    );
    expect(said).toEqual(["appended", "conflict", "id_voided", "idempotency_key_reused", "invalid_input", "invalid_input", "appended"]);
    expect((await soundEvents(log)).map((event) => event.stream)).toEqual(["order/0", "order/1", "order/5"]);
  });

  test("several events of one append follow each other, with one time and dense versions", async () => {
    const log = await openLog(kind);
    const events = [1, 2, 3].map((data) => ({ type: "note.written", data }));
    const [, outcome] = await Promise.all([
      log.append(written("order/1")),
      log.append({ stream: "order/1", expected: "any", events }),
      log.append(written("order/1")),
    ]);
    expect(appended(outcome)).toMatchObject({ firstVersion: 2, lastVersion: 4 });
    expect(positionOf(outcome)).toBe(4);
    const all = await soundEvents(log);
    expect(all.slice(1, 4).map((event) => [event.data, event.at])).toEqual([1, 2, 3].map((data) => [String(data), all[1]!.at]));
  });

  test("an append that begins after another one has ended has the higher position, whoever writes beside them", async () => {
    const log = await openLog(kind);
    const spans: Array<{ start: number; end: number; position: number }> = [];
    await Promise.all(
      Array.from({ length: 16 }, async (_, writer) => {
        for (let turn = 0; turn < 40; turn++) {
          const start = performance.now();
          const outcome = await log.append(written(`order/${(writer * turn) % 11}`, [writer, turn], `${writer}-${turn}`));
          spans.push({ start, end: performance.now(), position: positionOf(outcome) });
        }
      }),
    );
    expect(disorders(spans)).toEqual([]);
    expect(await soundEvents(log)).toHaveLength(640);
  });

  test("time never decreases along the log, though the clock goes back, also across a restart", async () => {
    const place = newPlace();
    let now = 1_000_000;
    const backwards = hostWith({ now: () => (now -= 1000) });
    const log = await openLog(kind, place, { host: backwards });
    for (let turn = 0; turn < 5; turn++) await log.append(written("order/1"));
    await log.close();
    now = 10;
    const again = await openLog(kind, place, { host: backwards });
    await again.append(written("order/1"));
    const events = await soundEvents(again);
    expect(events.at(-1)?.at).toBe(events[0]?.at);
  });

  test("an append inside a write transaction without that transaction is refused at once, with it belongs to it", async () => {
    const log = await openLog(kind);
    await log.transact(async (tx) => {
      expect(await codeOf(log.append(written("order/1")))).toBe("append_in_transaction");
      expect(await codeOf(log.transact(async () => undefined))).toBe("append_in_transaction");
      await log.append(written("order/2"), { tx });
      await log.append(written("order/2"), { tx });
    });
    expect((await soundEvents(log)).map((event) => event.stream)).toEqual(["order/2", "order/2"]);
    await log.append(written("order/1"));
    expect(await allEvents(log)).toHaveLength(3);
  });
}

/** Pairs of which the later one, which began after the earlier one had ended, has no higher position. */
export function disorders(spans: ReadonlyArray<{ start: number; end: number; position: number }>): unknown[] {
  const byStart = [...spans].sort((a, b) => a.start - b.start);
  const byEnd = [...spans].sort((a, b) => a.end - b.end);
  const found: unknown[] = [];
  let ended = 0;
  let highest = 0;
  for (const span of byStart) {
    for (let next = byEnd[ended]; next && next.end < span.start; next = byEnd[++ended]) highest = Math.max(highest, next.position);
    if (span.position <= highest) found.push({ ...span, highest });
  }
  return found;
}
