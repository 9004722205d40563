import { expect, test } from "vitest";
import { nodeHost } from "../host-node/host.ts";
import type { StoredEvent } from "../log/event.ts";
import { Log } from "../log/log.ts";
import { position } from "../position/position.ts";
import { memory } from "../stores/memory/index.ts";
import { Histogram } from "./histogram.ts";
import { Reader } from "./reader.ts";
import type { ReaderOptions } from "./reader-options.ts";

async function openLog(): Promise<Log> {
  return Log.open(memory(), "notes");
}

async function write(log: Log, count: number, type = "note.written"): Promise<void> {
  await Promise.all(
    Array.from({ length: count }, (_, index) =>
      log.append({ stream: `note/${index % 7}`, expected: "any", events: [{ type, data: index }] }),
    ),
  );
}

function readerOf(log: Log, applied: number[], options: Partial<ReaderOptions<StoredEvent>> = {}): Reader {
  return new Reader({
    name: "copy",
    version: 1,
    source: log,
    effects: log,
    prepare: (event) => event,
    orderKey: (event) => event.stream,
    apply: async (_, events) => {
      for (const event of events) applied.push(event.position);
    },
    ...options,
  });
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);

test("a reader applies every event once and in order, those from before its start and those after", async () => {
  const log = await openLog();
  await write(log, 30);
  const applied: number[] = [];
  const reader = readerOf(log, applied, { batchEvents: 7 });
  reader.start();
  await write(log, 30);
  expect(await reader.waitFor(position(60), 5000)).toBe(true);
  expect(applied).toEqual(upTo(60));
  await reader.stop();
});

test("a reader that is started again goes on where its checkpoint stands", async () => {
  const log = await openLog();
  await write(log, 10);
  const applied: number[] = [];
  const first = readerOf(log, applied);
  first.start();
  await first.waitFor(position(10), 5000);
  await first.stop();
  await write(log, 10);
  const second = readerOf(log, applied);
  second.start();
  await second.waitFor(position(20), 5000);
  expect(applied).toEqual(upTo(20));
  await second.stop();
});

test("a reader that has not taken its slots over yet claims what the rows of a snapshot say, and not the origin", async () => {
  const log = await openLog();
  await write(log, 10);
  const first = readerOf(log, []);
  first.start();
  await first.waitFor(position(10), 5000);
  await first.stop();
  const claim = readerOf(log, []).claim();
  const rows = await log.snapshot((tx) => tx.checkpoints(first.checkpointKey));
  expect(claim(rows)).toBe(10);
  expect(claim(rows, "note/3")).toBe(10);
});

test("of two readers with one name each event's effect is committed by one of them only", async () => {
  const log = await openLog();
  const slow = async (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1));
  const save = (name: string): Partial<ReaderOptions<StoredEvent>> => ({
    batchEvents: 3,
    apply: async (tx, events) => {
      await slow();
      // An effect in the same transaction: counts how often each event was committed.
      for (const event of events) {
        const [known] = await tx.documents("effects", 1, [String(event.position)]);
        await tx.saveDocuments([
          {
            view: "effects",
            version: 1,
            key: String(event.position),
            document: JSON.stringify([...(known ? (JSON.parse(known) as string[]) : []), name]),
            indexes: [],
          },
        ]);
      }
    },
  });
  const one = readerOf(log, [], save("one"));
  const two = readerOf(log, [], save("two"));
  one.start();
  two.start();
  await write(log, 60);
  expect(await one.waitFor(position(60), 5000)).toBe(true);
  expect(await two.waitFor(position(60), 5000)).toBe(true);
  const effects = await log.snapshot((tx) => tx.documents("effects", 1, upTo(60).map(String)));
  for (const effect of effects) expect(JSON.parse(effect ?? "[]")).toHaveLength(1);
  await Promise.all([one.stop(), two.stop()]);
});

test("an event that fails is set aside with its order key, the rest goes on, and its key is applied in order once it succeeds", async () => {
  const log = await openLog();
  await write(log, 10);
  const applied: number[] = [];
  let broken = true;
  const reader = readerOf(log, applied, {
    apply: async (_, events) => {
      if (broken && events.some((event) => event.position === 2)) throw new Error("cannot apply 2");
      for (const event of events) applied.push(event.position);
    },
  });
  reader.start();
  expect(await reader.waitFor(position(10), 5000)).toBe(true);
  // 2 and 9 are of one stream.
  expect((await reader.status()).parked).toMatchObject({
    keys: 1,
    events: 2,
    first: [{ key: "note/1", position: 2, error: "cannot apply 2" }],
  });
  await write(log, 7);
  expect(await reader.waitFor(position(17), 5000)).toBe(true);
  expect(applied).toEqual(upTo(17).filter((at) => ![2, 9, 12].includes(at)));
  broken = false;
  await expect.poll(async () => (await reader.status()).parked.events, { timeout: 10_000 }).toBe(0);
  expect(applied.slice(-3)).toEqual([2, 9, 12]);
  expect([...applied].sort((a, b) => a - b)).toEqual(upTo(17));
  expect((await reader.status()).failure).toBeUndefined();
  await reader.stop();
});

test("an event whose order key cannot be computed stops the reader, which says which event", async () => {
  const log = await openLog();
  await write(log, 5);
  const applied: number[] = [];
  let broken = true;
  const reader = readerOf(log, applied, {
    orderKey: (event) => {
      if (broken && event.position === 3) throw new Error("no key");
      return event.stream;
    },
  });
  reader.start();
  await expect.poll(() => reader.state).toBe("stuck");
  expect((await reader.status()).failure).toMatchObject({ message: "no key", event: { position: 3 } });
  expect(reader.position).toBeLessThan(3);
  broken = false;
  expect(await reader.waitFor(position(5), 5000)).toBe(true);
  expect(applied).toEqual(upTo(5));
  await reader.stop();
});

test("a reader of some types passes the others without writing, and is fresh past them", async () => {
  const log = await openLog();
  const applied: number[] = [];
  const reader = readerOf(log, applied, { types: ["note.burnt"] });
  reader.start();
  await write(log, 20);
  await write(log, 1, "note.burnt");
  await write(log, 20);
  expect(await reader.waitFor(position(41), 5000)).toBe(true);
  expect(applied).toEqual([21]);
  const rows = await log.snapshot((tx) => tx.checkpoints(reader.checkpointKey));
  expect(rows.filter((row) => row.position >= 21 && row.position < 41)).toHaveLength(1);
  expect(rows.every((row) => row.position < 41)).toBe(true);
  await reader.stop();
  const written = await log.snapshot((tx) => tx.checkpoints(reader.checkpointKey));
  expect(written.every((row) => row.position === 41)).toBe(true);
});

test("a paused reader stands still and says so; resumed, it catches up", async () => {
  const log = await openLog();
  const reader = readerOf(log, []);
  reader.start();
  reader.pause();
  await expect.poll(() => reader.state, { timeout: 2000 }).toBe("paused");
  await write(log, 5);
  expect(await reader.waitFor(position(5), 50)).toBe(false);
  expect((await reader.status()).lag.positions).toBe(5);
  reader.resume();
  expect(await reader.waitFor(position(5), 5000)).toBe(true);
  await reader.stop();
});

test("a lost wake-up is made good by polling", async () => {
  const log = await openLog();
  const deaf = Object.assign(Object.create(log) as Log, {
    onAdvance: () => () => undefined,
    read: log.read.bind(log),
    head: log.head.bind(log),
    seen: log.seen.bind(log),
  });
  Object.defineProperty(deaf, "epochs", { get: () => log.epochs });
  const reader = readerOf(log, [], { source: deaf });
  reader.start();
  await expect.poll(() => reader.state).toBe("idle");
  await write(log, 3);
  expect(await reader.waitFor(position(3), 5000)).toBe(true);
  await reader.stop();
});

test("a reader can begin at head or at a position", async () => {
  const log = await openLog();
  await write(log, 10);
  const fromHead: number[] = [];
  const fromSeven: number[] = [];
  const one = readerOf(log, fromHead, { name: "one", from: "head" });
  const two = readerOf(log, fromSeven, { name: "two", from: position(7) });
  one.start();
  two.start();
  await one.waitFor(position(10), 5000);
  await write(log, 2);
  await one.waitFor(position(12), 5000);
  await two.waitFor(position(12), 5000);
  expect(fromHead).toEqual([11, 12]);
  expect(fromSeven).toEqual([8, 9, 10, 11, 12]);
  await Promise.all([one.stop(), two.stop()]);
});

test("a reader whose checkpoint lies above head of its source stops and says that the log was restored", async () => {
  const log = await openLog();
  await write(log, 3);
  await log.transact(async (tx) =>
    tx.saveCheckpoints([
      {
        reader: "copy",
        version: 1,
        source: "notes",
        slot: 0,
        epoch: log.epoch.id,
        position: position(9),
        reached: position(9),
        seen: "{}",
        check: "",
      },
    ]),
  );
  const reader = readerOf(log, []);
  reader.start();
  await expect.poll(() => reader.state).toBe("stuck");
  expect((await reader.status()).failure?.message).toContain("restored");
  await reader.stop();
});

test("a wait that is cancelled ends at once, and stop ends the loop", async () => {
  const log = await openLog();
  const reader = readerOf(log, []);
  reader.start();
  const cancel = new AbortController();
  const waiting = reader.waitFor(position(1), 60_000, { signal: cancel.signal });
  cancel.abort();
  expect(await waiting).toBe(false);
  await reader.stop();
  expect(reader.state).toBe("stopped");
});

test("percentiles are within a bucket of the true ones", () => {
  const histogram = new Histogram();
  expect(histogram.percentiles()).toBeUndefined();
  for (let ms = 1; ms <= 1000; ms++) histogram.record(ms);
  const { p50, p99, count } = histogram.percentiles() ?? { p50: 0, p99: 0, count: 0 };
  expect(count).toBe(1000);
  expect(p50).toBeGreaterThanOrEqual(500);
  expect(p50).toBeLessThan(500 * 1.09);
  expect(p99).toBeGreaterThanOrEqual(990);
  expect(p99).toBeLessThan(990 * 1.09);
});

test("the real host makes ids that do not repeat", () => {
  const host = nodeHost();
  const ids = Array.from({ length: 5000 }, () => host.random.id());
  expect(new Set(ids).size).toBe(5000);
  for (const id of ids) expect(id).toMatch(/^[a-z2-7]{26}$/);
});

test("stopping a reader answers everybody who waits for it", async () => {
  const log = await openLog();
  const reader = readerOf(log, []);
  reader.start();
  const waiting = reader.waitFor(position(1), 60_000);
  await reader.stop();
  expect(await waiting).toBe(false);
});

test("a reader started inside a write transaction works once that is over", async () => {
  const log = await openLog();
  const reader = readerOf(log, []);
  await log.transact(async () => reader.start());
  await write(log, 3);
  expect(await reader.waitFor(position(3), 5000)).toBe(true);
  await reader.stop();
});

test("a new version that inherits goes on where the old one stands; one that does not begins anew", async () => {
  const log = await openLog();
  await write(log, 5);
  const old = readerOf(log, []);
  old.start();
  await old.waitFor(position(5), 5000);
  await old.stop();
  await write(log, 2);
  for (const [inherits, expected] of [
    [true, [6, 7]],
    [false, upTo(7)],
  ] as const) {
    const applied: number[] = [];
    const next = readerOf(log, applied, { version: inherits ? 2 : 3, inherits });
    next.start();
    await next.waitFor(position(7), 5000);
    await next.stop();
    expect(applied).toEqual(expected);
  }
});
