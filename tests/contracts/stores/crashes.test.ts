// Crashes: a process that appends and keeps a view is killed at each named point, at its first hits and at later ones. Whatever
// it had acknowledged is there, once; whatever it had not told takes effect once when it is sent again; the view is the fold of the log.
import { type CrashPoint, crashPoints, type Log } from "convergent";
import { describe, expect, test } from "vitest";
import { allEvents, appended, positionOf, soundEvents } from "./log-questions.ts";
import { startWriter, type Writer } from "./start-writer.ts";
import { newPlace, openLog, type StoreKind, storeKinds } from "./store-kinds.ts";
import { idOf, requestOf, requestsOf, tally, tallyReader, type Workload } from "./workload.ts";

/** At which visits of a point the process dies, one after another on the same store. */
const hits = [1, 2, 5];

/** The points on the way of appends and batches; those of other ways are reached, and checked, where these are tested. */
const points = crashPoints.filter((point) => /^(?:append|reader)\./.test(point));
/** Between statements of one batch. */
const withinBatches: readonly CrashPoint[] = ["append.admitted", "append.inserted"];
const elsewhere: Readonly<Record<string, string>> = {
  lease: "readers/takeover.test.ts",
  rebuild: "rebuild-crashes.test.ts",
  archive: "stores/sqlite/archive.test.ts",
  forget: "forgetting",
};

const reached = new Set<string>();

describe.each(storeKinds)("$name", (kind) => {
  test.each(points.filter((point) => !kind.decidesBatches || !withinBatches.includes(point)))(
    "a process that is killed at %s loses nothing it acknowledged and repeats nothing",
    async (point) => {
      const place = newPlace();
      let before = 0;
      for (const hit of hits) {
        const load: Workload = { name: `killed-${hit}`, writers: 8, turns: 8 };
        const writer = await killed(kind, place, load, { point, hit });
        const log = await openLog(kind, place);
        await checkAcknowledged(log, writer);
        await checkRetries(log, load, writer);
        before += requestsOf(load).flatMap((request) => request.events).length;
        expect(await soundEvents(log)).toHaveLength(before);
        await checkTally(log);
        await log.close();
      }
    },
  );
});

test("every listed crash point was hit", () => {
  expect([...reached].sort()).toEqual([...points].sort());
  for (const point of crashPoints) if (!points.includes(point)) expect(Object.keys(elsewhere)).toContain(point.split(".")[0]);
});

async function killed(kind: StoreKind, place: string, load: Workload, crash: { point: CrashPoint; hit: number }): Promise<Writer> {
  const writer = startWriter({ kind: kind.name, place, load, reads: true, crash });
  expect(await writer.ended).toEqual({ code: null, signal: "SIGKILL", complaint: "" });
  expect(writer.reached).toEqual([crash.point]);
  reached.add(crash.point);
  return writer;
}

async function checkAcknowledged(log: Log, writer: Writer): Promise<void> {
  const events = await allEvents(log);
  for (const { id, position } of writer.acknowledged) expect(events[position - 1]?.data).toContain(`"${id} `);
  const contents = events.map((event) => event.data);
  expect(new Set(contents).size).toBe(contents.length);
}

async function checkRetries(log: Log, load: Workload, writer: Writer): Promise<void> {
  const told = new Map(writer.acknowledged.map((line) => [line.id, line]));
  for (let turn = 0; turn < load.turns; turn++) {
    const retries = Array.from({ length: load.writers }, async (_, index) => {
      const outcome = appended(await log.append(requestOf(load, index, turn)));
      const first = told.get(idOf(load, index, turn));
      if (first) expect(outcome).toMatchObject({ repeated: true, firstVersion: first.firstVersion });
      if (first) expect(positionOf(outcome)).toBe(first.position);
    });
    await Promise.all(retries);
  }
  const contents = (await allEvents(log)).map((event) => event.data);
  for (const request of requestsOf(load))
    for (const event of request.events) expect(contents.filter((data) => data === JSON.stringify(event.data))).toHaveLength(1);
}

async function checkTally(log: Log): Promise<void> {
  const reader = tallyReader(log);
  reader.start();
  expect(await reader.waitFor(log.headKnown.position, 20_000)).toBe(true);
  await reader.stop();
  const positions = new Map<string, number[]>();
  for (const event of await allEvents(log)) positions.set(event.stream, [...(positions.get(event.stream) ?? []), event.position]);
  const streams = [...positions.keys()];
  const texts = await log.snapshot((tx) => tx.documents(tally.view, tally.version, streams));
  expect(texts).toEqual(streams.map((stream) => JSON.stringify(positions.get(stream))));
}
