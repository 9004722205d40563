// What the watches of a client are told of its commands: in virtual time, against a gateway that the test scripts.
import { expect, test } from "vitest";
import type { NetworkRequest, NetworkResponse } from "../host/host.ts";
import type { Shown } from "./facade.ts";
import { entry, failure, lost, placed, problem, reading, tokenOf, type World, world } from "./scripted-gateway.fixture.ts";

type Summary = Shown<{ customer: string; total: number } | undefined, { readonly fresh: boolean }>;

function shownBy(client: ReturnType<World["client"]>): Summary[] {
  const all: Summary[] = [];
  client.orderSummary.watch("o-1", { optimistic: true }).subscribe((shown) => all.push(shown));
  return all;
}

const totals = (all: readonly Summary[]): Array<number | undefined> => all.map(({ value }) => value?.total);
/** The document at a position: fresh when nothing later was asked for. */
const summary = (request: NetworkRequest, total: number, position: number): NetworkResponse => {
  const asked = Math.max(0, ...[...(tokenOf(request) ?? "").matchAll(/\.e\d\.(\d+)\./g)].map(([, wanted]) => Number(wanted)));
  return reading({ customer: "ada", total }, position, { fresh: asked <= position });
};
const optimistic = (
  client: ReturnType<World["client"]>,
  total: number,
): { optimistic: Array<ReturnType<typeof client.orderSummary.overlay>> } => ({
  optimistic: [client.orderSummary.overlay("o-1", (document) => ({ customer: "ada", ...document, total }))],
});

test("what a restored store no longer has is taken back with a word", async () => {
  let isRestored = false;
  const gateway = world((request) => {
    if (request.method === "POST") return placed(9);
    if (!isRestored) return summary(request, 1, 5);
    return tokenOf(request)?.includes(".9.") ? problem(409, "token_epoch", { store: "orders", fork: 7 }) : summary(request, 1, 7);
  });
  const told: unknown[] = [];
  const client = gateway.client({ onHistoryLost: (history) => told.push(history) });
  const all = shownBy(client);
  await gateway.run(gateway.sleep(100));
  await gateway.run(client.order("o-1").place({ total: 2 }, optimistic(client, 2)));
  expect(all.at(-1)).toMatchObject({ value: { total: 2 }, pending: 1, status: "pending" });
  isRestored = true;
  await gateway.run(gateway.sleep(10_000));
  expect(all.at(-1)).toMatchObject({ value: { total: 1 }, pending: 0, status: "lost", refusal: { lost: { store: "orders", fork: 7 } } });
  expect(told).toHaveLength(1);
  const later = shownBy(client);
  await gateway.run(gateway.sleep(100));
  expect(later.at(-1)).toMatchObject({ pending: 0, status: "confirmed" });
});

test("a write that a restored store still has is dropped once the view has passed it in its new history", async () => {
  let stage: "before" | "restored" | "passed" = "before";
  const gateway = world((request) => {
    if (request.method === "POST") return placed(6);
    if (stage === "before") return summary(request, 1, 5);
    if (tokenOf(request)?.includes(".e1.")) return problem(409, "token_epoch", { store: "orders", fork: 7 });
    const position = stage === "restored" ? 5 : 8;
    return reading({ customer: "ada", total: position }, position, {}, { "consistency-token": entry(position).replace("e1", "e2") });
  });
  const client = gateway.client();
  const all = shownBy(client);
  await gateway.run(gateway.sleep(100));
  await gateway.run(client.order("o-1").place({ total: 2 }, optimistic(client, 2)));
  stage = "restored";
  await gateway.run(gateway.sleep(10_000));
  expect(all.at(-1)).toMatchObject({ value: { total: 2 }, status: "pending" });
  stage = "passed";
  await gateway.run(gateway.sleep(10_000));
  expect(all.at(-1)).toMatchObject({ value: { total: 8 }, status: "confirmed" });
});

test("a view of another service drops a command when the gateway says that it has what was asked for", async () => {
  let isThere = false;
  const gateway = world((request) => {
    if (request.method === "POST") return placed(9);
    // Its own position stands still: what the command caused there is nothing.
    return reading({ customer: "ada", total: 1 }, 3, { fresh: isThere }, { "consistency-token": entry(3, "stock") });
  });
  const client = gateway.client();
  const all = shownBy(client);
  await gateway.run(gateway.sleep(100));
  await gateway.run(client.order("o-1").place({ total: 2 }, optimistic(client, 2)));
  await gateway.run(gateway.sleep(2000));
  expect(all.at(-1)).toMatchObject({ value: { total: 2 }, pending: 1 });
  isThere = true;
  await gateway.run(gateway.sleep(10_000));
  expect(all.at(-1)).toMatchObject({ value: { total: 1 }, pending: 0, status: "confirmed" });
});

test("commands for one entity, or over one value, wait for each other; others do not", async () => {
  const open: Array<() => void> = [];
  const gateway = world((request) => {
    if (request.method !== "POST") return summary(request, 1, 5);
    return new Promise<NetworkResponse>((resolve) => open.push(() => resolve(placed(9))));
  });
  const client = gateway.client();
  const posts = (): string[] =>
    gateway.requests.filter(({ method }) => method === "POST").map(({ url }) => new URL(url).pathname.split("/")[3]!);
  const over = optimistic(client, 2);
  const all = [
    client.order("o-1").place({ total: 1 }, over),
    client.order("o-1").place({ total: 2 }, { optimistic: [] }),
    client.order("o-2").place({ total: 3 }, over),
    client.order("o-3").place({ total: 4 }, { optimistic: [] }),
  ];
  await gateway.run(gateway.sleep(10));
  expect(posts()).toEqual(["o-1", "o-3"]);
  open[0]!();
  await gateway.run(gateway.sleep(10));
  expect(posts()).toEqual(["o-1", "o-3", "o-1", "o-2"]);
  for (const answer of open.slice(1)) answer();
  expect((await gateway.run(Promise.all(all))).map(({ kind }) => kind)).toEqual(["accepted", "accepted", "accepted", "accepted"]);
});

test("a command that is given up before it was sent is taken back; one that was sent may have happened", async () => {
  const gateway = world((request) => (request.method === "POST" ? new Promise<never>(() => undefined) : summary(request, 1, 5)));
  const client = gateway.client();
  const all = shownBy(client);
  await gateway.run(gateway.sleep(100));
  const [first, second] = [new AbortController(), new AbortController()];
  const sent = client.order("o-1").place({ total: 2 }, { ...optimistic(client, 2), signal: first.signal });
  const waiting = client.order("o-1").place({ total: 3 }, { ...optimistic(client, 3), signal: second.signal });
  await gateway.run(gateway.sleep(10));
  second.abort(new Error("never mind"));
  first.abort(new Error("gave up"));
  const messages = [sent, waiting].map((outcome) => outcome.then(String, (error: unknown) => (error as Error).message));
  expect(await gateway.run(Promise.all(messages))).toEqual(["gave up", "never mind"]);
  expect(all.at(-1)).toMatchObject({ value: { total: 2 }, pending: 1, status: "unknown", refusal: { kind: "failed" } });
});

test("what the gateway does not let through is taken back; after an unknown outcome no failure settles it", async () => {
  let says: () => NetworkResponse = () => problem(403, "forbidden");
  const gateway = world((request) => (request.method === "POST" ? says() : summary(request, 1, 5)));
  const client = gateway.client({ retryFor: "1s" });
  const all = shownBy(client);
  await gateway.run(gateway.sleep(100));
  const command = { ...optimistic(client, 2), id: "c-1" };
  const place = (): Promise<unknown> => client.order("o-1").place({ total: 2 }, command);
  expect(await gateway.run(failure(place()))).toMatchObject({ code: "forbidden" });
  expect(all.at(-1)).toMatchObject({ value: { total: 1 }, pending: 0, status: "failed" });
  says = () => lost();
  expect(await gateway.run(failure(place()))).toMatchObject({ code: "outcome_unknown" });
  says = () => problem(403, "forbidden");
  expect(await gateway.run(failure(place()))).toMatchObject({ code: "forbidden" });
  expect(all.at(-1)).toMatchObject({ value: { total: 2 }, pending: 1, status: "unknown" });
  says = () => placed(5);
  await gateway.run(place());
  expect(all.at(-1)).toMatchObject({ value: { total: 1 }, pending: 0, status: "confirmed" });
});

test("the same id while it is on its way, or after it was accepted, lies over nothing twice", async () => {
  const gateway = world((request) => (request.method === "POST" ? placed(9) : summary(request, 1, 5)));
  const client = gateway.client();
  const all = shownBy(client);
  await gateway.run(gateway.sleep(100));
  const place = (): Promise<unknown> => client.order("o-1").place({ total: 2 }, { ...optimistic(client, 2), id: "c-1" });
  await gateway.run(Promise.all([place(), place()]));
  await gateway.run(place());
  expect(Math.max(...all.map(({ pending }) => pending))).toBe(1);
  expect(totals(all).at(-1)).toBe(2);
});

test("a step that shows nothing new is not told", async () => {
  const gateway = world((request) => (request.method === "POST" ? placed(9) : summary(request, 1, 5)));
  const client = gateway.client();
  const all = shownBy(client);
  await gateway.run(gateway.sleep(100));
  await gateway.run(client.order("o-1").place({ total: 2 }, optimistic(client, 2)));
  await gateway.run(gateway.sleep(50));
  const looks = all.map(({ value, pending, status, reading: { fresh } }) => [value?.total, pending, status, fresh]);
  expect(looks).toEqual([
    [1, 0, "confirmed", true],
    [2, 1, "pending", true],
    [2, 1, "pending", false],
  ]);
});
