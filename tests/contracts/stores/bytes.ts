// The exact bytes of events, and pages of them: what was written comes back as it was, on every store alike.
import { eventDigest, type Log, type StoredEvent } from "convergent";
import { expect, test } from "vitest";
import { allEvents, codeOf, written } from "./log-questions.ts";
import { foretoldHost } from "./odd-hosts.ts";
import { newPlace, openLog, type StoreKind, storeKinds } from "./store-kinds.ts";

/** Text that is easily damaged on its way: NUL, line ends, beyond the basic plane, half a surrogate pair, look-alikes of escapes. */
const texts = ["", "ü", "😀", "a\u0000b", "\r\n\t", "\u2028", "\ud800", "x\udc00y", "\\u0000", '"', "\uFEFF", "e\u0301", "ẞ".repeat(5000)];

async function writeAll(log: Log): Promise<StoredEvent[]> {
  for (const text of texts) {
    const metadata = { actor: text, [`key ${text}`]: 1 };
    await log.append({
      stream: "order/1",
      expected: "any",
      metadata,
      events: [{ type: "note.written", data: { text, [text]: [text, 1.5, -0, 1e21] } }],
    });
  }
  await log.append({ stream: "order/ü/😀", expected: "none", events: [{ type: "note.ü", data: undefined }] });
  return allEvents(log);
}

export function byteContract(kind: StoreKind): void {
  test("events come back with the exact text that was written, also after a restart, and their digests fit", async () => {
    const place = newPlace();
    const log = await openLog(kind, place, { host: foretoldHost() });
    const events = await writeAll(log);
    texts.forEach((text, index) => {
      expect(events[index]?.data).toBe(JSON.stringify({ text, [text]: [text, 1.5, -0, 1e21] }));
      expect(events[index]?.metadata).toBe(JSON.stringify({ actor: text, [`key ${text}`]: 1 }));
    });
    expect(events.at(-1)).toMatchObject({ stream: "order/ü/😀", type: "note.ü", data: "null", version: 1 });
    for (const event of events) expect(eventDigest(event)).toBe(event.digest);
    await log.close();
    const reopened = await openLog(kind, place);
    expect(await allEvents(reopened)).toEqual(events);
    expect(await reopened.stream("order/ü/😀")).toEqual([events.at(-1)]);
    expect(await reopened.streamHead("order/ü/")).toBeUndefined();
  });

  test("the same appends make the same events and digests on every store", async () => {
    const [first, ...others] = await Promise.all(
      storeKinds.map(async (each) => writeAll(await openLog(each, newPlace(), { host: foretoldHost() }))),
    );
    expect(first).toHaveLength(texts.length + 1);
    for (const other of others) expect(other).toEqual(first);
  });

  // In names, unlike in JSON, nothing escapes them: UTF-8 has no bytes for half a surrogate pair, and SQL ends text at NUL.
  test.each(["\ud800", "\u0000"])("%o in a name is refused, alone", async (odd) => {
    const log = await openLog(kind);
    const outcomes = await Promise.all(
      [
        log.append(written("order/before")),
        log.append(written(`order/${odd}`)),
        log.append(written("order/1", null, odd)),
        log.append({ ...written("order/1"), id: { scope: odd, id: "a" } }),
        log.append({ ...written("order/1"), events: [{ type: `note.${odd}`, data: null }] }),
        log.append(written("order/after")),
      ].map(codeOf),
    );
    expect(outcomes).toEqual([undefined, "invalid_input", "invalid_input", "invalid_input", "invalid_input", undefined]);
    expect((await allEvents(log)).map((event) => event.stream)).toEqual(["order/before", "order/after"]);
  });

  test("pages of the log and of a stream hold what was asked for, however many rows there are", async () => {
    const log = await openLog(kind);
    const count = 9001; // more than two steps of the SQLite store
    const made = Array.from({ length: count }, (_, index) => ({ type: index % 1000 === 0 ? "note.rare" : "note.written", data: index }));
    await log.append({ stream: "order/long", expected: "none", events: made });
    await log.append(written("order/other"));
    await log.snapshot(async (tx) => {
      const head = (await tx.head()).position;
      const ask = async (after: number, upTo: number, limit: number, types?: string[]): Promise<number[]> =>
        (await tx.events({ after: after as never, upTo: upTo as never, limit, ...(types ? { types } : {}) })).map(
          (event) => event.position,
        );
      expect(await ask(0, head, 1_000_000)).toEqual(Array.from({ length: count + 1 }, (_, index) => index + 1));
      expect(await ask(5000, head, 3)).toEqual([5001, 5002, 5003]);
      expect(await ask(5000, 5002, 100)).toEqual([5001, 5002]);
      expect(await ask(head, head, 100)).toEqual([]);
      expect(await ask(0, head + 50, 2, ["note.rare"])).toEqual([1, 1001]);
      expect(await ask(1, head, 100, ["note.rare", "note.none"])).toEqual([1001, 2001, 3001, 4001, 5001, 6001, 7001, 8001, 9001]);
      expect(await ask(0, head, 100, [])).toEqual([]);
      const versions = async (after: number, upTo: number, limit: number): Promise<number[]> =>
        (await tx.streamEvents("order/long", { after, upTo, limit })).map((event) => event.version);
      expect(await versions(0, 1e9, 1e9)).toHaveLength(count);
      expect(await versions(4095, 1e9, 3)).toEqual([4096, 4097, 4098]);
      expect(await versions(8999, 9000, 3)).toEqual([9000]);
      expect(await versions(count, 1e9, 3)).toEqual([]);
      expect(await tx.streamEvents("order/none", { after: 0, upTo: 9, limit: 9 })).toEqual([]);
    });
  });
}
