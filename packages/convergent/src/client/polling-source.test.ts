// News by asking: what is asked for and when, in virtual time, and what counts as new.
import { expect, test } from "vitest";
import type { NetworkResponse } from "../host/host.ts";
import type { RemoteReading, RemoteState } from "./facade.ts";
import { answer, entry, failure, lost, placed, problem, reading, tokenOf, type World, world } from "./scripted-gateway.fixture.ts";

type Summary = RemoteReading<{ customer: string; total: number } | undefined>;

/** The first so many values of a watch. */
async function take<T>(watch: AsyncIterable<T>, count: number): Promise<T[]> {
  const taken: T[] = [];
  for await (const value of watch) if (taken.push(value) === count) break;
  return taken;
}

/** What is heard until so much time has passed. */
async function during<T>(
  gateway: World,
  watch: { subscribe(news: (value: T) => void, failed?: (error: Error) => void): () => void },
  ms: number,
): Promise<T[]> {
  const heard: T[] = [];
  const stop = watch.subscribe((value) => heard.push(value));
  await gateway.run(gateway.sleep(ms));
  stop();
  return heard;
}

const summary = (total: number, position: number, extra: Readonly<Record<string, unknown>> = {}): NetworkResponse =>
  reading({ customer: "ada", total }, position, extra, { etag: `W/"1.${total}"` });
const unchanged = (position: number): NetworkResponse => answer(304, "", { "consistency-token": entry(position), etag: 'W/"1.1"' });

test("the present value comes first, then only what is new", async () => {
  const totals = [1, 1, 2, 2, 2, 3];
  const gateway = world((_, count) => summary(totals[count - 1]!, totals[count - 1]!));
  const seen = await gateway.run(take<Summary>(gateway.client().orderSummary.watch("o-1"), 3));
  expect(seen.map(({ value }) => value?.total)).toEqual([1, 2, 3]);
  expect(gateway.requests).toHaveLength(6);
  expect(gateway.requests.every(({ headers }) => headers["prefer"] === "wait=0")).toBe(true);
});

test("while nothing is new the questions grow rarer, up to the interval, and say what is known", async () => {
  const gateway = world((_, count) => (count === 1 ? summary(1, 5) : unchanged(5)));
  const heard = await during<Summary>(gateway, gateway.client().orderSummary.watch("o-1", { interval: "2s" }), 10_000);
  expect(heard).toHaveLength(1);
  expect(gateway.times.map(Math.round)).toEqual([0, 550, 1375, 2805, 4805, 6805, 8805]);
  expect(gateway.requests.slice(1).every(({ headers }) => headers["if-none-match"] === 'W/"1.1"')).toBe(true);
});

test("an answer that nothing has changed is news when the view has come further", async () => {
  const gateway = world((_, count) => (count === 1 ? summary(1, 5) : unchanged(count < 4 ? 5 : 8)));
  const seen = await gateway.run(take<Summary>(gateway.client().orderSummary.watch("o-1"), 2));
  expect(seen.map(({ value, asOf, token }) => [value?.total, asOf, String(token)])).toEqual([
    [1, 5, entry(5)],
    [1, 8, entry(8)],
  ]);
});

test("a write of this session is asked for at once, and then at the measured pace until it is there", async () => {
  const visibilityMs = { p50: 20, p75: 40, p95: 90, p99: 200 };
  let position = 1;
  const gateway = world((request) => {
    if (request.method === "POST") return placed(9);
    const isAsked = tokenOf(request)?.includes(".9.") === true;
    return isAsked && position < 9 ? summary(1, position, { fresh: false, visibilityMs }) : summary(position, position);
  });
  const client = gateway.client();
  const totals: Array<[number, boolean]> = [];
  const stop = client.orderSummary.watch("o-1").subscribe(({ value, fresh }) => totals.push([value!.total, fresh]));
  await gateway.run(gateway.sleep(1000));
  const before = gateway.requests.length;
  await gateway.run(client.order("o-1").place({ total: 9 }));
  await gateway.run(gateway.sleep(300));
  position = 9;
  await gateway.run(gateway.sleep(300));
  stop();
  const asked = gateway.times.slice(before + 1).map((at) => Math.round(at - 1000));
  expect(asked.slice(0, 4)).toEqual([0, 44, 143, 363]);
  expect(totals).toEqual([
    [1, true],
    [1, false],
    [9, true],
  ]);
});

test("a gateway that is gone for long is waited for, also before the first answer", async () => {
  const gateway = world((_, count) => (count % 5 === 0 ? summary(count, count) : lost()));
  const seen = await gateway.run(take<Summary>(gateway.client({ retryFor: "2s" }).orderSummary.watch("o-1"), 3));
  expect(seen.map(({ value }) => value?.total)).toEqual([5, 10, 15]);
});

test("what will not pass by itself ends a watch", async () => {
  const gateway = world((_, count) => (count === 1 ? summary(1, 1) : problem(403, "forbidden")));
  const client = gateway.client();
  expect(await gateway.run(failure(take(client.orderSummary.watch("o-1"), 2)))).toMatchObject({ code: "forbidden" });
  const none = world(() => problem(404, "entity_not_found"));
  expect(await none.run(failure(take(none.client().order.watch("o-1"), 1)))).toMatchObject({ code: "entity_not_found" });
});

test("an entity that others may yet cause is waited for", async () => {
  const there = answer(
    200,
    { state: { status: "placed" }, version: 1, token: entry(3) },
    { etag: '"e1.1"', "consistency-token": entry(3) },
  );
  const gateway = world((_, count) => (count < 3 ? problem(404, "entity_not_found", { fresh: false, unmet: ["payments"] }) : there));
  const [state] = await gateway.run(take<RemoteState<{ status: string }>>(gateway.client().order.watch("o-1"), 1));
  expect(state).toMatchObject({ state: { status: "placed" }, version: 1, fresh: true });
});

test("a later answer of an older position, from a node that is further behind, is not shown", async () => {
  const positions = [5, 3, 4, 6];
  const gateway = world((_, count) => summary(positions[count - 1]!, positions[count - 1]!));
  const client = gateway.client();
  const seen = await gateway.run(take<Summary>(client.orderSummary.watch("o-1"), 2));
  expect(seen.map(({ asOf }) => asOf)).toEqual([5, 6]);
});

test("a watch that is opened later starts with nothing older than an earlier one showed", async () => {
  const positions = [5, 4, 4, 7];
  const gateway = world((_, count) => summary(positions[count - 1]!, positions[count - 1]!));
  const client = gateway.client();
  await gateway.run(take<Summary>(client.orderSummary.watch("o-1"), 1));
  const [first] = await gateway.run(take<Summary>(client.orderSummary.watch("o-1"), 1));
  expect(first?.asOf).toBe(7);
});

test("after a restore the value is what the restored store has, although its position is lower", async () => {
  const restored = (position: number): NetworkResponse =>
    reading({ customer: "ada", total: 2 }, position, {}, { "consistency-token": entry(position) });
  const gateway = world((request, count) => {
    if (count === 1) return summary(9, 9);
    return tokenOf(request)?.includes(".9.") ? problem(409, "token_epoch", { store: "orders", fork: 5 }) : restored(5);
  });
  const seen = await gateway.run(take<Summary>(gateway.client().orderSummary.watch("o-1"), 2));
  expect(seen.map(({ asOf, value }) => [asOf, value?.total])).toEqual([
    [9, 9],
    [5, 2],
  ]);
});
