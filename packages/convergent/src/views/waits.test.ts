// How long a read waits: as long as it was given, whatever it names, and no longer than its service runs.
import { expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { command, entity } from "../entities/entity.ts";
import { nodeHost } from "../host-node/host.ts";
import type { StoreDriver } from "../log/store.ts";
import { accepted } from "../protocol/outcome.ts";
import type { Reader } from "../readers/reader.ts";
import { runtimeOf, type Running, service } from "../service/service.ts";
import { memoryDisk } from "../stores/memory/memory-disk.ts";
import { memory } from "../stores/memory/index.ts";
import { view } from "./view.ts";

const note = entity("note", { initial: () => ({}), events: { kept: z.object({ text: z.string() }) } })
  .evolve({ kept: (state) => state })
  .commands({ keep: command(z.object({ text: z.string() }), (_, input, emit) => emit.kept(input)) });

const first = view("notes", {
  version: 1,
  from: [note],
  document: z.object({ text: z.string() }),
  key: (event) => event.entityId,
  indexes: ["text"],
}).on({ "note.kept": (_, event) => ({ text: event.data.text }) });

/** A version that is never built. */
const second = view("notes", {
  version: 2,
  from: [note],
  document: z.object({ text: z.string(), length: z.number() }),
  key: () => {
    throw new Error("held by the test");
  },
  indexes: ["text"],
  replaces: { view: first, as: ({ text }) => ({ text, length: text.length }) },
}).on({ "note.kept": (_, event) => ({ text: event.data.text, length: event.data.text.length }) });

async function start(store: StoreDriver = memory()) {
  const running = await service("notes", { parts: { note, notes: first } }).start({ store });
  onTestFinished(() => running.stop());
  return running;
}

/** The view's reader, which applies nothing before it is resumed. */
async function paused(running: Running): Promise<Pick<Reader, "resume">> {
  const { reader } = runtimeOf(running).view("notes");
  reader.pause();
  await expect.poll(() => reader.state, { timeout: 2000 }).toBe("paused");
  return reader;
}

test("a read that would rather fail than be stale waits for the head at its arrival, although it names no level", async () => {
  const running = await start();
  const reader = await paused(running);
  await running.note("a").keep({ text: "one" });
  await expect(running.notes.get("a", { wait: "20ms", stale: "error" })).rejects.toMatchObject({ code: "not_fresh" });
  const waiting = [
    running.notes.get("a", { wait: "10s", stale: "error" }),
    running.notes.find({ text: "one" }, { wait: "10s", stale: "error" }),
  ];
  await runtimeOf(running).log.host.timers.sleep(50);
  expect(await running.notes.get("a", { wait: "10s" })).toMatchObject({ value: undefined, fresh: false }); // it takes what there is, at once
  reader.resume();
  expect(await Promise.all(waiting)).toMatchObject([
    { value: { text: "one" }, fresh: true, asOf: 1 },
    { value: [{ key: "a", value: { text: "one" } }], fresh: true, asOf: 1 },
  ]);
});

test("a read after a token waits for a reader that is beyond the horizon, and is not told at once that it is not fresh", async () => {
  const real = nodeHost();
  let leapMs = 0;
  const host = { ...real, disk: memoryDisk(), clock: { now: () => real.clock.now() + leapMs, elapsed: () => real.clock.elapsed() } };
  const running = await start(memory({ host }));
  const { token } = accepted(await running.note("a").keep({ text: "one" }));
  await running.notes.get("a", { after: token });
  const reader = await paused(running);
  await running.note("a").keep({ text: "two" });
  leapMs = 2 * 3_600_000;
  expect(await running.notes.get("a", { after: token, wait: "20ms" })).toMatchObject({ value: { text: "one" }, fresh: false, asOf: 1 });
  const waiting = running.notes.get("a", { after: token, wait: "10s" });
  await host.timers.sleep(50);
  reader.resume();
  expect(await waiting).toMatchObject({ value: { text: "two" }, fresh: true, asOf: 2 });
});

test("a service that stops while an older version answers ends what waits there, and holds up nothing else", async () => {
  const store = memory();
  const before = await start(store);
  await before.note("a").keep({ text: "one" });
  await before.stop();
  const running = await service("notes", { parts: { note, notes: second } }).start({ store });
  const { log, views } = runtimeOf(running);
  const previous = views.get("notes")?.rebuild.previous;
  previous?.pause();
  await expect.poll(() => previous?.state, { timeout: 2000 }).toBe("paused");
  await running.note("a").keep({ text: "two" });
  const waiting = running.notes.find({}, { strong: true, wait: "3s" }).catch((error: unknown) => error);
  await log.host.timers.sleep(20);
  const began = log.host.clock.elapsed();
  await running.stop();
  await waiting;
  expect(log.host.clock.elapsed() - began).toBeLessThan(2000);
});
