// Rebuilds that are killed: a process that builds a new version of a view is killed at each step of it. Whoever starts next finishes:
// one version is active, its documents are a fresh fold of the log, and nothing of the older version is left.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type CrashPoint, crashPoints, runtimeOf, viewVersions } from "convergent";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { type Notes, startNotes, version1, version2 } from "./rebuild-service.ts";
import { newPlace, storeKinds } from "./store-kinds.ts";

const points = crashPoints.filter((point) => point.startsWith("rebuild."));

/** A range of positions, and so much more that it cannot be left to the swap's own verification. */
const events = 13_000;
/** So many documents that a version is deleted in several steps. */
const notes = 1_200;

const reached = new Set<string>();

describe.each(storeKinds)("$name", (store) => {
  const kind = store.name;
  const seeded = mkdtempSync(join(tmpdir(), "convergent-rebuild-"));
  beforeAll(() => seed(kind, seeded), 60_000);
  afterAll(() => rmSync(seeded, { recursive: true, force: true }));

  test.each(points)("a rebuild that is killed at %s is finished by the next start, and leaves nothing behind", async (point) => {
    const place = newPlace();
    await store.duplicate(seeded, place);
    await killed(kind, place, point);
    const answers: unknown[] = [];
    const running = await startNotes({ kind, place, notes: version2 });
    onTestFinished(() => running.stop());
    answers.push((await running.positions.get("n-1")).value?.positions.length);
    expect(answers).toEqual([Math.ceil((events - 1) / notes)]); // by whichever version answers
    const { log } = runtimeOf(running);
    const versions = (): Promise<unknown> =>
      log.snapshot(async (tx) => (await viewVersions(tx, log.store)).map(({ version, state }) => `${version} ${state}`));
    await expect.poll(versions, { timeout: 25_000 }).toEqual(["2 active"]);
    await checkFold(running);
    const left = await log.snapshot(async (tx) => [
      await tx.find({ view: "positions", version: 1, field: "last", where: [], descending: false, limit: 1 }),
      (await tx.checkpoints()).filter((row) => row.version === 1),
      await tx.consumed("positions", 1),
    ]);
    expect(left).toEqual([[], [], []]);
  });
});

test("every crash point of a rebuild was hit", () => {
  expect([...reached].sort()).toEqual([...points].sort());
});

async function seed(kind: string, place: string): Promise<void> {
  const running = await startNotes({ kind, place, notes: version1 });
  const { log } = runtimeOf(running);
  const perAppend = 200;
  for (let first = 0; first < events; first += perAppend) {
    const streams = Map.groupBy(
      Array.from({ length: perAppend }, (_, index) => first + index),
      (index) => index % notes,
    );
    const appends = [...streams].map(([note, some]) =>
      log.append({
        stream: `note/n-${note}`,
        expected: "any",
        events: some.map((index) => ({ type: "note.written", data: { text: `${index}` } })),
      }),
    );
    await Promise.all(appends);
  }
  expect(await runtimeOf(running).view("positions").waitFor(log.headKnown.position, 25_000)).toBe(true);
  await running.stop();
}

function killed(kind: string, place: string, point: CrashPoint): Promise<void> {
  const orders = { kind, place, crash: { point, hit: 1 } };
  const program = join(import.meta.dirname, "rebuild-process.ts");
  const child = spawn(process.execPath, ["--conditions=convergent-source", program, JSON.stringify(orders)], { stdio: "pipe" });
  onTestFinished(() => void child.kill("SIGKILL"));
  let out = "";
  child.stdout.on("data", (text: Buffer) => (out += text.toString()));
  child.stderr.on("data", (text: Buffer) => (out += text.toString()));
  return new Promise((resolve, reject) => {
    child.on("close", (_, signal) => {
      if (signal !== "SIGKILL" || !out.includes(`{"reached":"${point}"}`)) return reject(new Error(`not killed at ${point}: ${out}`));
      reached.add(point);
      resolve();
    });
  });
}

async function checkFold(running: Awaited<ReturnType<Notes["start"]>>): Promise<void> {
  const { log } = runtimeOf(running);
  const folded = new Map<string, number[]>();
  const all = await log.snapshot((tx) => tx.events({ after: 0 as never, upTo: events as never, limit: events, types: ["note.written"] }));
  expect(all).toHaveLength(events);
  for (const { stream, position } of all) folded.set(stream.slice(5), [...(folded.get(stream.slice(5)) ?? []), position]);
  expect(await running.positions.count({}, { strong: true, wait: "20s" })).toMatchObject({ value: notes, fresh: true, asOf: events });
  const keys = [...folded.keys()];
  const texts = await log.snapshot((tx) => tx.documents("positions", 2, keys));
  expect(texts.map((text) => (JSON.parse(text ?? "{}") as { positions: unknown }).positions)).toEqual([...folded.values()]);
}
