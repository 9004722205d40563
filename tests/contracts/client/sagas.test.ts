// Sagas through the client on a real gateway: whatever the network does, each starts once and hears once, and whoever waits asks seldom.
import { createGateway, type Gateway, serve } from "@convergent/server";
import { type Client, connect, type ConnectOptions, type ClientHost, isConvergentError } from "convergent/client";
import { memory } from "convergent/memory";
import { nodeHost } from "convergent/node";
import { expect, onTestFinished, test } from "vitest";
import { World } from "../sagas/trip.ts";
import { travel } from "../sagas/travel.ts";
import { type Fate, networkTo } from "./shop.ts";

type Service = ReturnType<typeof travel>;
type NetworkRequest = Parameters<ClientHost["network"]["request"]>[0];

interface Site {
  readonly world: World;
  readonly running: Awaited<ReturnType<Service["start"]>>;
  readonly gateway: Gateway;
  readonly requests: NetworkRequest[];
  fate: (request: NetworkRequest, count: number) => Fate;
  readonly client: Client<Service>;
}

/** Timers that wake a little early, as those of Node sometimes do. */
function hasty(timers: ClientHost["timers"]): ClientHost["timers"] {
  return { ...timers, sleep: (ms, signal) => timers.sleep(Math.max(ms / 2, ms - 20), signal) };
}

async function open(options: ConnectOptions = {}): Promise<Site> {
  const world = new World();
  const running = await travel(world).start({ store: memory() });
  onTestFinished(() => running.stop());
  const gateway = createGateway([running]);
  const way = networkTo(gateway);
  const node = nodeHost();
  const host = { ...node, timers: hasty(node.timers), network: { request: way.request } };
  const client = connect<Service>("http://localhost", { host, retryFor: "5s", ...options });
  return Object.assign(way, { world, running, gateway, client });
}

const trip = { to: "Oslo", nights: 2 };

async function codeOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => "no error",
    (error: unknown) => (isConvergentError(error) ? error.code : error),
  );
}

test("a saga is started, and its end read, in two requests; what is answered is what the service has", async () => {
  const { client, running, requests } = await open();
  const { id, token, repeated } = await client.bookTrip.start(undefined, trip);
  expect(repeated).toBe(false);
  expect(client.session.token.toString()).toBe(token.toString());
  const end = await client.bookTrip.end(id);
  expect(requests).toHaveLength(2);
  const { token: own, ...view } = await running.bookTrip.get(id);
  expect(end).toMatchObject(view);
  expect([end.status, end.result, String(end.token)]).toEqual(["completed", { seat: "flight-1", to: "Oslo" }, String(own)]);
  expect(await client.bookTrip.get(id)).toEqual(end);
  expect(requests.at(-1)?.headers["consistency-token"]).toBe(token.toString());
});

test("a start whose replies are lost is one saga, also when the client made its id", async () => {
  const site = await open();
  const { client, running, world } = site;
  site.fate = (_, count) => (["reply lost", "request lost", "html"] as const)[count - 1] ?? "answered";
  const { id, repeated } = await client.bookTrip.start(undefined, trip);
  expect([repeated, site.requests.length]).toEqual([true, 4]);
  site.fate = () => "answered";
  expect(await client.bookTrip.end(id)).toMatchObject({ status: "completed" });
  expect(world.calls).toHaveLength(3);
  expect((await client.bookTrip.start(id, trip)).repeated).toBe(true);
  expect((await running.bookTrip.get(id)).version).toBe(8);
});

test("an id may be any text", async () => {
  const { client, running } = await open();
  const id = "år 2026/%41 ✈";
  expect((await client.bookTrip.start(id, trip)).id).toBe(id);
  expect(await client.bookTrip.end(id)).toMatchObject({ id, status: "completed" });
  expect((await running.bookTrip.get(id)).status).toBe("completed");
});

test("without any answer a start is outcome_unknown, with the id to start it again, and a read unavailable", async () => {
  const site = await open({ retryFor: "300ms" });
  await site.client.booking.state("b-1").catch(() => undefined);
  site.fate = () => "reply lost";
  const failed = await site.client.bookTrip.start(undefined, trip).catch((error: unknown) => error);
  expect(isConvergentError(failed, "outcome_unknown")).toBe(true);
  const { id } = (failed as { details: { id: string } }).details;
  expect(await codeOf(site.client.bookTrip.get(id))).toBe("unavailable");
  expect(await codeOf(site.client.bookTrip.cancel(id, { reason: "x" }))).toBe("outcome_unknown");
  site.fate = () => "answered";
  expect((await site.client.bookTrip.start(id, trip)).repeated).toBe(true);
});

test("a signal whose replies are lost is heard once", async () => {
  const site = await open({ actor: "ada" });
  const { approval } = site.client;
  await approval.start("a-1", { amount: 3 });
  site.fate = ({ url }, count) => (url.endsWith("/decided") && count % 3 !== 0 ? "reply lost" : "answered");
  const first = await approval.signal("a-1", "decided", { by: "ada" }, { id: "s/1" });
  expect(first).toMatchObject({ id: "a-1", repeated: true });
  site.fate = () => "answered";
  expect(await approval.signal("a-1", "decided", { by: "ada" }, { id: "s/1" })).toMatchObject({ repeated: true });
  await approval.signal("a-1", "decided");
  expect(await approval.end("a-1")).toMatchObject({ status: "completed", result: { amount: 3, by: ["ada", "nobody"] } });
});

test("whoever watches is shown the present state, every news, and the end; and asks once for each", async () => {
  const { client, requests } = await open();
  await client.approval.start("a-1", { amount: 3 });
  requests.length = 0;
  const seen: string[] = [];
  const asked = new Set<string>();
  for await (const { status, steps } of client.approval.watch("a-1")) {
    const { name = "", kind, state } = steps.at(-1) ?? {};
    seen.push(`${status} ${name}`);
    if (kind !== "signal" || state !== "begun" || asked.has(name)) continue;
    asked.add(name);
    setTimeout(() => void client.approval.signal("a-1", "decided", { by: name }), 200);
  }
  expect([...asked]).toEqual(["decided", "decided #2"]);
  expect(seen.at(-1)).toMatch(/^completed/);
  const reads = requests.filter(({ method }) => method === "GET");
  expect(reads.length).toBeLessThanOrEqual(seen.length + 2);
  expect(reads.slice(1).every(({ headers }) => headers["if-none-match"] !== undefined && headers["prefer"] === "wait=25")).toBe(true);
});

test("the end is waited for as long as was said, and the saga then answered as it is", async () => {
  const { client, requests } = await open();
  await client.approval.start("a-1", { amount: 3 });
  requests.length = 0;
  const startedAt = performance.now();
  expect(await client.approval.end("a-1", { wait: "300ms" })).toMatchObject({ status: "running" });
  expect(performance.now() - startedAt).toBeGreaterThan(250);
  expect(requests.length).toBeLessThanOrEqual(2);
  expect(await client.approval.end("a-1", { wait: "0s" })).toMatchObject({ status: "running" });
});

test("a gateway that holds no answer back is asked at a pace, and a wait can be given up", async () => {
  const { client, gateway, requests } = await open();
  await client.approval.start("a-1", { amount: 3 });
  gateway.end();
  requests.length = 0;
  expect(await client.approval.end("a-1", { wait: "3s" })).toMatchObject({ status: "running" });
  expect(requests.length).toBeLessThanOrEqual(4);
  const reason = new Error("the page was left");
  const leaving = new AbortController();
  setTimeout(() => leaving.abort(reason), 50);
  await expect(client.approval.end("a-1", { signal: leaving.signal })).rejects.toBe(reason);
  const watching = (async () => {
    for await (const _ of client.approval.watch("a-1", { signal: leaving.signal }));
  })();
  await expect(watching).rejects.toBe(reason);
});

test("one that is cancelled undoes what it did; one that is parked is tried again or resolved by operators", async () => {
  const { client, world } = await open({ actor: "ada" });
  await client.approval.start("a-1", { amount: 3 });
  await client.approval.cancel("a-1", { reason: "changed my mind" });
  expect(await client.approval.end("a-1")).toMatchObject({ status: "compensated", cancelled: "changed my mind" });
  world.behaviour.set("car", "refuses");
  world.behaviour.set("cancel hotel", "breaks");
  for (const id of ["t-1", "t-2"]) {
    await client.bookTrip.start(id, trip);
    expect(await client.bookTrip.end(id)).toMatchObject({ status: "parked" });
  }
  await client.bookTrip.resolve("t-1", { reason: "called the hotel" });
  expect(await client.bookTrip.end("t-1")).toMatchObject({ status: "compensated", steps: [{}, { state: "resolved" }, {}] });
  world.behaviour.delete("cancel hotel");
  await client.bookTrip.retry("t-2", { reason: "the desk is back", id: "r-1" });
  expect(await client.bookTrip.end("t-2")).toMatchObject({ status: "compensated", steps: [{}, { state: "undone" }, {}] });
  expect((await client.bookTrip.retry("t-2", { reason: "the desk is back", id: "r-1" })).repeated).toBe(true);
  expect(await codeOf(client.bookTrip.retry("t-2", { reason: "once more" }))).toBe("saga_ended");
});

test("what is wrong is said by the codes that the service itself throws", async () => {
  const { client, requests } = await open();
  await client.approval.start("a-1", { amount: 3 });
  expect(await codeOf(client.approval.start("a-1", { amount: 4 }))).toBe("saga_exists");
  expect(await codeOf(client.approval.start("a-2", { amount: "4" } as never))).toBe("invalid_input");
  expect(await codeOf(client.approval.start("a".repeat(257), { amount: 3 }))).toBe("invalid_input");
  for (const ask of [client.approval.get("a-2"), client.approval.end("a-2"), client.approval.signal("a-2", "decided")])
    expect(await codeOf(ask)).toBe("saga_not_found");
  await client.approval.cancel("a-1", { reason: "x" });
  await client.approval.end("a-1");
  expect(await codeOf(client.approval.signal("a-1", "decided"))).toBe("saga_ended");
  requests.length = 0;
  expect(await codeOf((client.booking as unknown as typeof client.approval).start("b-1", { amount: 3 }))).toBe("not_found");
  for (const id of ["", ".", "\ud800"]) expect(await codeOf(client.approval.start(id, { amount: 3 }))).toBe("invalid_input");
  expect(requests).toEqual([]);
});

test("an id is voided in time, or told to have taken effect; a lost reply is asked for again", async () => {
  const site = await open({ actor: "ada" });
  const { client } = site;
  expect(await client.voidId("k/1")).toBe(true);
  expect(await codeOf(client.booking("b-1").book({ seats: 2 }, { id: "k/1" }))).toBe("id_voided");
  await client.booking("b-1").book({ seats: 2 }, { id: "k/2" });
  site.fate = (_, count) => (count === 4 ? "reply lost" : "answered");
  expect(await client.voidId("k/2", { service: "travel" })).toBe(false);
  expect(await client.voidId("k/2", { actor: "bob" })).toBe(true);
  expect(await codeOf(client.voidId("k/3", { service: "payments" }))).toBe("not_found");
  expect(await codeOf(client.voidId("not a key"))).toBe("invalid_input");
});

test("over a real connection the end is waited for through the life of a server, and told by the next one", async () => {
  const running = await travel(new World()).start({ store: memory() });
  const first = await serve({ services: [running], port: 0 });
  const { port } = first;
  const client = connect<Service>(`http://127.0.0.1:${port}`);
  await client.approval.start("a-1", { amount: 3 });
  const end = client.approval.end("a-1", { wait: "20s" });
  await new Promise((resolve) => setTimeout(resolve, 100));
  await first.close();
  const second = await serve({ services: [running], port });
  onTestFinished(async () => {
    await second.close();
    await running.stop();
  });
  for (const by of ["ada", "bob"]) await client.approval.signal("a-1", "decided", { by });
  expect(await end).toMatchObject({ status: "completed", result: { by: ["ada", "bob"] } });
});
