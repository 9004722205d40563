import { expect, test } from "vitest";
import { Log } from "../log/log.ts";
import type { LogSource } from "../log/source.ts";
import type { ReadTransaction } from "../log/store.ts";
import { position } from "../position/position.ts";
import { memory } from "../stores/memory/index.ts";
import { Pages } from "./pages.ts";
import type { ReaderOptions } from "./reader-options.ts";

/** Pages of a log of 30 events, and what was asked of it. */
async function pagesOf({ isDistant = true, derived = true } = {}) {
  const log = await Log.open(memory(), "notes");
  for (let count = 0; count < 30; count++)
    await log.append({ stream: "note/1", expected: "any", events: [{ type: "note.written", data: count }] });
  const asked: string[] = [];
  const prepared: number[] = [];
  const failing = { next: false };
  const source = new Proxy<LogSource>(log, {
    get: (target, name) => {
      if (name !== "read") return Reflect.get(target, name) as unknown;
      return async (query: Parameters<LogSource["read"]>[0]) => {
        asked.push(`${query.after}+${query.limit}`);
        if (failing.next) throw new Error("the connection is gone");
        return target.read(query);
      };
    },
  });
  const options: ReaderOptions<number> = {
    name: "copy",
    version: 1,
    source,
    effects: log,
    derived,
    prepare: (event) => {
      prepared.push(event.position);
      return event.position;
    },
    orderKey: "stream",
    apply: async () => undefined,
  };
  const pages = new Pages(options, {});
  pages.learnFrom({ isDistant } as ReadTransaction);
  const read = async (after: number, limit = 10): Promise<number[]> =>
    (await pages.read({ after: position(after), limit })).events.map((event) => pages.prepare(event));
  const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));
  return { log, pages, read, asked, prepared, failing, settled };
}

const upTo = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, index) => from + index + 1);

test("of a store elsewhere the next page is asked for, and prepared once, before it is wanted; behind head nothing is", async () => {
  const { read, asked, prepared, settled } = await pagesOf();
  expect(await read(0)).toEqual(upTo(0, 10));
  await settled();
  expect(asked).toEqual(["0+10", "10+10"]);
  expect(prepared).toEqual(upTo(0, 20));
  expect(await read(10)).toEqual(upTo(10, 20));
  expect(await read(20)).toEqual(upTo(20, 30));
  await settled();
  expect(asked).toEqual(["0+10", "10+10", "20+10"]);
  expect(prepared).toEqual(upTo(0, 30));
});

test("of a store in this process nothing is asked for early", async () => {
  const { read, asked, settled } = await pagesOf({ isDistant: false });
  expect(await read(0)).toEqual(upTo(0, 10));
  await settled();
  expect(asked).toEqual(["0+10"]);
});

test("a page is not used by a reader that went back or reads fewer events now (R1)", async () => {
  const { read, asked } = await pagesOf();
  await read(0);
  expect(await read(5)).toEqual(upTo(5, 15));
  expect(await read(15, 3)).toEqual(upTo(15, 18));
  expect(asked).toEqual(["0+10", "10+10", "5+10", "15+10", "15+3", "18+3"]);
});

test("a reader that is far behind a store elsewhere reads twice as many events at a time, until it is near", async () => {
  const { log, pages, read } = await pagesOf();
  const near = pages.eventsMax;
  log.read = async ({ after, limit }) => ({ events: [], scanned: position(after + limit), head: { position: position(20_000), at: 0 } });
  await read(0);
  expect(pages.eventsMax).toBe(2 * near);
  await read(15_000);
  expect(pages.eventsMax).toBe(near);
});

test("a page that was asked for when fewer events were to be read is used nevertheless", async () => {
  const { read, asked } = await pagesOf();
  await read(0, 5);
  expect(await read(5, 10)).toEqual(upTo(5, 10));
  expect(asked).toEqual(["0+5", "5+5", "10+10"]);
});

test("a page that was asked for before its events could be read is asked for again", async () => {
  const { log, read, settled } = await pagesOf();
  const reading = log.read.bind(log);
  log.read = async ({ after }) => ({ events: [], scanned: after, head: await log.head() });
  expect(await read(0)).toEqual([]);
  await settled();
  log.read = reading;
  expect(await read(0)).toEqual(upTo(0, 10));
});

test("a page that could not be read early is asked for again, and its failure is told then", async () => {
  const { read, failing, settled } = await pagesOf();
  const first = read(0);
  failing.next = true;
  await first.catch(() => undefined);
  await settled();
  await expect(read(10)).rejects.toThrow("the connection is gone");
  failing.next = false;
  expect(await read(10)).toEqual(upTo(10, 20));
});

test("events whose effects are no derived rows are prepared when they are applied, and not before", async () => {
  const { read, prepared, settled } = await pagesOf({ derived: false });
  await read(0);
  await settled();
  expect(prepared).toEqual(upTo(0, 10));
});
