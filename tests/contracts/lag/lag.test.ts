// The development switch `lag`: real readers of a real store, late by a random time, with batches repeated and reordered where that
// is allowed. What readers promise (R1, R2) holds all the same.
import {
  accepted,
  type AnyParts,
  command,
  entity,
  giveUp,
  inProcess,
  reaction,
  readerNames,
  type Running,
  runtimeOf,
  service,
  type Service,
  type StartOptions,
  view,
} from "convergent";
import { describe, expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { codeOf } from "../stores/log-questions.ts";
import { newPlace, storeKinds } from "../stores/store-kinds.ts";

const Added = z.object({ n: z.number() });
const note = entity("note", { initial: () => 0, events: { added: Added } })
  .evolve({ added: (count) => count + 1 })
  .commands({ add: command(Added, (_, input, emit) => emit.added(input)) });
const copy = entity("copy", { initial: () => [] as number[], events: { made: Added } })
  .evolve({ made: (all, { n }) => [...all, n] })
  .commands({ make: command(Added, (_, input, emit) => emit.made(input)) });

/** What a view was given, in the order it was given. */
function listing(given: (key: string, n: number) => void = () => undefined) {
  return view("listing", { from: [note], document: z.array(z.number()), key: (event) => event.entityId }).on({
    "note.added": (document, { entityId, data: { n } }) => {
      given(entityId, n);
      return [...(document ?? []), n];
    },
  });
}

const copying = reaction("copying", { from: [note], to: { copy } }).on({
  "note.added": ({ entityId, data }, { commands }) => commands.copy(entityId).make(data),
});
const totals = view("totals", {
  from: [note],
  document: z.object({ n: z.number() }),
  key: (event) => event.entityId,
  consistency: "strong",
}).on({ "note.added": (_, { data }) => data });

describe.each(storeKinds)("$name", (kind) => {
  async function started<Parts extends AnyParts>(
    definition: Service<Parts>,
    lag: StartOptions["lag"],
    options: Partial<StartOptions> & { readonly place?: string } = {},
  ) {
    const { place = newPlace(), ...others } = options;
    const running = await definition.start({ store: kind.driver(place), ...(lag ? { lag } : {}), ...others });
    onTestFinished(() => running.stop());
    return running;
  }

  test("a reader is late by no less and not much more than the range says, and tells so all the while", async () => {
    const running = await started(service("notes", { parts: { note, listing: listing() } }), { listing: "1s..1500ms" });
    const writtenAt = performance.now();
    const { token } = accepted(await running.note("a").add({ n: 1 }));
    const early = await running.listing.get("a", { after: token, wait: "100ms" });
    expect(early).toMatchObject({ value: undefined, fresh: false, behind: { positions: 1 } });
    const [reader] = runtimeOf(running).readers();
    expect(await reader?.status()).toMatchObject({ state: "idle", head: 1, position: 0, failure: undefined });
    const { value, fresh } = await running.listing.get("a", { after: token, wait: "5s" });
    expect({ value, fresh }).toEqual({ value: [1], fresh: true });
    const lateMs = performance.now() - writtenAt;
    expect(lateMs).toBeGreaterThan(990);
    expect(lateMs).toBeLessThan(4_000);
  });

  test("batches are given again and across documents in another order; each document has every event once, in its order", async () => {
    const calls: Array<readonly [string, number]> = [];
    const definition = service("notes", { parts: { note, listing: listing((key, n) => calls.push([key, n])) } });
    const running = await started(definition, { listing: "5ms..40ms" });
    const keys = ["a", "b", "c", "d", "e"];
    let token = "";
    for (let n = 1; n <= 40; n++) {
      const outcomes = await Promise.all(keys.map((key) => running.note(key).add({ n })));
      token = String(accepted(outcomes.at(-1)!).token);
    }
    for (const key of keys) {
      const { value } = await running.listing.get(key, { after: token, wait: "20s" });
      expect(value).toEqual(Array.from({ length: 40 }, (_, index) => index + 1));
    }
    expect(calls.length).toBeGreaterThan(200); // 40 for each key, and what was rolled back and given again
    const firsts = calls.filter(([key, n], index) => calls.findIndex(([k, m]) => k === key && m === n) === index);
    const logged = runtimeOf(running).log;
    const { events } = await logged.read({ after: 0 as never, limit: 1000 });
    const inLog = events.map(({ stream, data }) => `${stream} ${(JSON.parse(data) as { n: number }).n}`);
    expect(firsts.map(([key, n]) => `note/${key} ${n}`)).not.toEqual(inLog);
    for (const key of keys)
      expect(firsts.filter(([k]) => k === key).map(([, n]) => n)).toEqual(Array.from({ length: 40 }, (_, i) => i + 1));
  });

  test("a reaction is late, and its commands take effect once: to its own log and to another service's", async () => {
    const notes = await started(service("notes", { parts: { note, copy, copying } }), { copying: "50ms..150ms" });
    const other = reaction("copying-too", { from: [note], to: { copy } }).on({
      "note.added": ({ entityId, data }, { commands }) => commands.copy(entityId).make(data),
    });
    const lag = { "copying-too": "50ms..150ms" } as const;
    const copies = await started(service("copies", { parts: { copy, other } }), lag, { channels: [inProcess(notes)] });
    const wanted = Array.from({ length: 20 }, (_, index) => index);
    for (const n of wanted) await notes.note("a").add({ n });
    await expect.poll(() => stateOf(notes), { timeout: 10_000 }).toEqual(wanted);
    await expect.poll(() => stateOf(copies), { timeout: 10_000 }).toEqual(wanted);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect([await stateOf(notes), await stateOf(copies)]).toEqual([wanted, wanted]);
  });

  async function stateOf(running: { readonly copy: { state(id: string): Promise<{ readonly state: number[] }> } }): Promise<number[]> {
    return running.copy.state("a").then(
      ({ state }) => [...state],
      () => [],
    );
  }

  test("an event that fails is parked and replayed as ever", async () => {
    let fails = true;
    const place = newPlace();
    const parked: number[] = [];
    const definition = service("notes", { parts: { note, listing: listing((_, n) => void (n === 1 && fails && giveUp("one"))) } });
    const running = await started(
      definition,
      { listing: "1ms..20ms" },
      { place, onParked: ({ event }) => void parked.push(event.position) },
    );
    await running.note("b").add({ n: 1 });
    await running.note("b").add({ n: 2 });
    await expect.poll(() => parked, { timeout: 5000 }).toEqual([1]);
    fails = false;
    await runtimeOf(running).replay({ reader: "listing" });
    await expect.poll(async () => (await running.listing.get("b")).value, { timeout: 10_000 }).toEqual([1, 2]);
  });

  test("an event that was set aside before a restart can be replayed at once, however young it is", async () => {
    let fails = true;
    const place = newPlace();
    const definition = service("notes", { parts: { note, listing: listing(() => void (fails && giveUp("not yet"))) } });
    const parked: number[] = [];
    const before = await definition.start({ store: kind.driver(place), onParked: ({ event }) => void parked.push(event.position) });
    await before.note("b").add({ n: 1 });
    await expect.poll(() => parked, { timeout: 5000 }).toEqual([1]);
    await before.stop();
    fails = false;
    const running = await started(definition, { listing: "1h" }, { place });
    await runtimeOf(running).replay({ reader: "listing" });
    await expect.poll(async () => (await running.listing.get("b")).value, { timeout: 5000 }).toEqual([1]);
  });

  test("what is older than its lag is read at once after a restart", async () => {
    const place = newPlace();
    const definition = service("notes", { parts: { note, listing: listing() } });
    const before = await definition.start({ store: kind.driver(place) });
    for (let n = 1; n <= 50; n++) await before.note("a").add({ n });
    await before.stop();
    await new Promise((resolve) => setTimeout(resolve, 400));
    const later = service("notes", {
      parts: { note, listing: view("again", { ...shapeOfListing }).on({ "note.added": (_, { data }) => data }) },
    });
    const running = await started(later, { again: "200ms..300ms" }, { place });
    const startedAt = performance.now();
    await expect.poll(async () => (await running.listing.get("a")).value, { timeout: 5000, interval: 10 }).toEqual({ n: 50 });
    expect(performance.now() - startedAt).toBeLessThan(1500);
  });

  test("stopping does not wait for what is held back", async () => {
    const running = await service("notes", { parts: { note, listing: listing() } }).start({
      store: kind.driver(newPlace()),
      lag: { listing: "1h" },
    });
    await running.note("a").add({ n: 1 });
    const stoppedAt = performance.now();
    await running.stop();
    expect(performance.now() - stoppedAt).toBeLessThan(2000);
  });

  const shapeOfListing = { from: [note], document: Added, key: (event: { readonly entityId: string }) => event.entityId } as const;
});

const all = service("notes", { parts: { note, copy, listing: listing(), copying, totals } });
const start = (lag: unknown): Promise<Running> =>
  all.start({ store: storeKinds[0]!.driver(newPlace()), lag: lag as Exclude<StartOptions["lag"], undefined> });

test("a reader that is none is refused with the names there are, before the store is opened", async () => {
  expect(readerNames(all)).toEqual(["listing", "copying"]);
  await expect(start({ listings: "1s" })).rejects.toThrow(
    'lag names "listings", which is no reader of "notes"; its readers are listing, copying',
  );
  expect(await codeOf(start({ listings: "1s" }))).toBe("not_found");
  await expect(start({ totals: "1s" })).rejects.toThrow('lag names "totals", which is a strong view of "notes" and never behind');
});

test.each(["1", "2s..1s", "1s..", "300..2s", "1s...2s", "", 5])("a lag of %j is refused", async (range) => {
  await expect(start({ listing: range })).rejects.toThrow(
    /^the lag of "listing" is .*: write a time, like "500ms", or a range, like "300ms\.\.2s"/,
  );
  expect(await codeOf(start({ listing: range }))).toBe("invalid_input");
});
