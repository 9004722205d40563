import fc from "fast-check";
import { expect, test } from "vitest";
import { z } from "zod";
import { command, entity } from "../entities/entity.ts";
import type { StoreDriver } from "../log/store.ts";
import { accepted } from "../protocol/outcome.ts";
import { runtimeOf, type RunningService, service, type Service } from "../service/service.ts";
import { memory } from "../stores/memory/index.ts";
import { encodeIndexValue } from "./index-value.ts";
import { dropVersions } from "./operating.ts";
import { view } from "./view.ts";

const Put = z.object({ owner: z.string(), size: z.number() });
const file = entity("file", { initial: () => ({ exists: false }), events: { put: Put, removed: z.object({}) } })
  .evolve({ put: () => ({ exists: true }), removed: () => ({ exists: false }) })
  .commands({
    put: command(Put, (_, input, emit) => emit.put(input)),
    remove: command(z.object({}), (_state, _input, emit) => emit.removed({})),
  });

function listing(options: { consistency?: "eventual" | "strong"; version?: number; sizeMax?: number } = {}) {
  return view("listing", {
    from: [file],
    document: z.object({ owner: z.string(), size: z.number().max(options.sizeMax ?? Number.MAX_SAFE_INTEGER), times: z.number() }),
    key: (event) => event.entityId,
    indexes: ["owner", "size"],
    consistency: options.consistency ?? "eventual",
    version: options.version ?? 1,
  }).on({
    "file.put": (document, event) => ({ owner: event.data.owner, size: event.data.size, times: (document?.times ?? 0) + 1 }),
    "file.removed": () => undefined,
  });
}

type Files = Service<{ file: typeof file; listing: ReturnType<typeof listing> }>;
const files = (options: Parameters<typeof listing>[0] = {}): Files => service("files", { parts: { file, listing: listing(options) } });
const start = (driver: StoreDriver = memory(), options: Parameters<typeof listing>[0] = {}): Promise<RunningService<Files["parts"]>> =>
  files(options).start({ store: driver });

test.each(["eventual", "strong"] as const)(
  "an %s view shows a write whose token is asked for, and forgets a document that a handler drops",
  async (consistency) => {
    const running = await start(memory(), { consistency });
    const put = accepted(await running.file("a").put({ owner: "ada", size: 3 }));
    expect(await running.listing.get("a", { after: put.token })).toMatchObject({
      value: { owner: "ada", size: 3, times: 1 },
      fresh: true,
      asOf: 1,
    });
    const removed = accepted(await running.file("a").remove({}));
    expect(await running.listing.get("a", { after: removed.token })).toMatchObject({ value: undefined, fresh: true, asOf: 2 });
    expect((await running.listing.find({ owner: "ada" })).value).toEqual([]);
    await running.stop();
  },
);

test("a view that is behind says by how much, and is not called fresh; with stale: error it throws", async () => {
  const running = await start();
  const { reader } = runtimeOf(running).view("listing");
  reader.pause();
  await expect.poll(() => reader.state, { timeout: 2000 }).toBe("paused");
  const put = accepted(await running.file("a").put({ owner: "ada", size: 3 }));
  const reading = await running.listing.get("a", { after: put.token, wait: "20ms" });
  expect(reading).toMatchObject({ value: undefined, fresh: false, asOf: 0, behind: { positions: 1 } });
  expect(await running.listing.get("a")).toMatchObject({ fresh: false });
  await expect(running.listing.get("a", { strong: true, wait: "20ms", stale: "error" })).rejects.toMatchObject({ code: "not_fresh" });
  reader.resume();
  expect(await running.listing.get("a", { strong: true })).toMatchObject({
    value: { size: 3 },
    fresh: true,
    behind: { positions: 0, ms: 0 },
  });
  await running.stop();
});

test("a token above head or from another history is refused, and one of an unknown store is neither fresh nor waited for", async () => {
  const running = await start();
  const { token } = accepted(await running.file("a").put({ owner: "ada", size: 3 }));
  const other = await service("files", { parts: { file } }).start({ store: memory() });
  const foreign = accepted(await other.file("a").put({ owner: "ada", size: 3 })).token;
  await expect(running.listing.get("a", { after: String(foreign) })).rejects.toMatchObject({ code: "token_invalid" });
  await expect(running.listing.get("a", { after: String(token).replace(/\.1\./, ".2.") })).rejects.toMatchObject({ code: "token_invalid" });
  const elsewhere = await running.listing.get("a", { after: `elsewhere.e1.5.${Date.now()}.abcd.xxxx` });
  expect(elsewhere).toMatchObject({ fresh: false, unchecked: ["elsewhere"], value: { size: 3 } });
  await Promise.all([running.stop(), other.stop()]);
});

test("pages by an index are sorted, stable under change, and complete", async () => {
  const running = await start();
  const sizes = [5, -3, 0, 12, 7, 7, 100, 2.5, -20];
  for (const [index, size] of sizes.entries()) await running.file(`f${index}`).put({ owner: index % 2 === 0 ? "ada" : "bob", size });
  const all = await running.listing.find({}, { orderBy: "size", strong: true });
  expect(all.value.map(({ value }) => value.size)).toEqual([...sizes].sort((a, b) => a - b));
  const first = await running.listing.find({}, { orderBy: "size", limit: 4 });
  await running.file("f1").remove({}); // on the first page already
  await running.file("new").put({ owner: "eve", size: 6 });
  const rest = await running.listing.find(
    {},
    { orderBy: "size", limit: 10, strong: true, ...(first.cursor === undefined ? {} : { cursor: first.cursor }) },
  );
  expect([...first.value, ...rest.value].map(({ value }) => value.size)).toEqual([-20, -3, 0, 2.5, 5, 6, 7, 7, 12, 100]);
  expect(
    (await running.listing.find({ size: { from: 5, to: 12 }, owner: "ada" }, { descending: true, orderBy: "size" })).value.map(
      ({ key }) => key,
    ),
  ).toEqual(["f4", "f0"]);
  await expect(running.listing.find({ times: 1 } as never)).rejects.toMatchObject({ code: "index_not_declared" });
  await expect(running.listing.find({ owner: "ada" }, { cursor: first.cursor ?? "" })).rejects.toMatchObject({ code: "cursor_invalid" });
  await running.stop();
});

test.each(["eventual", "strong"] as const)(
  "of an %s view a count is what all pages together hold, whatever is asked for",
  async (consistency) => {
    const condition = fc.record(
      { owner: fc.constantFrom("o0", "o1", "o9"), size: fc.record({ from: fc.nat(9), to: fc.nat(9) }, { requiredKeys: [] }) },
      { requiredKeys: [] },
    );
    const running = await start(memory(), { consistency });
    await Promise.all(Array.from({ length: 40 }, (_, n) => running.file(`f${n}`).put({ owner: `o${n % 2}`, size: n % 10 })));
    await fc.assert(
      fc.asyncProperty(condition, fc.constantFrom(undefined, "owner", "size"), fc.nat({ max: 9 }), async (where, orderBy, rest) => {
        const options = { limit: rest + 1, count: true as const, ...(orderBy === undefined ? {} : { orderBy }) };
        let page = await running.listing.find(where, { ...options, strong: true });
        const { count } = page;
        let found = page.value.length;
        while (page.cursor !== undefined) {
          page = await running.listing.find(where, { ...options, cursor: page.cursor });
          expect(page.count).toBe(count);
          found += page.value.length;
        }
        expect(found).toBe(count);
        expect((await running.listing.count(where)).value).toBe(count);
      }),
      { numRuns: 40 },
    );
    await running.stop();
  },
);

test("a read by age is fresh while the oldest missing event is young enough, waits when it is not, and a token must be met beside it", async () => {
  const running = await start();
  const { reader } = runtimeOf(running).view("listing");
  reader.pause();
  await expect.poll(() => reader.state, { timeout: 2000 }).toBe("paused");
  const put = accepted(await running.file("a").put({ owner: "ada", size: 3 }));
  expect(await running.listing.get("a", { maxAge: "1h" })).toMatchObject({ fresh: true, value: undefined, behind: { positions: 1 } });
  expect(await running.listing.get("a", { maxAge: "1h", after: put.token, wait: "20ms" })).toMatchObject({ fresh: false });
  await new Promise((resolve) => setTimeout(resolve, 40));
  expect(await running.listing.count({}, { maxAge: "30ms", wait: "20ms" })).toMatchObject({ fresh: false, value: 0 });
  await expect(running.listing.get("a", { maxAge: "30ms", wait: "0s", stale: "error" })).rejects.toMatchObject({ code: "not_fresh" });
  const waiting = running.listing.get("a", { maxAge: "30ms", wait: "10s" });
  reader.resume();
  expect(await waiting).toMatchObject({ fresh: true, value: { size: 3 } });
  await running.stop();
});

test("a strong view refuses the append whose event it cannot hold, and only that one", async () => {
  const running = await start(memory(), { consistency: "strong", sizeMax: 10 });
  const outcomes = await Promise.all([5, 11, 7].map((size, index) => running.file(`f${index}`).put({ owner: "ada", size })));
  expect(outcomes.map((outcome) => outcome.kind)).toEqual(["accepted", "rejected", "accepted"]);
  expect((await running.listing.find({ owner: "ada" })).value).toHaveLength(2);
  expect(runtimeOf(running).log.headKnown.position).toBe(2);
  await running.stop();
});

test("a strong view over an old log is built before the service starts, and a process that lacks it may not append", async () => {
  const driver = memory();
  const before = await service("files", { parts: { file } }).start({ store: driver });
  for (let index = 0; index < 20; index++) await before.file(`f${index}`).put({ owner: "ada", size: index });
  await before.stop();
  const running = await start(driver, { consistency: "strong" });
  expect((await running.listing.find({ owner: "ada" }, { limit: 100 })).value).toHaveLength(20);
  await running.stop();
  const lacking = await service("files", { parts: { file } }).start({ store: driver });
  await expect(lacking.file("x").put({ owner: "ada", size: 1 })).rejects.toMatchObject({ code: "definitions_outdated" });
  await lacking.stop();
});

test("a definition that changed under its rows is refused with the way out; a higher version builds its own", async () => {
  const driver = memory();
  const running = await start(driver);
  await running.file("a").put({ owner: "ada", size: 1 });
  await running.stop();
  const changed = view("listing", {
    from: [file],
    document: z.object({ owner: z.string() }),
    key: (event) => event.entityId,
    indexes: ["owner"],
  }).on({ "file.put": (_, event) => ({ owner: event.data.owner }) });
  await expect(service("files", { parts: { file, changed } }).start({ store: driver })).rejects.toMatchObject({
    code: "definition_changed",
    message: expect.stringContaining("convergent view reset listing") as string,
  });
  const higher = await start(driver, { version: 2 });
  expect(await higher.listing.get("a", { strong: true })).toMatchObject({ value: { size: 1 } });
  await higher.stop();
});

test("property: a view equals a fresh fold of its events at the same position", async () => {
  const step = fc.record({ key: fc.integer({ min: 0, max: 3 }), size: fc.integer({ min: -5, max: 5 }), remove: fc.boolean() });
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 40 }),
      fc.constantFrom("eventual" as const, "strong" as const),
      async (steps, consistency) => {
        const running = await start(memory(), { consistency });
        await Promise.all(
          steps.map(({ key, size, remove }) =>
            remove ? running.file(`f${key}`).remove({}) : running.file(`f${key}`).put({ owner: `o${size % 2}`, size }),
          ),
        );
        const page = await running.listing.find({}, { limit: 500, strong: true });
        const events = (await runtimeOf(running).log.read({ after: 0 as never, limit: 1000 })).events.filter(
          (event) => event.position <= page.asOf,
        );
        const folded = new Map<string, { owner: string; size: number; times: number }>();
        for (const event of events) {
          const key = event.stream.slice("file/".length);
          const data = JSON.parse(event.data) as { owner: string; size: number };
          if (event.type === "file.removed") folded.delete(key);
          else folded.set(key, { ...data, times: (folded.get(key)?.times ?? 0) + 1 });
        }
        expect(new Map(page.value.map(({ key, value }) => [key, value]))).toEqual(folded);
        for (const owner of ["o0", "o1", "o-1"]) {
          const found = await running.listing.find({ owner }, { limit: 500 });
          expect(found.value.map(({ key }) => key)).toEqual(
            [...folded]
              .filter(([, document]) => document.owner === owner)
              .map(([key]) => key)
              .sort(),
          );
        }
        await running.stop();
      },
    ),
    { numRuns: 40 },
  );
});

test("property: the text of index values sorts as the values do", () => {
  const sign = (a: number): number => Math.sign(a);
  fc.assert(
    fc.property(fc.double({ noNaN: true }), fc.double({ noNaN: true }), (a, b) => {
      const [left, right] = [encodeIndexValue(a, "x"), encodeIndexValue(b, "x")];
      expect(left < right ? -1 : left > right ? 1 : 0).toBe(sign(a < b ? -1 : a > b ? 1 : 0));
    }),
  );
  expect(
    [
      encodeIndexValue(null, "x"),
      encodeIndexValue(false, "x"),
      encodeIndexValue(true, "x"),
      encodeIndexValue(-1e300, "x"),
      encodeIndexValue("", "x"),
    ].sort(),
  ).toEqual([null, false, true, -1e300, ""].map((value) => encodeIndexValue(value, "x")));
  expect(() => encodeIndexValue([1], "x")).toThrow("index");
});

const thing = entity("thing", { initial: () => ({}), events: { added: z.record(z.string(), z.unknown()) } })
  .evolve({ added: (state) => state })
  .commands({ add: command(z.record(z.string(), z.unknown()), (_, input, emit) => emit.added(input)) });

function counting(name: string, options: { version?: number; consistency?: "eventual" | "strong"; refuses?: string } = {}) {
  return view(name, {
    from: [thing],
    document: z.object({ count: z.number() }),
    key: () => "all",
    consistency: options.consistency ?? "strong",
    version: options.version ?? 1,
  }).on({
    "thing.added": (document, event) => {
      if (options.refuses !== undefined && options.refuses in event.data) throw new Error("refused");
      return { count: (document?.count ?? 0) + 1 };
    },
  });
}

test("of several strong views none keeps an event that another one refused", async () => {
  const running = await service("things", { parts: { thing, one: counting("one"), two: counting("two", { refuses: "bad" }) } }).start({
    store: memory(),
  });
  const outcomes = await Promise.all([running.thing("a").add({ bad: 1 }), running.thing("b").add({ n: 1 })]);
  expect(outcomes.map((outcome) => outcome.kind)).toEqual(["rejected", "accepted"]);
  expect((await running.one.get("all")).value).toEqual({ count: 1 });
  await running.stop();
});

/** A driver onto one open store, as processes that share a file would have it: each may close what it opened, and the store stays. */
async function shared(name: string): Promise<StoreDriver> {
  const driver = memory();
  const inner = await driver.open({ name });
  const view = (): typeof inner => ({
    identity: inner.identity,
    witness: inner.witness,
    host: inner.host,
    vault: inner.vault,
    scrub: () => inner.scrub(),
    read: (body) => inner.read(body),
    write: (body) => inner.write(body),
    archive: (streams) => inner.archive(streams),
    insideWrite: () => inner.insideWrite(),
    onCommit: (listener) => inner.onCommit(listener),
    close: async () => undefined,
  });
  return { host: driver.host, open: async () => view() };
}

test("a strong view that two processes build at once holds every event once", async () => {
  const store = await shared("things");
  const before = await service("things", { parts: { thing } }).start({ store });
  for (let index = 0; index < 1200; index++) void before.thing(`t${index % 5}`).add({ n: index });
  await expect.poll(() => runtimeOf(before).log.headKnown.position, { timeout: 10_000 }).toBe(1200);
  const definition = service("things", { parts: { thing, one: counting("one") } });
  const both = await Promise.all([definition, definition, definition].map((each) => each.start({ store })));
  await Promise.all(both.map((running, index) => running.thing(`x${index}`).add({ n: 1 })));
  for (const running of both) expect((await running.one.get("all")).value).toEqual({ count: 1203 });
  await Promise.all([...both, before].map((running) => running.stop()));
});

test("a release with a higher version of a strong view takes over; the older one may not append any more", async () => {
  const store = await shared("things");
  const older = await service("things", { parts: { thing, one: counting("one") } }).start({ store });
  await older.thing("a").add({ n: 1 });
  const newer = await service("things", { parts: { thing, one: counting("one", { version: 2 }) } }).start({ store });
  await newer.thing("a").add({ n: 2 });
  expect((await newer.one.get("all")).value).toEqual({ count: 2 });
  await expect(older.thing("a").add({ n: 3 })).rejects.toMatchObject({ code: "definitions_outdated" });
  await Promise.all([newer.stop(), older.stop()]);
});

test.each(["eventual", "strong"] as const)(
  "an %s view that is reset while its process runs is never called fresh without its rows",
  async (consistency) => {
    const driver = memory();
    const definition = service("things", { parts: { thing, one: counting("one", { consistency }) } });
    const running = await definition.start({ store: driver });
    for (let index = 0; index < 5; index++) await running.thing("a").add({ n: index });
    expect((await running.one.get("all", { strong: true })).value).toEqual({ count: 5 });
    await runtimeOf(running).log.transact((tx) => tx.dropView("one"));
    if (consistency === "eventual") {
      expect(await running.one.get("all", { strong: true, wait: "0ms" })).toMatchObject({ value: undefined, fresh: false, asOf: 0 });
      // It is built again, as soon as its reader looks; who gives it the time is answered then.
      expect(await running.one.get("all", { strong: true, wait: "20s" })).toMatchObject({ value: { count: 5 }, fresh: true });
    } else await expect(running.thing("a").add({ n: 6 })).rejects.toMatchObject({ code: "definitions_outdated" });
    await running.stop();
    const again = await definition.start({ store: driver });
    expect((await again.one.get("all", { strong: true })).value).toEqual({ count: 5 });
    await again.stop();
  },
);

test.each(["eventual", "strong"] as const)(
  "an %s view whose versions are dropped while its process runs is not called fresh while its rows go",
  async (consistency) => {
    const definition = service("things", { parts: { thing, one: counting("one", { consistency }) } });
    const driver = memory();
    const before = await definition.start({ store: driver });
    for (let index = 0; index < 3; index++) await before.thing("a").add({ n: index });
    await before.stop();
    const running = await definition.start({ store: driver });
    expect(await running.one.get("all", { strong: true })).toMatchObject({ value: { count: 3 }, fresh: true });
    await runtimeOf(running).log.transact(async (tx) => {
      await dropVersions(tx, "one");
      await tx.dropDocuments("one", 1, 500);
    });
    expect(await running.one.get("all")).toMatchObject({ value: undefined, fresh: false, asOf: 0 });
    expect(await running.one.find({})).toMatchObject({ value: [], fresh: false });
    await running.stop();
  },
);

test("a handler is given the document as it is stored, within a batch as between two", async () => {
  const seen: string[] = [];
  const dated = view("dated", { from: [thing], document: z.object({ at: z.coerce.date() }), key: () => "all" }).on({
    "thing.added": (document) => {
      if (document) seen.push(typeof document.at);
      return { at: new Date(0) };
    },
  });
  const running = await service("things", { parts: { thing, dated } }).start({ store: memory() });
  await Promise.all([1, 2, 3].map((n) => running.thing(`t${n}`).add({ n })));
  await running.dated.get("all", { strong: true });
  expect(new Set(seen)).toEqual(new Set(["string"]));
  await running.stop();
});

test("long texts are found exactly, half surrogates wedge nothing, and open ranges keep to their kind", async () => {
  const texts = view("texts", {
    from: [thing],
    document: z.object({ text: z.union([z.string(), z.number(), z.null()]) }),
    key: (event) => event.entityId,
    indexes: ["text"],
  }).on({
    "thing.added": (_, event) => ({ text: event.data["text"] as string }),
  });
  const running = await service("things", { parts: { thing, texts } }).start({ store: memory() });
  const long = "x".repeat(256);
  const values = [`${long}A`, `${long}B`, `${"a".repeat(255)}\u{1f600}`, "\ud800", 7, null];
  for (const [index, text] of values.entries()) await running.thing(`t${index}`).add({ text });
  for (const [index, text] of values.entries()) {
    const found = await running.texts.find({ text }, { strong: true });
    expect(found).toMatchObject({ fresh: true, value: [{ key: `t${index}` }] });
  }
  expect((await running.texts.find({ text: { from: 5 } })).value.map(({ key }) => key)).toEqual(["t4"]);
  const forged = btoa(JSON.stringify(["xxxxxxxx", "a", ""])).replaceAll("=", "");
  await expect(running.texts.find({ text: { from: 5 } }, { cursor: forged })).rejects.toMatchObject({ code: "cursor_invalid" });
  await running.stop();
});
