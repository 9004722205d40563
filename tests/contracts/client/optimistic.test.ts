// Commands that are shown before they have happened, on a real gateway with late views: every value that was shown, in order.
import { command, entity, reject, service, view } from "convergent";
import { createGateway, serve } from "@convergent/server";
import { type Client, connect, type ConnectOptions, type Shown } from "convergent/client";
import { memory } from "convergent/memory";
import { nodeHost } from "convergent/node";
import { describe, expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { networkTo, type Way } from "./shop.ts";

const Note = z.object({ text: z.string() });
const Weigh = z.object({ grams: z.number().positive() });

// A value shows every note in its order, so that one that is lost or shown twice is seen.
const parcel = entity("parcel", {
  initial: () => ({ notes: [] as string[], sealed: false, grams: 0 }),
  events: { noted: Note, weighed: Weigh, sealed: z.object({}) },
})
  .evolve({
    noted: (state, { text }) => ({ ...state, notes: [...state.notes, text] }),
    weighed: (state, { grams }) => ({ ...state, grams }),
    sealed: (state) => ({ ...state, sealed: true }),
  })
  .commands({
    note: command(Note, (state, input, emit) => (state.sealed ? reject("sealed") : emit.noted(input))),
    weigh: command(Weigh, (_, input, emit) => emit.weighed(input)),
    seal: command(z.object({}), (_, input, emit) => emit.sealed(input)),
  });

const label = view("label", {
  from: [parcel],
  document: z.object({ notes: z.array(z.string()) }),
  key: (event) => event.entityId,
  indexes: [],
}).on({
  "parcel.noted": (document, { data }) => ({ notes: [...(document?.notes ?? []), data.text] }),
});

const shelf = view("shelf", {
  from: [parcel],
  document: z.object({ last: z.string(), count: z.number() }),
  key: (event) => event.entityId,
  indexes: ["count"],
}).on({
  "parcel.noted": (document, { data }) => ({ last: data.text, count: (document?.count ?? 0) + 1 }),
});

const post = service("post", { parts: { parcel, label, shelf } });
type PostClient = Client<typeof post>;

interface Site extends Way {
  readonly running: Awaited<ReturnType<typeof post.start>>;
  readonly client: PostClient;
}

/** How news come to the client. */
const ways = ["by asking", "over a socket"] as const;

/** Both views are late by so much. Requests go a way that can lose them, whatever the news do. */
async function opened(
  news: (typeof ways)[number],
  lag: { readonly label: number; readonly shelf: number },
  options: ConnectOptions = {},
): Promise<Site> {
  const lags = { label: `${lag.label}ms..${lag.label}ms`, shelf: `${lag.shelf}ms..${lag.shelf}ms` } as const;
  const running = await post.start({ store: memory(), lag: lags });
  onTestFinished(() => running.stop());
  const way = networkTo(createGateway([running]));
  const { network, ...host } = nodeHost();
  const isTold = news === "over a socket";
  const server = isTold ? await serve({ services: [running], port: 0 }) : undefined;
  onTestFinished(async () => server?.close());
  const client = connect<typeof post>(server?.url ?? "http://localhost", {
    host: { ...host, network: { ...(isTold ? network : {}), request: way.request } },
    retryFor: "5s",
    ...options,
  });
  return Object.assign(way, { running, client });
}

interface Seen<Value> {
  /** The values that were shown, in order, those that are the same as before left out. */
  readonly values: Value[];
  readonly all: Array<Shown<unknown, unknown>>;
  readonly last: () => Shown<Value, unknown> | undefined;
}

function seen<Value, Reading>(watch: {
  subscribe(news: (shown: Shown<Value, Reading>) => void, failed: (error: Error) => void): () => void;
}): Seen<Value> {
  const values: Value[] = [];
  const all: Array<Shown<Value, Reading>> = [];
  const failed: Error[] = [];
  const stop = watch.subscribe(
    (shown) => {
      all.push(shown);
      if (values.length === 0 || JSON.stringify(values.at(-1)) !== JSON.stringify(shown.value)) values.push(shown.value);
    },
    (error) => failed.push(error),
  );
  onTestFinished(() => {
    stop();
    expect(failed).toEqual([]);
  });
  return { values, all, last: () => all.at(-1) };
}

const quick = { interval: "60ms", optimistic: true } as const;

function noted(client: PostClient, text: string): ReturnType<PostClient["label"]["overlay"]> {
  return client.label.overlay("p-1", (document) => ({ notes: [...(document?.notes ?? []), text] }));
}

function shelved(client: PostClient, text: string): ReturnType<PostClient["shelf"]["overlay"]> {
  return client.shelf.overlay("p-1", (document) => ({ last: text, count: (document?.count ?? 0) + 1 }));
}

/** A parcel with one note that both views have. */
async function withNote(site: Site): Promise<void> {
  await site.running.parcel("p-1").note({ text: "a" });
  await expect.poll(async () => (await site.client.label.get("p-1", { after: null })).value?.notes).toEqual(["a"]);
  await expect.poll(async () => (await site.client.shelf.get("p-1", { after: null })).value?.count).toBe(1);
}

describe.each(ways)("%s", (news) => {
  const open = (lag: { readonly label: number; readonly shelf: number }, options?: ConnectOptions): Promise<Site> =>
    opened(news, lag, options);

  test("a change is shown at once, before anything was sent, and until the late view has it: it is never gone in between", async () => {
    const site = await open({ label: 400, shelf: 0 });
    await withNote(site);
    const label = seen(site.client.label.watch("p-1", quick));
    await expect.poll(() => label.values.length).toBe(1);
    site.requests.length = 0;
    const outcome = site.client.parcel("p-1").note({ text: "b" }, { optimistic: [noted(site.client, "b")] });
    expect([label.last()?.value, label.last()?.pending, label.last()?.status]).toEqual([{ notes: ["a", "b"] }, 1, "pending"]);
    expect(site.requests.filter(({ method }) => method === "POST")).toEqual([]);
    expect((await outcome).kind).toBe("accepted");
    expect(label.last()?.status).toBe("pending");
    await expect.poll(() => label.last()?.status).toBe("confirmed");
    expect(label.values).toEqual([{ notes: ["a"] }, { notes: ["a", "b"] }]);
    expect(label.last()?.reading).toMatchObject({ value: { notes: ["a", "b"] }, fresh: true });
  });

  test("(a) reads and changes of others that come while a command is pending do not overwrite it", async () => {
    const site = await open({ label: 300, shelf: 0 });
    await withNote(site);
    const label = seen(site.client.label.watch("p-1", quick));
    await expect.poll(() => label.values.length).toBe(1);
    // Written by somebody else, and not in the view yet.
    await site.running.parcel("p-1").note({ text: "x" });
    await new Promise((resolve) => setTimeout(resolve, 150));
    const outcome = site.client.parcel("p-1").note({ text: "b" }, { optimistic: [noted(site.client, "b")] });
    // Reads by hand, that get what there is.
    const refetched = Promise.all([1, 2, 3].map(() => site.client.label.get("p-1", { after: null })));
    await outcome;
    expect((await refetched)[0]?.value?.notes).not.toContain("b");
    await expect.poll(() => label.last()?.status).toBe("confirmed");
    expect(label.values).toEqual([{ notes: ["a"] }, { notes: ["a", "b"] }, { notes: ["a", "x", "b"] }]);
    const rebased = label.all.some(({ reading, pending }) => pending === 1 && JSON.stringify(reading).includes('["a","x"]'));
    // Over a socket the newest is told: a reading that holds for a moment only may be left out.
    expect(rebased || news === "over a socket").toBe(true);
  });

  test("(b) a command that changes no row is dropped by the position, and not before it", async () => {
    const site = await open({ label: 300, shelf: 0 });
    await withNote(site);
    const label = seen(site.client.label.watch("p-1", quick));
    await expect.poll(() => label.values.length).toBe(1);
    // The view does not follow the weight: what was expected of it never comes.
    const expected = site.client.label.overlay("p-1", (document) => ({ notes: [...(document?.notes ?? []), "5 g"] }));
    const outcome = await site.client.parcel("p-1").weigh({ grams: 5 }, { optimistic: [expected] });
    const { position } = outcome.kind === "accepted" ? outcome.events[0]! : { position: -1 };
    expect(label.last()).toMatchObject({ value: { notes: ["a", "5 g"] }, status: "pending" });
    await expect.poll(() => label.last()?.status).toBe("confirmed");
    expect(label.values).toEqual([{ notes: ["a"] }, { notes: ["a", "5 g"] }, { notes: ["a"] }]);
    const asOf = (shown: Shown<unknown, unknown>): number => (shown.reading as { asOf: number }).asOf;
    expect(label.all.every((shown) => shown.pending === 0 || asOf(shown) < position)).toBe(true);
    expect(asOf(label.all.at(-1)!)).toBeGreaterThanOrEqual(position);
  });

  test("(c) one write over two views of different lag: each shows it from the first moment on, and drops it by its own position", async () => {
    const site = await open({ label: 700, shelf: 150 });
    await withNote(site);
    const label = seen(site.client.label.watch("p-1", quick));
    const shelf = seen(site.client.shelf.watch("p-1", quick));
    await expect.poll(() => [label.values.length, shelf.values.length]).toEqual([1, 1]);
    const outcome = site.client.parcel("p-1").note({ text: "b" }, { optimistic: [noted(site.client, "b"), shelved(site.client, "b")] });
    expect([label.last()?.value, shelf.last()?.value]).toEqual([{ notes: ["a", "b"] }, { last: "b", count: 2 }]);
    await outcome;
    await expect.poll(() => shelf.last()?.status).toBe("confirmed");
    expect(label.last()?.status).toBe("pending");
    await expect.poll(() => label.last()?.status).toBe("confirmed");
    expect(label.values).toEqual([{ notes: ["a"] }, { notes: ["a", "b"] }]);
    expect(shelf.values).toEqual([
      { last: "a", count: 1 },
      { last: "b", count: 2 },
    ]);
  });

  test("commands that are given one upon another stack, are sent in that order, and each value counts each of them once", async () => {
    const site = await open({ label: 200, shelf: 0 });
    await withNote(site);
    const label = seen(site.client.label.watch("p-1", quick));
    await expect.poll(() => label.values.length).toBe(1);
    const texts = ["b", "c", "d", "e"];
    const outcomes = texts.map((text) => site.client.parcel("p-1").note({ text }, { optimistic: [noted(site.client, text)] }));
    expect(label.last()).toMatchObject({ value: { notes: ["a", ...texts] }, pending: 4 });
    await Promise.all(outcomes);
    await expect.poll(() => label.last()?.status).toBe("confirmed");
    expect(label.values.map((document) => document?.notes.join(""))).toEqual(["a", "ab", "abc", "abcd", "abcde"]);
    expect((await site.running.parcel.state("p-1")).state.notes).toEqual(["a", ...texts]);
  });

  test("what the entity refuses is taken back at once, with the reason, and those after it stay", async () => {
    const site = await open({ label: 200, shelf: 0 });
    await withNote(site);
    await site.running.parcel("p-1").seal({});
    const label = seen(site.client.label.watch("p-1", quick));
    await expect.poll(() => label.values.length).toBe(1);
    const refused = site.client.parcel("p-1").note({ text: "b" }, { optimistic: [noted(site.client, "b")] });
    const later = site.client
      .parcel("p-1")
      .weigh({ grams: 1 }, { optimistic: [site.client.label.overlay("p-1", (document) => ({ notes: [...document!.notes, "1 g"] }))] });
    expect(await refused).toMatchObject({ kind: "rejected", reason: "sealed" });
    expect(label.last()).toMatchObject({
      value: { notes: ["a", "1 g"] },
      refusal: { kind: "rejected", reason: "sealed" },
      status: "pending",
    });
    await later;
    await expect.poll(() => label.last()?.pending).toBe(0);
    expect(label.last()).toMatchObject({ value: { notes: ["a"] }, status: "rejected" });
    expect(label.values.map((document) => document?.notes.join())).toEqual(["a", "a,b", "a,b,1 g", "a,1 g", "a"]);
  });

  test("a conflict is taken back at once and told to whoever watches", async () => {
    const site = await open({ label: 0, shelf: 0 });
    await withNote(site);
    await site.running.parcel("p-1").note({ text: "x" });
    const state = seen(site.client.parcel.watch("p-1", quick));
    await expect.poll(() => state.values.length).toBe(1);
    const overlay = site.client.parcel.overlay("p-1", (parcel) => ({ ...parcel, notes: [...parcel.notes, "b"] }));
    const outcome = site.client.parcel("p-1").note({ text: "b" }, { expected: 1, optimistic: [overlay] });
    expect(state.last()).toMatchObject({ value: { notes: ["a", "x", "b"] }, pending: 1 });
    expect(await outcome).toMatchObject({ kind: "conflict", version: 2 });
    expect(state.last()).toMatchObject({ value: { notes: ["a", "x"] }, pending: 0, status: "conflict", conflict: { version: 2 } });
  });

  test("an outcome that nobody knows stays, is marked, and is settled by the same id again", async () => {
    const site = await open({ label: 150, shelf: 0 }, { retryFor: "300ms" });
    await withNote(site);
    const label = seen(site.client.label.watch("p-1", quick));
    await expect.poll(() => label.values.length).toBe(1);
    site.fate = ({ method }) => (method === "POST" ? "request lost" : "answered");
    const command = { id: "n-1", optimistic: [noted(site.client, "b")] };
    await expect(site.client.parcel("p-1").note({ text: "b" }, command)).rejects.toMatchObject({ code: "outcome_unknown" });
    expect(label.last()).toMatchObject({ value: { notes: ["a", "b"] }, status: "unknown", pending: 1 });
    await site.running.parcel("p-1").note({ text: "x" });
    await expect.poll(() => label.last()?.value?.notes).toEqual(["a", "x", "b"]);
    site.fate = () => "answered";
    expect((await site.client.parcel("p-1").note({ text: "b" }, command)).kind).toBe("accepted");
    expect(label.last()?.status).toBe("pending");
    await expect.poll(() => label.last()?.status).toBe("confirmed");
    expect(label.values.map((document) => document?.notes.join(""))).toEqual(["a", "ab", "axb"]);
  });

  test("a command whose replies are lost and that the view has before its answer is never shown twice", async () => {
    const site = await open({ label: 0, shelf: 0 });
    await withNote(site);
    const label = seen(site.client.label.watch("p-1", quick));
    await expect.poll(() => label.values.length).toBe(1);
    let lost = 0;
    site.fate = ({ method }) => (method === "POST" && lost++ < 2 ? "reply lost" : "answered");
    const outcome = await site.client.parcel("p-1").note({ text: "b" }, { optimistic: [noted(site.client, "b")] });
    expect([outcome.kind, lost]).toEqual(["accepted", 3]);
    await expect.poll(() => label.last()?.status).toBe("confirmed");
    expect(label.values).toEqual([{ notes: ["a"] }, { notes: ["a", "b"] }]);
  });

  test("the entity itself holds its command with the answer; a page shows what lies over the documents that are on it", async () => {
    const site = await open({ label: 0, shelf: 300 });
    await withNote(site);
    const state = seen(site.client.parcel.watch("p-1", { ...quick, interval: "5s" }));
    const page = seen(site.client.shelf.watchFind({}, { ...quick, orderBy: "count" }));
    await expect.poll(() => [state.values.length, page.values.length]).toEqual([1, 1]);
    const overlay = site.client.parcel.overlay("p-1", (parcel) => ({ ...parcel, notes: [...parcel.notes, "b"] }));
    const gone = site.client.shelf.overlay("p-2", () => ({ last: "b", count: 9 }));
    const outcome = site.client.parcel("p-1").note({ text: "b" }, { optimistic: [overlay, shelved(site.client, "b"), gone] });
    expect(page.last()?.value).toEqual([{ key: "p-1", value: { last: "b", count: 2 } }]);
    await outcome;
    expect(state.last()).toMatchObject({ status: "confirmed", value: { notes: ["a", "b"] } });
    await expect.poll(() => page.last()?.status).toBe("confirmed");
    expect(state.values.map(({ notes }) => notes.join(""))).toEqual(["a", "ab"]);
    expect(page.values).toEqual([[{ key: "p-1", value: { last: "a", count: 1 } }], [{ key: "p-1", value: { last: "b", count: 2 } }]]);
  });

  test("a watch that is opened while a command is pending shows it from its first value on, and one that shows the gateway's own does not", async () => {
    const site = await open({ label: 500, shelf: 0 });
    await withNote(site);
    await site.client.parcel("p-1").note({ text: "b" }, { optimistic: [noted(site.client, "b")] });
    const label = seen(site.client.label.watch("p-1", quick));
    const plain: unknown[] = [];
    onTestFinished(site.client.label.watch("p-1", { interval: "60ms" }).subscribe(({ value }) => plain.push(value)));
    await expect.poll(() => [label.last()?.status, plain.length]).toEqual(["confirmed", 2]);
    expect(label.values).toEqual([{ notes: ["a", "b"] }]);
    expect(plain).toEqual([{ notes: ["a"] }, { notes: ["a", "b"] }]);
  });

  test("an overlay that throws ends the watches that it lies over, and nothing else", async () => {
    const site = await open({ label: 0, shelf: 0 });
    await withNote(site);
    const shelf = seen(site.client.shelf.watch("p-1", quick));
    const failed: Error[] = [];
    let shown = 0;
    site.client.label.watch("p-1", quick).subscribe(
      () => shown++,
      (error) => failed.push(error),
    );
    await expect.poll(() => [shown, shelf.values.length]).toEqual([1, 1]);
    const broken = site.client.label.overlay("p-1", () => {
      throw new Error("no such field");
    });
    expect((await site.client.parcel("p-1").note({ text: "b" }, { optimistic: [broken, shelved(site.client, "b")] })).kind).toBe(
      "accepted",
    );
    await expect.poll(() => shelf.last()?.status).toBe("confirmed");
    expect(failed.map(({ message }) => message)).toEqual(["no such field"]);
    expect(shelf.values.map((document) => document?.count)).toEqual([1, 2]);
  });
});
