// Readers with different filters, on one log and on two of the same file, while everything happens that may: whatever they
// claim to hold is in their documents, each event once and in order, and once it is quiet they are soon at head.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { ConvergentError, isConvergentError } from "../errors/error.ts";
import type { StoredEvent } from "../log/event.ts";
import { Log } from "../log/log.ts";
import type { EventFilter } from "../log/source.ts";
import type { Store, StoreDriver } from "../log/store.ts";
import { comparePositions, origin, type Position } from "../position/position.ts";
import { memory } from "../stores/memory/index.ts";
import { sqlite } from "../stores/sqlite/index.ts";
import { Reader } from "./reader.ts";

const types = ["a", "b", "c", "d", "e", "f"].map((name) => `note.${name}`);
const streams = Array.from({ length: 9 }, (_, index) => `note/${index}`);
const stepsMax = 90;
/** Some hints are lost and found by polls; a reader that nothing wakes would take five seconds. */
const quietMs = 3_000;

/** Numbers from 0 (included) to `below` (excluded), the same for the same seed. */
type Draw = (below: number) => number;

function drawing(seed: number): Draw {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** One reader in one process; its documents are shared with those of the same name elsewhere. */
class Keeper {
  readonly name: string;
  readonly filter: EventFilter;
  readonly effects: Log;
  readonly #source: Log;
  readonly #draw: Draw;
  reader: Reader;
  /** What it remembers may be of rows that were deleted since. */
  wasReset = false;
  readonly #weather: Weather;

  constructor(of: { name: string; filter: EventFilter; source: Log; effects: Log; draw: Draw; weather: Weather }) {
    this.#weather = of.weather;
    this.name = of.name;
    this.filter = of.filter;
    this.effects = of.effects;
    this.#source = of.source;
    this.#draw = of.draw;
    this.reader = this.#begin();
  }

  wants({ type }: StoredEvent): boolean {
    return !this.filter.types || this.filter.types.includes(type) || this.filter.others?.(type) === true;
  }

  async restart(): Promise<void> {
    await this.reader.stop();
    this.wasReset = false;
    this.reader = this.#begin();
  }

  #begin(): Reader {
    const reader = new Reader<StoredEvent>({
      name: this.name,
      version: 1,
      source: this.#source,
      effects: this.effects,
      ...this.filter,
      slots: 4,
      derived: true,
      batchEvents: 16 + this.#draw(60),
      prepare: (event) => event,
      orderKey: "stream",
      apply: async (tx, events) => {
        if (!this.#weather.isCalm && this.#draw(12) === 0) throw new ConvergentError("unavailable", "not now");
        const texts = await tx.documents(this.name, 1, streams);
        if (!this.#weather.isCalm && this.#draw(4) === 0) await this.effects.host.timers.sleep(this.#draw(30) === 0 ? 200 : this.#draw(5));
        const all = new Map(streams.map((stream, index) => [stream, JSON.parse(texts[index] ?? "[]") as number[]]));
        for (const { stream, position } of events) all.get(stream)?.push(position);
        const changed = [...new Set(events.map(({ stream }) => stream))];
        await tx.saveDocuments(
          changed.map((key) => ({ view: this.name, version: 1, key, document: JSON.stringify(all.get(key)), indexes: [] })),
        );
        if (!this.#weather.isCalm && this.#draw(12) === 0) throw new ConvergentError("unavailable", "not now, either");
      },
    });
    reader.start();
    return reader;
  }

  /** What is wrong with its documents, or with what it says of them; undefined when nothing is. */
  async wrong(): Promise<string | undefined> {
    const { reader } = this;
    const claim = reader.claim();
    const believed = this.wasReset
      ? () => origin
      : (
          (places) => (key: string) =>
            places.get(key) ?? origin
        )(new Map(streams.map((key) => [key, reader.positionOf(key)])));
    const { texts, claimed } = await this.effects.snapshot(async (tx) => {
      const rows = await tx.checkpoints(reader.checkpointKey);
      return { texts: await tx.documents(this.name, 1, streams), claimed: streams.map((key) => claim(rows, key)) };
    });
    const events = await this.#source.snapshot(async (tx) =>
      tx.events({ after: origin, upTo: (await tx.head()).position, limit: Number.MAX_SAFE_INTEGER }),
    );
    for (const [index, stream] of streams.entries()) {
      const held = JSON.parse(texts[index] ?? "[]") as number[];
      const due = events.filter((event) => event.stream === stream && this.wants(event)).map(({ position }) => position);
      const is = JSON.stringify(held) === JSON.stringify(due.slice(0, held.length));
      if (!is) return `${this.name} holds of ${stream} ${held.join()} instead of ${due.join()}`;
      const next = due[held.length] ?? (Infinity as Position);
      for (const said of [claimed[index] as Position, believed(stream)])
        if (comparePositions(said, next) >= 0) return `${this.name} says ${said} of ${stream} and lacks ${next}`;
    }
    return undefined;
  }
}

/** Whether things go wrong for the time being. */
interface Weather {
  isCalm: boolean;
}

/** A store that loses every other hint of other processes, and now and then the answer to a commit of derived rows. */
function flaky(driver: StoreDriver, draw: Draw, weather: Weather): StoreDriver {
  return {
    host: driver.host,
    open: async (options) => {
      const store = await driver.open(options);
      const write: Store["write"] = async (body, how = {}) => {
        const value = await store.write(body, how);
        if (how.derived && !weather.isCalm && draw(25) === 0) throw new ConvergentError("outcome_unknown", "the answer was lost");
        return value;
      };
      const onCommit: Store["onCommit"] = (listener) => store.onCommit((by) => (by === "us" || draw(2) === 0) && listener(by));
      return new Proxy(store, {
        get: (target, name) => {
          if (name === "write") return write;
          if (name === "onCommit") return onCommit;
          const value: unknown = Reflect.get(target, name, target);
          return typeof value === "function" ? (value as (...given: unknown[]) => unknown).bind(target) : value;
        },
      });
    },
  };
}

async function openLogs(kind: "memory" | "sqlite", draw: Draw, weather: Weather): Promise<{ logs: readonly Log[]; other: Log }> {
  const open = (driver: StoreDriver, name: string): Promise<Log> => Log.open(flaky(driver, draw, weather), name);
  const limit = { transactionLimitMs: 150 };
  const directory = mkdtempSync(join(tmpdir(), "convergent-stress-"));
  const file = join(directory, "notes.db");
  const logs =
    kind === "memory"
      ? [await open(memory(limit), "notes")]
      : [await open(sqlite(file, limit), "notes"), await open(sqlite(file, limit), "notes")];
  const other = await open(memory(limit), "other");
  onTestFinished(async () => {
    await Promise.all([...logs, other].map((log) => log.close()));
    rmSync(directory, { recursive: true, force: true });
  });
  return { logs, other };
}

function filterOf(draw: Draw): EventFilter {
  const some = types.filter(() => draw(2) === 0);
  const isOther = (type: string): boolean => type === "note.f";
  return [{}, { types: some }, { types: some.slice(0, 1) }, { types: some.slice(1), others: isOther }][draw(4)] as EventFilter;
}

async function append(log: Log, draw: Draw, count: number): Promise<void> {
  const events = Array.from({ length: count }, () => ({ type: types[draw(draw(30) === 0 ? 6 : 4)] as string, data: {} }));
  await log.append({ stream: streams[draw(streams.length)] as string, expected: "any", events });
}

async function steal(keeper: Keeper, draw: Draw): Promise<void> {
  await keeper.effects.transact(
    async (tx) => {
      const leases = (await tx.ownership.leases(keeper.reader.checkpointKey)).filter(() => draw(2) === 0);
      await tx.ownership.saveLeases(leases.map((lease) => ({ ...lease, owner: "", fence: lease.fence + 1 })));
    },
    { derived: true },
  );
}

const runs = [0, 1].flatMap((seed) => (["memory", "sqlite"] as const).map((kind) => ({ kind, seed })));

test.each(runs)("readers hold what they claim, and are soon at head: $kind, seed $seed", async ({ kind, seed }) => {
  const draw = drawing(seed + 100);
  const weather: Weather = { isCalm: false };
  const { logs, other } = await openLogs(kind, draw, weather);
  const keepers: Keeper[] = [];
  for (let index = 0; index < 5; index++) {
    const [name, filter] = [`reader-${index}`, filterOf(draw)];
    for (const log of logs)
      if (log === logs[0] || draw(3) > 0) keepers.push(new Keeper({ name, filter, source: log, effects: log, draw, weather }));
  }
  keepers.push(new Keeper({ name: "far", filter: filterOf(draw), source: logs[0] as Log, effects: other, draw, weather }));
  onTestFinished(async () => void (await Promise.all(keepers.map(({ reader }) => reader.stop()))));
  const one = (): Keeper => keepers[draw(keepers.length)] as Keeper;
  const log = (): Log => logs[draw(logs.length)] as Log;
  const acts: ReadonlyArray<() => unknown> = [
    () => append(log(), draw, 1 + draw(4)),
    () => Promise.all([append(log(), draw, 1 + draw(4)), append(log(), draw, 1 + draw(4))]),
    () => append(log(), draw, draw(12) === 0 ? 4_500 : 1 + draw(draw(4) === 0 ? 400 : 40)),
    () => one().reader.pause(),
    () => one().reader.resume(),
    () => one().reader.resume(),
    () => draw(4) === 0 && one().restart(),
    () => steal(one(), draw),
    async () => {
      const { name, effects } = one();
      if (draw(3) > 0 || name === "far") return;
      for (const keeper of keepers) if (keeper.name === name) keeper.wasReset = true;
      await effects.transact((tx) => tx.dropView(name, 1), { derived: true });
    },
    () => log().host.timers.sleep(draw(20)),
    () => log().host.timers.turn(),
  ];
  for (let step = 0; step < stepsMax; step++) {
    const under = Promise.resolve(acts[draw(acts.length)]?.()).catch((error: unknown) => {
      if (!isConvergentError(error, "outcome_unknown")) throw error;
    });
    if (draw(2) === 0) await under;
    expect(await one().wrong()).toBe(undefined);
    await under;
  }
  weather.isCalm = true;
  for (const { reader } of keepers) reader.resume();
  const { position } = await (logs[0] as Log).head();
  for (const { reader } of keepers) expect([reader.name, await reader.waitFor(position, 20_000)]).toEqual([reader.name, true]);
  for (let index = 0; index < 3; index++) await append(log(), draw, 1);
  const last = await (logs[0] as Log).head();
  const quietAt = performance.now();
  for (const { reader } of keepers) expect(await reader.waitFor(last.position, 10_000)).toBe(true);
  expect(performance.now() - quietAt).toBeLessThan(quietMs);
  for (const keeper of keepers) {
    expect(await keeper.wrong()).toBe(undefined);
    expect(comparePositions(keeper.reader.position, last.position)).toBe(0);
  }
});
