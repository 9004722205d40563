// Rows beside the log: checkpoints, documents with their indexes and pages, definitions.
import fc from "fast-check";
import type { ReadTransaction, Store, WriteTransaction } from "convergent";
import { describe, expect, test } from "vitest";
import { openStore, type StoreKind } from "./store-kinds.ts";

type Checkpoint = Parameters<WriteTransaction["saveCheckpoints"]>[0][number];
type Row = Parameters<WriteTransaction["saveDocuments"]>[0][number];
type Query = Parameters<ReadTransaction["find"]>[0];

const view = { view: "summary", version: 1 };

function row(key: string, indexes: Readonly<Record<string, string>>, text: string = key): Row {
  return { ...view, key, document: JSON.stringify(text), indexes: Object.entries(indexes).map(([field, value]) => ({ field, value })) };
}

function query(part: Partial<Query>): Query {
  return { ...view, field: undefined, where: [], descending: false, limit: 100, ...part };
}

async function keys(store: Store, part: Partial<Query>): Promise<string[]> {
  return (await store.read((tx) => tx.find(query(part)))).map((hit) => hit.key);
}

export function rowContract(kind: StoreKind): void {
  describe("checkpoints", () => {
    const at = (reader: string, slot: number, position: number, more: Partial<Checkpoint> = {}): Checkpoint => ({
      ...{
        reader,
        version: 1,
        source: "orders",
        slot,
        epoch: "e",
        position: position as never,
        reached: 0 as never,
        seen: "{}",
        check: "",
      },
      ...more,
    });

    test("are kept by reader, version, source and slot; saving again replaces, and they come by slot", async () => {
      const store = await openStore(kind);
      await store.write((tx) => tx.saveCheckpoints([at("a", 10, 5), at("a", 2, 6), at("a", 1, 7), at("b", 0, 8)]));
      const newer = at("a", 2, 9, { epoch: "f", reached: 3 as never, seen: '{"payments":{"epoch":"x","position":4}}' });
      await store.write((tx) => tx.saveCheckpoints([newer, at("a", 0, 1, { version: 2 }), at("a", 0, 2, { source: "payments" })]));
      const key = { reader: "a", version: 1, source: "orders" };
      expect(await store.read((tx) => tx.checkpoints(key))).toEqual([at("a", 1, 7), newer, at("a", 10, 5)]);
      expect(await store.read((tx) => tx.checkpoints({ ...key, version: 2 }))).toEqual([at("a", 0, 1, { version: 2 })]);
      expect(await store.read((tx) => tx.checkpoints({ ...key, reader: "none" }))).toEqual([]);
      expect(await store.read((tx) => tx.checkpoints())).toHaveLength(6);
    });

    test("many saved at once are as if each was saved by itself, whichever of them were there before", async () => {
      const store = await openStore(kind);
      const run = fc.record({
        reader: fc.constantFrom("a", "b"),
        first: fc.nat(12),
        count: fc.integer({ min: 1, max: 8 }),
        position: fc.nat(3),
        epoch: fc.constantFrom("e", "f"),
        check: fc.constantFrom("", "abcd"),
      });
      const rowsOf = (runs: ReadonlyArray<typeof run extends fc.Arbitrary<infer T> ? T : never>): Checkpoint[] =>
        runs.flatMap(({ reader, first, count, position, epoch, check }) =>
          Array.from({ length: count }, (_, index) => at(reader, first + index, position, { epoch, check })),
        );
      const expected = new Map<string, Checkpoint>();
      await fc.assert(
        fc.asyncProperty(fc.array(run, { maxLength: 5 }).map(rowsOf), async (rows) => {
          await store.write((tx) => tx.saveCheckpoints(rows));
          for (const each of rows) expected.set(`${each.reader} ${each.slot}`, each);
          const stored = await store.read((tx) => tx.checkpoints());
          expect(new Map(stored.map((each) => [`${each.reader} ${each.slot}`, each]))).toEqual(expected);
        }),
        { numRuns: 60 },
      );
    });
  });

  describe("documents", () => {
    test("come in the order asked for, are replaced, and are gone when deleted, with their index entries", async () => {
      const store = await openStore(kind);
      await store.write((tx) =>
        tx.saveDocuments([row("a", { status: "open", customer: "x" }), row("b", { status: "open" }), row("c", {})]),
      );
      await store.write((tx) =>
        tx.saveDocuments([
          row("a", { status: "paid" }, "new"),
          { ...row("b", {}), document: undefined },
          { ...row("never", {}), document: undefined },
        ]),
      );
      const texts = await store.read((tx) => tx.documents("summary", 1, ["c", "b", "a", "a", "none"]));
      expect(texts).toEqual(['"c"', undefined, '"new"', '"new"', undefined]);
      expect(await keys(store, { field: "status" })).toEqual(["a"]);
      expect(await keys(store, { field: "status", from: "open", to: "open" })).toEqual([]);
      expect(await keys(store, { field: "customer" })).toEqual([]);
      expect(await store.read((tx) => tx.documents("summary", 2, ["a"]))).toEqual([undefined]);
    });

    test("of one version of a view are dropped with its definition and checkpoints, or of all versions", async () => {
      const store = await openStore(kind);
      await store.write(async (tx) => {
        for (const version of [1, 2, 3]) {
          await tx.saveDocuments([{ ...row("a", { status: "open" }), version }]);
          await tx.saveDefinition({ kind: "view", name: "summary", version, fingerprint: `f${version}`, state: "active", reason: "" });
          const place = { source: "orders", slot: 0, epoch: "e", position: 1 as never, reached: 0 as never, seen: "{}", check: "" };
          await tx.saveCheckpoints([
            { ...place, reader: "summary", version },
            { ...place, reader: "other", version },
          ]);
        }
        await tx.saveDocuments([{ ...row("a", {}), view: "other" }]);
        await tx.saveDefinition({ kind: "strong-view", name: "other", version: 1, fingerprint: "g", state: "active", reason: "" });
      });
      const left = (): Promise<unknown> =>
        store.read(async (tx) => ({
          definitions: (await tx.definitions()).map(({ name, version }) => `${name} ${version}`).sort(),
          readers: (await tx.checkpoints()).map(({ reader, version }) => `${reader} ${version}`).sort(),
          documents: await Promise.all([1, 2, 3].map(async (version) => (await tx.documents("summary", version, ["a"]))[0])),
          found: await Promise.all([1, 2, 3].map(async (version) => (await tx.find(query({ version, field: "status" }))).length)),
          other: await tx.documents("other", 1, ["a"]),
        }));
      await store.write((tx) => tx.dropView("summary", 2));
      expect(await left()).toEqual({
        definitions: ["other 1", "summary 1", "summary 3"],
        readers: ["other 1", "other 2", "other 3", "summary 1", "summary 3"],
        documents: ['"a"', undefined, '"a"'],
        found: [1, 0, 1],
        other: ['"a"'],
      });
      await store.write((tx) => tx.dropView("summary"));
      expect(await left()).toMatchObject({
        definitions: ["other 1"],
        documents: [undefined, undefined, undefined],
        found: [0, 0, 0],
        other: ['"a"'],
      });
    });
  });

  test("definitions are kept by name and version, and saving again replaces", async () => {
    const store = await openStore(kind);
    await store.write((tx) => tx.saveDefinition({ kind: "view", name: "a", version: 1, fingerprint: "f", state: "active", reason: "" }));
    await store.write((tx) =>
      tx.saveDefinition({ kind: "strong-view", name: "a", version: 1, fingerprint: "g", state: "active", reason: "" }),
    );
    expect(await store.read((tx) => tx.definitions())).toEqual([
      { kind: "strong-view", name: "a", version: 1, fingerprint: "g", state: "active", reason: "" },
    ]);
  });

  describe("find", () => {
    test("runs along an index by value, then key, up and down, within bounds that both belong to it", async () => {
      const store = await openStore(kind);
      const values: Readonly<Record<string, string>> = { d: "s1", a: "s2", c: "s2", b: "s3", e: "s3" };
      await store.write((tx) => tx.saveDocuments([...Object.entries(values).map(([key, at]) => row(key, { at })), row("z", {})]));
      expect(await keys(store, { field: "at" })).toEqual(["d", "a", "c", "b", "e"]);
      expect(await keys(store, { field: "at", descending: true })).toEqual(["e", "b", "c", "a", "d"]);
      expect(await keys(store, { field: "at", from: "s2", to: "s2" })).toEqual(["a", "c"]);
      expect(await keys(store, { field: "at", from: "s2", limit: 3 })).toEqual(["a", "c", "b"]);
      expect(await keys(store, { field: "at", to: "s2", descending: true })).toEqual(["c", "a", "d"]);
      expect(await keys(store, {})).toEqual(["a", "b", "c", "d", "e", "z"]);
      expect(await keys(store, { from: "b", to: "d", descending: true })).toEqual(["d", "c", "b"]);
      const hits = await store.read((tx) => tx.find(query({ field: "at", limit: 1 })));
      expect(hits).toEqual([{ key: "d", value: "s1", document: '"d"' }]);
    });

    test("answers only what meets every further condition", async () => {
      const store = await openStore(kind);
      const rows = Array.from({ length: 60 }, (_, n) =>
        row(`k${n}`, { customer: `c${n % 3}`, status: `s${n % 4}`, at: `n${String(n).padStart(3, "0")}` }),
      );
      await store.write((tx) => tx.saveDocuments(rows));
      const where = [
        { field: "customer", from: "c1", to: "c1" },
        { field: "status", from: "s1", to: "s2" },
      ];
      const expected = rows.flatMap(({ key }, n) => (n % 3 === 1 && (n % 4 === 1 || n % 4 === 2) ? [key] : []));
      expect(await keys(store, { field: "at", where })).toEqual(expected);
      expect(await keys(store, { where })).toEqual([...expected].sort());
      expect(await keys(store, { field: "at", where: [...where, { field: "absent", from: "x" }] })).toEqual([]);
    });

    test("compares text by code point, as UTF-8 does, beyond the basic plane too", async () => {
      const store = await openStore(kind);
      const texts = ["", "A", "Z", "a", "z", "~", "é", "\u0000", "a\u0000", "\uFFFD", "😀", "𐍈", "\uE000"];
      await store.write((tx) => tx.saveDocuments(texts.map((text) => row(`k${text}`, { text }))));
      const expected = [...texts].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
      const hits = await store.read((tx) => tx.find(query({ field: "text" })));
      expect(hits.map((hit) => hit.value)).toEqual(expected);
      expect(hits.map((hit) => hit.key)).toEqual(expected.map((text) => `k${text}`));
    });

    test("pages follow each other without a gap or a repeat for rows that stay, while others come and go", async () => {
      const store = await openStore(kind);
      const name = (n: number): string => `k${String(n).padStart(3, "0")}`;
      const stays = Array.from({ length: 50 }, (_, n) => row(name(2 * n), { at: `v${Math.floor(n / 5)}` }));
      for (const descending of [false, true]) {
        await store.write((tx) => tx.saveDocuments(stays));
        const seen: string[] = [];
        let after: Query["after"];
        for (let page = 0; ; page++) {
          const last = after;
          const hits = await store.read((tx) => tx.find(query({ field: "at", descending, limit: 7, ...(last ? { after: last } : {}) })));
          const end = hits.at(-1);
          if (!end) break;
          seen.push(...hits.map((hit) => hit.key));
          after = { value: end.value, key: end.key };
          // Beside the rows that stay one comes, and the one that came before goes.
          await store.write((tx) =>
            tx.saveDocuments([row(name(2 * page + 1), { at: `v${page % 10}` }), { ...row(name(2 * page - 1), {}), document: undefined }]),
          );
        }
        const expected = stays.map(({ key }) => key);
        expect(seen.filter((key) => Number(key.slice(1)) % 2 === 0)).toEqual(descending ? expected.reverse() : expected);
        expect(new Set(seen).size).toBe(seen.length);
        await store.write((tx) => tx.dropView("summary"));
      }
    });

    test("counts what all pages hold, however many, along keys, one value or a range, with further conditions", async () => {
      const store = await openStore(kind);
      const count = 9000; // more than any store reads in one step
      const rows = Array.from({ length: count }, (_, n) => row(`k${n}`, { one: "s", two: `n${n % 7}`, odd: n % 2 === 1 ? "b1" : "b0" }));
      await store.write((tx) => tx.saveDocuments(rows));
      const counted = (part: Partial<Query>): Promise<number> => store.read((tx) => tx.count(query(part)));
      const even = { field: "odd", from: "b0", to: "b0" };
      expect(await counted({})).toBe(count);
      expect(await counted({ from: "k5", to: "k6" })).toBe(1112); // k5, k5…, k6
      expect(await counted({ field: "one", from: "s", to: "s" })).toBe(count);
      expect(await counted({ field: "two", from: "n2", to: "n4" })).toBe(rows.filter((_, n) => n % 7 >= 2 && n % 7 <= 4).length);
      expect(await counted({ field: "two", from: "n0", where: [even] })).toBe(count / 2);
      expect(await counted({ where: [even] })).toBe(count / 2);
      expect(await counted({ field: "none" })).toBe(0);
      expect(await counted({ version: 2 })).toBe(0);
      const after = { value: "n3", key: "k3" }; // the place of a page, which a count does not begin at
      for (const descending of [false, true]) expect(await counted({ field: "two", from: "n0", after, descending })).toBe(count);
      expect(await counted({ after: { value: "k3", key: "k3" } })).toBe(count);
    });

    test("finds two documents of a range that have the same value, wherever they lie", async () => {
      const store = await openStore(kind);
      const rows = Array.from({ length: 9000 }, (_, n) => row(`k${n}`, { at: `b${String(n).padStart(5, "0")}` }));
      await store.write((tx) => tx.saveDocuments([...rows, row("x", { at: "a" }), row("y", { at: "a" })]));
      const duplicate = (from?: string) => store.read((tx) => tx.duplicate({ ...query({}), field: "at", ...(from ? { from } : {}) }));
      expect(await duplicate("b")).toBeUndefined();
      expect([...((await duplicate()) ?? [])].sort()).toEqual(["x", "y"]);
      for (const twin of [0, 4095, 4096, 8999]) {
        await store.write((tx) => tx.saveDocuments([row("twin", { at: `b${String(twin).padStart(5, "0")}` })]));
        expect([...((await duplicate("b")) ?? [])].sort()).toEqual([`k${twin}`, "twin"].sort());
      }
    });

    test("answers like a sorted and filtered list, whatever the rows and the query", async () => {
      const store = await openStore(kind);
      const value = fc.constantFrom("a", "b", "bb", "c", "é", "😀", "");
      const rowOf = fc.record({
        key: fc.constantFrom("a", "b", "c", "d", "e", "f", "g", "h", "😀"),
        x: fc.option(value),
        y: fc.option(value),
        gone: fc.boolean(),
      });
      const bounds = fc.record({ from: value, to: value }, { requiredKeys: [] });
      const queries = fc.record({
        field: fc.option(fc.constantFrom("x", "y"), { nil: undefined }),
        where: fc.array(
          fc.tuple(fc.constantFrom("x", "y"), bounds).map(([field, range]) => ({ field, ...range })),
          { maxLength: 2 },
        ),
        bounds,
        descending: fc.boolean(),
        limit: fc.integer({ min: 1, max: 12 }),
        from: fc.option(fc.nat(10)),
      });
      await fc.assert(
        fc.asyncProperty(fc.array(fc.array(rowOf, { maxLength: 6 }), { maxLength: 4 }), queries, async (batches, asked) => {
          await store.write((tx) => tx.dropView("summary"));
          await store.write((tx) =>
            tx.saveDefinition({ kind: "view", name: "summary", version: 1, fingerprint: "f", state: "active", reason: "" }),
          );
          const model = new Map<string, Record<string, string>>();
          for (const batch of batches) {
            const rows = batch.map(({ key, x, y, gone }) => {
              const indexes = { ...(x === null ? {} : { x }), ...(y === null ? {} : { y }) };
              if (gone) model.delete(key);
              else model.set(key, indexes);
              return gone ? { ...row(key, {}), document: undefined } : row(key, indexes);
            });
            await store.write((tx) => tx.saveDocuments(rows));
          }
          const { bounds: range, from, ...rest } = asked;
          const whole = expectedHits(model, { ...query(rest), ...range, limit: 100 });
          expect(await store.read((tx) => tx.count({ ...query(rest), ...range }))).toBe(whole.length);
          const start = from === null ? undefined : whole[from];
          const page = query({ ...rest, ...range, ...(start ? { after: { value: start.value, key: start.key } } : {}) });
          expect(await store.read((tx) => tx.find(page))).toEqual(whole.slice(start ? from! + 1 : 0).slice(0, rest.limit));
        }),
        { numRuns: 60 },
      );
    });
  });
}

function expectedHits(
  model: ReadonlyMap<string, Record<string, string>>,
  asked: Query,
): Array<{ key: string; value: string; document: string }> {
  const order = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));
  const within = (text: string | undefined, range: { from?: string; to?: string }): boolean =>
    text !== undefined &&
    (range.from === undefined || order(text, range.from) >= 0) &&
    (range.to === undefined || order(text, range.to) <= 0);
  const hits = [...model].flatMap(([key, indexes]) => {
    const value = asked.field === undefined ? key : indexes[asked.field];
    const isMet = within(value, asked) && asked.where.every((condition) => within(indexes[condition.field], condition));
    return isMet && value !== undefined ? [{ key, value, document: JSON.stringify(key) }] : [];
  });
  hits.sort((a, b) => order(a.value, b.value) || order(a.key, b.key));
  return asked.descending ? hits.reverse() : hits;
}
