import { createHmac } from "node:crypto";
import { expect, test } from "vitest";
import { nodeHost } from "../host-node/host.ts";
import type { Host } from "../host/host.ts";
import { position } from "../position/position.ts";
import { memory } from "../stores/memory/index.ts";
import { memoryDisk } from "../stores/memory/memory-disk.ts";
import type { AppendRequest } from "./append.ts";
import { canonicalJson, Signer } from "./digest.ts";
import { forkAfter, inPresentHistory } from "./epochs.ts";
import { Log } from "./log.ts";
import type { Store, StoreDriver } from "./store.ts";

const request = (over: Partial<AppendRequest> = {}): AppendRequest => ({
  stream: "a/1",
  expected: "any",
  events: [{ type: "a.b", data: 1 }],
  ...over,
});

/** A driver whose transactions' heads come late, as a database elsewhere would answer. */
function slowHeads(): StoreDriver {
  const inner = memory();
  const slow = (store: Store): Store =>
    Object.assign(Object.create(store, { identity: { value: store.identity } }) as Store, {
      read: (body: Parameters<Store["read"]>[0]) =>
        store.read(async (tx) => {
          const head = await tx.head();
          return body(
            Object.assign(Object.create(tx) as typeof tx, {
              head: async () => new Promise((resolve) => setTimeout(() => resolve(head), 5)),
            }),
          );
        }),
      write: store.write.bind(store),
      insideWrite: store.insideWrite.bind(store),
      onCommit: store.onCommit.bind(store),
      close: store.close.bind(store),
    });
  return { host: inner.host, open: async (options) => slow(await inner.open(options)) };
}

test("a page never counts as scanned what its snapshot does not hold", async () => {
  const log = await Log.open(slowHeads(), "notes");
  for (let index = 0; index < 3; index++) await log.append(request());
  const fresh = await Log.open(slowHeads(), "notes"); // no tail, so it must ask the store
  await fresh.append(request());
  const reading = fresh.read({ after: position(0), limit: 100, types: ["none"] });
  await Promise.all(Array.from({ length: 20 }, () => fresh.append(request())));
  expect((await reading).scanned).toBeLessThanOrEqual(2);
});

test("what cannot be stored as it is fails alone: everybody else of the batch gets through", async () => {
  const log = await Log.open(memory(), "notes");
  const cycle: { self?: unknown } = {};
  cycle.self = cycle;
  const bad = [
    request({ id: { scope: "", id: "\ud800" } }),
    request({ stream: "a/\u0000" }),
    request({ expected: "nune" as never }),
    request({ events: [{ type: "a.b", data: 1n }] }),
    request({ events: [{ type: "a.b", data: cycle }] }),
    request({ events: Array.from({ length: 10_001 }, () => ({ type: "a.b", data: 1 })) }),
    request({ events: [] }),
  ];
  const outcomes = await Promise.allSettled(bad.flatMap((one) => [log.append(one), log.append(request())]));
  for (const [index, outcome] of outcomes.entries()) {
    if (index % 2 === 1) expect(outcome.status).toBe("fulfilled");
    else expect(outcome).toMatchObject({ status: "rejected", reason: { code: "invalid_input" } });
  }
});

test("when one append of a batch makes the transaction fail, each is tried alone and only that one fails", async () => {
  const log = await Log.open(memory(), "notes");
  log.useStrongViews(
    () => ({ expect: async () => undefined, apply: async () => undefined, save: async () => undefined }),
    async () => undefined,
  );
  let poisoned = false;
  log.useStrongViews(
    () => ({
      expect: async () => undefined,
      apply: async (_, events) => {
        poisoned ||= events.some((event) => event.data === '"poison"');
      },
      save: async () => {
        if (!poisoned) return;
        poisoned = false;
        throw new Error("cannot be saved");
      },
    }),
    async () => undefined,
  );
  const outcomes = await Promise.allSettled([
    log.append(request()),
    log.append(request({ events: [{ type: "a.b", data: "poison" }] })),
    log.append(request()),
  ]);
  expect(outcomes.map((outcome) => outcome.status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
});

test("a clock that jumps ahead makes no id forgotten, and a voided id is never forgotten", async () => {
  const clock = { now: Date.now() };
  const elapsed = { ms: 0 };
  const host: Host = { ...nodeHost(), disk: memoryDisk(), clock: { now: () => clock.now, elapsed: () => elapsed.ms } };
  const log = await Log.open(memory({ host }), "notes");
  const day = 24 * 3_600_000;
  await log.append(request({ id: { scope: "", id: "old" } }));
  await log.void({ scope: "", id: "voided" });
  clock.now += 30 * day;
  await log.append(request({ id: { scope: "", id: "new" } }));
  expect(await log.append(request({ id: { scope: "", id: "old" } }))).toMatchObject({ repeated: true });
  elapsed.ms += 60 * day;
  clock.now += 60 * day;
  for (let index = 0; index < 5; index++) await log.append(request({ id: { scope: "", id: `later-${index}` } }));
  expect(await log.append(request({ id: { scope: "", id: "old" } }))).toMatchObject({ repeated: false }); // forgotten by now
  await expect(log.append(request({ id: { scope: "", id: "voided" } }))).rejects.toMatchObject({ code: "id_voided" });
});

test("ids of two scopes never meet, whatever characters they hold", async () => {
  const log = await Log.open(memory(), "notes");
  await log.append(request({ id: { scope: "ann", id: "x:y" } }));
  await log.append(request({ id: { scope: "ann:x", id: "y" }, events: [{ type: "a.b", data: 2 }] }));
  expect(await log.append(request({ id: { scope: "ann", id: "x:y" } }))).toMatchObject({ repeated: true, lastVersion: 1 });
});

test("a listener that throws does not turn a durable append into a failure", async () => {
  const log = await Log.open(memory(), "notes");
  log.onAdvance(() => {
    throw new Error("listener");
  });
  expect(await log.append(request())).toMatchObject({ kind: "appended" });
});

test("canonical JSON is one for equal content, and refuses what JSON cannot hold", () => {
  expect(canonicalJson({ b: [1, { d: 1, c: undefined }], a: "x" })).toBe('{"a":"x","b":[1,{"d":1}]}');
  for (const value of [new Set([1]), new Map(), Number.NaN, 1n, Number.POSITIVE_INFINITY])
    expect(() => canonicalJson({ value })).toThrow(expect.objectContaining({ code: "invalid_input" }) as Error);
});

test("an epoch holds up to where the next one begins, also when more followed", () => {
  const epochs = [
    { id: "e1", first: position(1) },
    { id: "e2", first: position(31) },
    { id: "e3", first: position(61) },
  ];
  expect(forkAfter(epochs, "e1")).toBe(30);
  expect(inPresentHistory(epochs, "e1", position(30))).toBe(true);
  expect(inPresentHistory(epochs, "e1", position(50))).toBe(false);
  expect(inPresentHistory(epochs, "e3", position(500))).toBe(true);
  expect(inPresentHistory(epochs, "gone", position(1))).toBe(false);
});

test("a signature is the HMAC that RFC 2104 defines", () => {
  for (const key of ["k", "secret-key", "x".repeat(64)]) {
    const signer = new Signer(key);
    for (const text of ["", "orders.e1.70.1700000000000.abcd", "x".repeat(200)])
      expect(signer.sign(text)).toBe(createHmac("sha256", key).update(text).digest("base64url").slice(0, 16));
  }
});
