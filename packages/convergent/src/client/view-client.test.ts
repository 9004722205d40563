// Reads of a view: conditions and pages, and polling until a document is there.
import { expect, test } from "vitest";
import type { NetworkRequest, NetworkResponse } from "../host/host.ts";
import { entry, failure, lost, placed, problem, reading, tokenOf, world } from "./scripted-gateway.fixture.ts";

test("conditions, order and page travel as JSON; levels as headers", async () => {
  const gateway = world(() => reading([{ key: "o-1", value: { customer: "42", total: 1 } }], 5, { cursor: "next" }));
  const page = await gateway.run(
    gateway
      .client()
      .orderSummary.find(
        { customer: "42", total: { from: 1 } },
        { orderBy: "total", descending: true, limit: 1, cursor: "c/1", strong: true },
      ),
  );
  expect(page).toMatchObject({ cursor: "next", value: [{ key: "o-1", value: { customer: "42", total: 1 } }] });
  const url = new URL(gateway.last.url);
  expect([...url.searchParams]).toEqual([
    ["customer.is", '"42"'],
    ["total.from", "1"],
    ["orderBy", "total"],
    ["order", "desc"],
    ["limit", "1"],
    ["cursor", "c/1"],
  ]);
  expect(gateway.last.headers["cache-control"]).toBe("no-cache");
});

test("every page follows the one before by its cursor", async () => {
  const gateway = world((_, count) =>
    reading([{ key: `o-${count}`, value: { customer: "ada", total: 1 } }], 5, count < 3 ? { cursor: `c-${count}` } : {}),
  );
  const keys: string[] = [];
  const all = async (): Promise<void> => {
    for await (const page of gateway.client().orderSummary.pages({ customer: "ada" })) keys.push(...page.value.map(({ key }) => key));
  };
  await gateway.run(all());
  expect(keys).toEqual(["o-1", "o-2", "o-3"]);
  expect(gateway.requests.map(({ url }) => new URL(url).searchParams.get("cursor"))).toEqual([null, "c-1", "c-2"]);
});

test("a missing document is a reading and not an error; a missing view is an error", async () => {
  const gateway = world((_, count) =>
    count === 1
      ? problem(404, "not_found", { value: null, asOf: 4, behind: { positions: 0, ms: 0 }, fresh: true }, { "consistency-token": entry(4) })
      : problem(404, "not_found", { known: ["other"] }),
  );
  const client = gateway.client();
  expect(await gateway.run(client.orderSummary.get("o-1"))).toMatchObject({ value: undefined, asOf: 4, fresh: true });
  expect(await gateway.run(failure(client.orderSummary.get("o-1")))).toMatchObject({ code: "not_found" });
  expect(tokenOf(gateway.last)).toBe(entry(4));
});

const stale = (
  position: number,
  extra: Readonly<Record<string, unknown>> = {},
  headers: Readonly<Record<string, string>> = {},
): NetworkResponse => reading(null, position, { fresh: false, behind: { positions: 1, ms: 5 }, ...extra }, headers);

test("polling asks without waiting at the server, at the measured pace, until the answer is fresh", async () => {
  const visibilityMs = { p50: 20, p75: 40, p95: 90, p99: 200 };
  const gateway = world((_, count) => (count < 6 ? stale(1, { visibilityMs }) : reading({ customer: "ada", total: 1 }, 9)));
  const attempts: number[] = [];
  const options = { after: entry(9), onAttempt: ({ nextMs }: { nextMs: number }) => attempts.push(nextMs) };
  const answered = await gateway.run(gateway.client().orderSummary.poll("o-1", options));
  expect(answered).toMatchObject({ fresh: true, value: { customer: "ada" } });
  expect(
    gateway.requests.every(({ headers }) => headers["prefer"] === "wait=0" && tokenOf({ headers } as NetworkRequest) === entry(9)),
  ).toBe(true);
  expect(attempts.map(Math.round)).toEqual([44, 99, 220, 330, 495]);
  expect(gateway.now).toBeCloseTo(44 + 99 + 220 + 330 + 495, 5);
});

test("polling follows the server's Retry-After-Ms", async () => {
  const visibilityMs = { p50: 20, p75: 40, p95: 90, p99: 200 };
  const gateway = world((_, count) =>
    count < 3 ? stale(1, { visibilityMs }, { "retry-after-ms": "15", "retry-after": "1" }) : reading(null, 9),
  );
  await gateway.run(gateway.client().orderSummary.poll("o-1", { after: entry(9) }));
  expect(gateway.times).toEqual([0, 16.5, 33]);
});

test("polling ends at its limit with the last reading, labelled as not fresh", async () => {
  const gateway = world((_, count) => stale(count));
  const answered = await gateway.run(gateway.client().orderSummary.poll("o-1", { after: entry(99), timeout: "10s", interval: "2s" }));
  expect(answered).toMatchObject({ fresh: false, asOf: gateway.requests.length });
  expect(gateway.now).toBeLessThanOrEqual(10_000);
  expect(gateway.now).toBe(10_000);
  expect(gateway.requests).toHaveLength(8);
});

test("polling asks for no more time than is left, and not at all when the server asks for longer", async () => {
  const gateway = world(() => stale(1, {}, { "retry-after": "60" }));
  expect(await gateway.run(gateway.client().orderSummary.poll("o-1", { after: entry(9), timeout: "5s" }))).toMatchObject({ fresh: false });
  expect(gateway.now).toBe(0);
});

test("polling waits for what was written before it began", async () => {
  const gateway = world((request, count) => (request.method === "POST" ? placed(count) : count < 4 ? stale(1) : reading(null, 9)));
  const client = gateway.client();
  await gateway.run(client.order("o-1").place({ total: 1 }));
  const polling = client.orderSummary.poll("o-1", { onAttempt: () => client.session.merge(entry(50)) });
  await gateway.run(polling);
  expect(gateway.requests.slice(1).map(tokenOf)).toEqual([entry(1), entry(1), entry(1)]);
});

test("polling past a restore tells of the loss once and goes on without the lost entry", async () => {
  const gateway = world((request, count) => {
    if (tokenOf(request)?.includes(".9.")) return problem(409, "token_epoch", { store: "orders", fork: 5 });
    return count < 4 ? stale(count) : reading(null, 9);
  });
  const told: unknown[] = [];
  await gateway.run(gateway.client({ onHistoryLost: (lost) => told.push(lost) }).orderSummary.poll("o-1", { after: entry(9) }));
  expect(told).toHaveLength(1);
});

test("polling with a condition goes on after the answer is fresh, and labels an unmet condition as not fresh", async () => {
  const gateway = world((_, count) => reading({ customer: "ada", total: count }, 9));
  const client = gateway.client();
  const met = await gateway.run(client.orderSummary.poll("o-1", { after: entry(9), until: ({ value }) => value?.total === 3 }));
  expect(met).toMatchObject({ fresh: true, value: { total: 3 } });
  expect(await gateway.run(client.orderSummary.poll("o-1", { until: () => false, timeout: "3s" }))).toMatchObject({ fresh: false });
});

test("without a token a condition of the caller's own is enough, however far behind the view is", async () => {
  const gateway = world(() => stale(4));
  expect(await gateway.run(gateway.client().orderSummary.poll("o-1", { until: ({ asOf }) => asOf >= 4 }))).toMatchObject({ fresh: true });
  expect(gateway.requests).toHaveLength(1);
});

test("polling is cancelled at once, with the signal's reason", async () => {
  const controller = new AbortController();
  const gateway = world(() => stale(1));
  const onAttempt = ({ attempt }: { attempt: number }): void => {
    if (attempt === 2) controller.abort(new Error("page closed"));
  };
  await expect(
    gateway.run(gateway.client().orderSummary.poll("o-1", { after: entry(9), signal: controller.signal, onAttempt })),
  ).rejects.toThrow("page closed");
  expect(gateway.requests).toHaveLength(2);
});

test("polling survives a gateway that goes away: the last reading is answered at the limit", async () => {
  const gateway = world((_, count) => (count === 1 ? stale(1) : lost()));
  expect(await gateway.run(gateway.client().orderSummary.poll("o-1", { after: entry(9), timeout: "4s" }))).toMatchObject({
    fresh: false,
    asOf: 1,
  });
  expect(gateway.now).toBeLessThanOrEqual(4000);
  const dead = world(() => lost());
  expect(await dead.run(failure(dead.client().orderSummary.poll("o-1", { timeout: "4s" })))).toMatchObject({ code: "unavailable" });
});

test("polling does not wait for a store of which nothing is known there, and says so", async () => {
  const gateway = world((request) =>
    tokenOf(request)?.includes("stock.") ? stale(4, { unchecked: ["stock"] }) : reading({ customer: "ada", total: 1 }, 9),
  );
  const answered = await gateway.run(gateway.client().orderSummary.poll("o-1", { after: `${entry(9)},${entry(1, "stock")}` }));
  expect(answered).toMatchObject({ fresh: false, unchecked: ["stock"], value: { customer: "ada" } });
  expect(gateway.requests).toHaveLength(4);
});
