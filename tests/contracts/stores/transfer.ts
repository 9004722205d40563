// Export, import and verification, for every pair of stores: a copy compares equal, and nothing wrong gets in unnoticed.
import {
  type AppendPart,
  beginEpoch,
  differences,
  type ExportFormat,
  exportLog,
  type ImportOutcome,
  importLog,
  type Position,
  readHeader,
} from "convergent";
import { type Store, type StoredEvent, eventDigest, verifyStore } from "convergent";
import { expect, test } from "vitest";
import { allEvents, appended, codeOf, written } from "./log-questions.ts";
import { newPlace, openLog, openStore, type StoreKind, storeKinds } from "./store-kinds.ts";

const formats: readonly ExportFormat[] = ["jsonl", "cloudevents"];

export async function linesOf(store: Store, options: Parameters<typeof exportLog>[1] = {}): Promise<string[]> {
  let text = "";
  for await (const part of exportLog(store, options)) text += part;
  return text.trimEnd().split("\n");
}

async function* each(lines: readonly string[]): AsyncGenerator<string> {
  yield* lines;
}

const together: readonly AppendPart[] = [written("order/0 ö", "both"), written("order/1 ö", "both")];

/** A log with everything that an export must carry: several streams, odd text, ids, a voided id, two epochs. */
export async function fill(kind: StoreKind, place: string): Promise<void> {
  const log = await openLog(kind, place);
  const odd = [
    '\u2028 😀 \\ " / \u0007',
    { "10": 1, "2": 2, b: [null, 1.5e300, -0.1], __proto__: null },
    null,
    "",
    { nested: { deep: [{}] } },
  ];
  for (const [index, data] of odd.entries())
    await log.append({ ...written(`order/${index % 2} ö`, data, `id-${index}`), metadata: { actor: "ada ✓" } });
  await log.append({
    stream: "order/long",
    expected: "none",
    events: Array.from({ length: 30 }, (_, data) => ({ type: "note.written", data })),
    id: { scope: "", id: "many" },
  });
  await log.appendAll(together, { id: { scope: "caller", id: "whole" } });
  await log.void({ scope: "caller", id: "never" });
  await log.close();
  const store = await openStore(kind, place);
  await store.write((tx) => beginEpoch(tx, store.host.random));
  await store.close();
  const again = await openLog(kind, place);
  await again.append(written("order/after"));
  await again.close();
}

async function refused(kind: StoreKind, lines: readonly string[]): Promise<Extract<ImportOutcome, { kind: "refused" }>> {
  const outcome = await importLog(await openStore(kind), each(lines));
  if (outcome.kind !== "refused") throw new Error("the import was not refused");
  return outcome;
}

export function transferContract(kind: StoreKind): void {
  test.each(storeKinds.flatMap((to) => formats.map((format) => ({ to, format }))))(
    "an export as $format, imported into $to.name, compares equal, answers repeated ids alike, and begins a new epoch",
    async ({ to, format }) => {
      const place = newPlace();
      await fill(kind, place);
      const source = await openStore(kind, place);
      const lines = await linesOf(source, { format });
      expect(readHeader(lines[0] ?? "")).toMatchObject({ format: "convergent-export", version: 2, store: "orders", first: 1, last: 38 });

      const target = newPlace();
      const store = await openStore(to, target);
      const outcome = await importLog(store, each(lines));
      const [before, after] = [await verifyStore(source), await verifyStore(store)];
      expect(outcome).toMatchObject({ kind: "imported", events: 38, ids: 10, digest: before.digest, epoch: { first: 39 } });
      expect(after).toEqual(before);
      expect(after).toMatchObject({ problems: [], ids: 9, events: 38 });
      expect(differences(before, after)).toEqual([]);
      expect(store.identity.epochs.slice(1, -1)).toEqual(source.identity.epochs);

      const back = await openStore(kind);
      expect(await importLog(back, each(await linesOf(store, { format })))).toMatchObject({ kind: "imported", digest: before.digest });
      expect((await verifyStore(back)).ranges).toEqual(before.ranges);
      await source.close();
      await store.close();

      const [original, copy] = [await openLog(kind, place), await openLog(to, target)];
      expect(await allEvents(copy)).toEqual(await allEvents(original));
      const repeated = {
        ...written("order/1 ö", { "10": 1, "2": 2, b: [null, 1.5e300, -0.1], __proto__: null }, "id-1"),
        metadata: { actor: "ada ✓" },
      };
      for (const log of [original, copy]) {
        expect(await log.append(repeated)).toMatchObject({ repeated: true, firstVersion: 1 });
        expect(await log.appendAll(together, { id: { scope: "caller", id: "whole" } })).toMatchObject({
          repeated: true,
          parts: [{ lastVersion: 4 }, { lastVersion: 3 }],
        });
        expect(await codeOf(log.append(written("order/1", 1, "never")))).toBe("id_voided");
        expect(appended(await log.append(written("order/long"))).lastVersion).toBe(31);
      }
    },
  );

  test("an export holds what was there when it began, and begins where it is told; such a part is not imported by itself", async () => {
    const place = newPlace();
    await fill(kind, place);
    const store = await openStore(kind, place);
    const parts = exportLog(store, { after: 30 as Position });
    let text = (await parts.next()).value as string;
    const late = (await store.read((tx) => tx.events({ after: 37 as Position, upTo: 38 as Position, limit: 1 })))[0] as StoredEvent;
    const more = { ...late, position: 39 as Position, version: late.version + 1 };
    await store.write((tx) => tx.insert({ events: [more], heads: headsOf([more]), ids: [] }));
    for await (const part of parts) text += part;
    const lines = text.trimEnd().split("\n");
    expect(lines.slice(1, -2).map((line) => (JSON.parse(line) as StoredEvent).position)).toEqual([31, 32, 33, 34, 35, 36, 37, 38]);
    const { problems } = await refused(kind, lines);
    expect(problems[0]).toEqual({ at: 1, message: expect.stringContaining("begins at position 31") as string });
  });

  test("lines that are broken are reported by number, whatever is wrong with them, and the import is refused", async () => {
    const place = newPlace();
    await fill(kind, place);
    const source = await openStore(kind, place);
    const lines = await linesOf(source);
    const edited = (line: number, change: (event: Record<string, unknown>) => unknown): string[] => {
      const event = JSON.parse(lines[line - 1] ?? "") as Record<string, unknown>;
      const changed = change(event);
      return lines.with(line - 1, typeof changed === "string" ? changed : JSON.stringify(event));
    };
    for (const [broken, at, said] of [
      [edited(3, () => "{ no json"), 3, "no JSON"],
      [edited(3, () => "[]"), 3, "no JSON object"],
      [edited(4, (event) => delete event["stream"]), 4, "stream is missing"],
      [edited(4, (event) => (event["position"] = -3)), 4, "position is no whole number"],
      [edited(4, (event) => (event["position"] = 17)), 4, "follows position 2"],
      [edited(5, (event) => (event["version"] = 9)), 5, "version 9 of order/1 ö follows version 1"],
      [edited(6, (event) => (event["at"] = 1)), 6, "its time lies before"],
      [edited(7, (event) => void (event["data"] = "other")), 7, "does not fit its digest"],
      [edited(7, (event) => void (event["stream"] = "order")), 7, "no stream"],
      [edited(1, (event) => (event["version"] = 3)), 1, "reads up to 2"],
      [edited(1, (event) => void (event["store"] = "stock")), 1, 'the export is of "stock"'],
      [lines.slice(1), 1, "the header is missing"],
      [lines.slice(0, -1), 41, "cut off"],
      [lines.toSpliced(9, 1), 10, "follows position 8"],
      [lines.toSpliced(9, 0, lines[8] ?? ""), 10, "follows position 8"],
      [[...lines, lines[2] ?? ""], 42, "follows the end"],
      [edited(41, (event) => (event["end"] = { events: 37, digest: "" })), 41, "digest is empty"],
      [edited(41, (event) => (event["end"] = { events: 37, digest: "x" })), 41, "had 37 events, and 38 came"],
      [edited(41, (event) => (event["end"] = { events: 38, digest: "x" })), 41, "digest of the whole export"],
      [edited(4, (event) => (event["append"] = (JSON.parse(lines[1] ?? "") as { append: unknown }).append)), 4, '"id-0" came before'],
      [edited(4, (event) => void (event["datatext"] = "{ no json")), 4, "datatext is no JSON"],
      [edited(4, (event) => (event["metadata"] = [])), 4, "metadata is no JSON object"],
      [edited(1, (event) => (event["last"] = 40)), 41, "ends at position 40"],
      [edited(1, (header) => void (header["epochs"] as unknown[]).reverse()), 1, "epochs are none"],
      [edited(1, (header) => void (header["epochs"] as unknown[]).push((header["epochs"] as unknown[])[0])), 1, "epochs are none"],
      [[], 1, "cut off"],
    ] as const) {
      const { problems, problemCount } = await refused(kind, broken);
      expect([said, problems[0]]).toEqual([said, { at, message: expect.stringContaining(said) as string }]);
      expect(problemCount).toBeGreaterThan(0);
    }
    const all = lines.map((line, index) => (index > 0 && index < 31 ? line.slice(0, -1) : line));
    const { problems, problemCount } = await refused(kind, all);
    expect(problems.map((problem) => problem.at)).toEqual(Array.from({ length: 20 }, (_, index) => index + 2));
    expect(problemCount).toBeGreaterThanOrEqual(30);
    expect(await codeOf(importLog(source, each(lines)))).toBe("invalid_input");
  });

  test("verification names each kind of damage by its position, and the ranges in which two stores differ", async () => {
    const store = await openStore(kind);
    const event = (position: number, change: Partial<StoredEvent> = {}): StoredEvent => {
      const content = { id: `id${position}`, stream: "order/1", type: "note.written", data: "1", metadata: "{}", ...change };
      return { position: position as Position, version: position, at: position, digest: eventDigest(content), ...content, ...change };
    };
    const sound = await openStore(kind);
    const all = [1, 2, 3, 4, 5, 6].map((position) => event(position));
    await sound.write((tx) => tx.insert({ events: all, heads: headsOf(all), ids: [] }));
    const damaged = [
      event(1),
      event(2, { digest: "x" }),
      event(3, { at: 1 }),
      event(4),
      event(5, { version: 7 }),
      event(6, { stream: "order/2" }),
    ];
    const id = {
      scope: "",
      id: "i",
      digest: "",
      state: "done",
      stream: "order/1",
      firstVersion: 9,
      lastVersion: 4,
      position: 4 as Position,
      at: 4,
    } as const;
    await store.write((tx) => tx.insert({ events: damaged, heads: headsOf(damaged), ids: [id] }));
    const found = await verifyStore(store);
    expect(found.problems.map((problem) => problem.at).toSorted((a, b) => a - b)).toEqual([2, 3, 4, 5, 6]);
    expect(found.problemCount).toBe(5);
    const good = await verifyStore(sound);
    expect(good.problems).toEqual([]);
    expect(differences(good, found)).toEqual([{ first: 1, last: 6, events: [6, 6] }]);
    expect(differences(good, good)).toEqual([]);
  });
}

function headsOf(events: readonly StoredEvent[]): Map<string, { version: number; position: Position }> {
  return new Map(events.map(({ stream, version, position }) => [stream, { version, position }]));
}
