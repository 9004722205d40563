// `convergent view …` on a store file that a service has written, while nobody and while somebody has it open.
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { command, entity, type RunningService, service, view } from "convergent";
import { sqlite } from "convergent/sqlite";
import { expect, onTestFinished, test } from "vitest";
import { z } from "zod";

const thing = entity("thing", { initial: () => ({}), events: { added: z.object({ n: z.number() }) } })
  .evolve({ added: (state) => state })
  .commands({ add: command(z.object({ n: z.number() }), (_, input, emit) => emit.added(input)) });

const gate = { closed: false };

function sums(version: number) {
  return view("sums", {
    version,
    from: [thing],
    document: z.object({ sum: z.number() }),
    key: (event) => {
      if (version > 1 && gate.closed) throw new Error("held by the test");
      return event.entityId;
    },
  }).on({ "thing.added": (document, event) => ({ sum: (document?.sum ?? 0) + event.data.n }) });
}

const things = (version: number) => service("things", { parts: { thing, sums: sums(version) } });

function convergent(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const main = join(import.meta.dirname, "main.ts");
  return new Promise((resolve) => {
    execFile(process.execPath, ["--conditions=convergent-source", main, ...args], (error, out, err) =>
      resolve({ code: error ? Number(error.code) : 0, out, err }),
    );
  });
}

async function start(path: string, version: number): Promise<RunningService<ReturnType<typeof things>["parts"]>> {
  const running = await things(version).start({ store: sqlite(path) });
  onTestFinished(() => running.stop());
  return running;
}

test("a build is listed, cancelled, resumed and seen in place from the command line, while the server runs", async () => {
  const directory = mkdtempSync(join(tmpdir(), "convergent-views-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const path = join(directory, "things.db");
  const first = await start(path, 1);
  for (let n = 1; n <= 4; n++) await first.thing("a").add({ n });
  expect(await first.sums.get("a", { strong: true, wait: "10s" })).toMatchObject({ value: { sum: 10 } });
  await first.stop();
  gate.closed = true;
  const second = await start(path, 2);
  expect((await convergent("view", "list", "--store", path)).out).toMatch(
    /sums +1 +active +4 +4 +100%[\s\S]*sums +2 +building +0 +4 +0%[\s\S]*sums 2 does not move: the event behind position 0/,
  );
  expect(await convergent("view", "cancel", "sums", "--version", "2", "--store", path)).toMatchObject({ code: 0 });
  expect((await convergent("view", "list", "--store", path)).out).toMatch(
    /sums +2 +cancelled[\s\S]*to go on: convergent view rebuild sums/,
  );
  gate.closed = false;
  expect(await second.sums.get("a")).toMatchObject({ value: { sum: 10 }, asOf: 4 });
  expect(await convergent("view", "rebuild", "sums", "--store", path)).toMatchObject({
    code: 0,
    out: expect.stringContaining("version 2") as string,
  });
  await expect
    .poll(async () => (await convergent("view", "list", "--store", path)).out, { timeout: 20_000 })
    .toMatch(/sums +2 +active +4 +4 +100%/);
  const refused = await convergent("view", "cancel", "sums", "--version", "2", "--store", path);
  expect([refused.code, refused.err]).toEqual([1, expect.stringContaining("only a build can be cancelled")]);
  const unknown = await convergent("view", "rebuild", "totals", "--store", path);
  expect([unknown.code, unknown.err]).toEqual([1, expect.stringContaining("it holds sums")]);
}, 60_000);

test("rows of a view that no part names are reported at the start, kept, and dropped when asked", async () => {
  const directory = mkdtempSync(join(tmpdir(), "convergent-views-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const path = join(directory, "things.db");
  const first = await start(path, 1);
  await first.thing("a").add({ n: 1 });
  expect(await first.sums.get("a", { strong: true, wait: "10s" })).toMatchObject({ value: { sum: 1 } });
  await first.stop();
  const orphaned: unknown[] = [];
  const without = await service("things", { parts: { thing } }).start({ store: sqlite(path), onOrphaned: (one) => orphaned.push(one) });
  expect(orphaned).toEqual([{ service: "things", view: "sums", versions: [1] }]);
  await without.stop();
  expect((await convergent("view", "list", "--store", path)).out).toMatch(/sums +1 +active +1 +1/);
  expect((await convergent("view", "drop", "sums", "--store", path)).err).toContain("add --yes");
  expect(await convergent("view", "drop", "sums", "--store", path, "--yes")).toMatchObject({ code: 0 });
  expect((await convergent("view", "list", "--store", path)).out).toBe("no views\n");
  const again = await start(path, 1);
  expect(await again.sums.get("a", { strong: true, wait: "10s" })).toMatchObject({ value: { sum: 1 } });
}, 60_000);
