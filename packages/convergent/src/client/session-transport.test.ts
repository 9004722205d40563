// What a session has seen, sent along with its requests, and what becomes of it past a restore.
import { expect, test } from "vitest";
import { entry, failure, placed, problem, reading, type Script, tokenOf, world } from "./scripted-gateway.fixture.ts";

test("a view is asked for what this session wrote; a later read of it for what was seen there", async () => {
  const gateway = world((request, count) => (request.method === "POST" ? placed(3) : reading({ customer: "ada", total: 1 }, 3 + count)));
  const client = gateway.client();
  await gateway.run(client.order("o-1").place({ total: 1 }));
  await gateway.run(client.orderSummary.get("o-1"));
  expect(tokenOf(gateway.last)).toBe(entry(3));
  await gateway.run(client.orderSummary.get("o-1"));
  expect(tokenOf(gateway.last)).toBe(entry(5));
  await gateway.run(client.customerOrders.get("ada"));
  expect(tokenOf(gateway.last)).toBe(entry(3));
  await gateway.run(client.orderSummary.get("o-1", { after: null }));
  expect(tokenOf(gateway.last)).toBeUndefined();
  expect(String(client.session.token)).toBe(entry(3));
});

test("in a causal session one view is asked for what another one showed", async () => {
  const gateway = world(() => reading({ customer: "ada", total: 1 }, 8));
  const client = gateway.client({ causal: true, token: entry(2) });
  await gateway.run(client.orderSummary.get("o-1"));
  expect(tokenOf(gateway.last)).toBe(entry(2));
  await gateway.run(client.customerOrders.get("ada"));
  expect(tokenOf(gateway.last)).toBe(entry(8));
});

test("a read past a restore goes on without the lost entry, and the application hears of it once", async () => {
  const gateway = world((request) =>
    tokenOf(request)?.includes("orders.")
      ? problem(409, "token_epoch", { store: "orders", position: 9, fork: 5 })
      : reading({ customer: "ada", total: 1 }, 5),
  );
  const told: unknown[] = [];
  const client = gateway.client({ token: `${entry(9)},${entry(1, "stock")}`, onHistoryLost: (lost) => told.push(lost) });
  const answered = await gateway.run(client.orderSummary.get("o-1"));
  expect(answered.value).toEqual({ customer: "ada", total: 1 });
  expect(told).toEqual([{ store: "orders", fork: 5 }]);
  expect(String(client.session.token)).toBe(entry(1, "stock"));
  expect(gateway.requests.map(tokenOf)).toEqual([`${entry(9)},${entry(1, "stock")}`, entry(1, "stock")]);
});

test("a token that the caller names is left out likewise", async () => {
  const gateway = world((request) => (tokenOf(request) ? problem(409, "token_epoch", { store: "orders", fork: 5 }) : reading(null, 5)));
  expect((await gateway.run(gateway.client().orderSummary.get("o-1", { after: entry(9) }))).asOf).toBe(5);
  expect(gateway.requests).toHaveLength(2);
});

test("a command past a restore is refused to its author, who hears of the loss before anything is written", async () => {
  const gateway = world((request) => (tokenOf(request) ? problem(409, "token_epoch", { store: "orders", fork: 5 }) : placed(6)));
  const told: unknown[] = [];
  const client = gateway.client({ token: entry(9), onHistoryLost: (lost) => told.push(lost) });
  expect(await gateway.run(failure(client.order("o-1").place({ total: 1 })))).toMatchObject({
    code: "token_epoch",
    details: { fork: 5, id: "id-1" },
  });
  expect(told).toHaveLength(1);
  expect((await gateway.run(client.order("o-1").place({ total: 1 }))).kind).toBe("accepted");
});

test("an entry that its store no longer signs is reported as a lost history and dropped; reads and commands go on without it", async () => {
  const script: Script = (request) => {
    if (tokenOf(request)?.includes("orders.")) return problem(400, "token_invalid", { store: "orders" });
    return request.method === "POST" ? placed(6) : reading(null, 5);
  };
  const told: unknown[] = [];
  const options = { token: `${entry(9)},${entry(1, "stock")}`, onHistoryLost: (lost: unknown) => told.push(lost) };
  const reading1 = world(script);
  expect((await reading1.run(reading1.client(options).orderSummary.get("o-1"))).asOf).toBe(5);
  const writing = world(script);
  expect((await writing.run(writing.client(options).order("o-1").place({ total: 1 }))).kind).toBe("accepted");
  expect(writing.requests.map(({ headers }) => headers["idempotency-key"])).toEqual(["id-1", "id-1"]);
  const hopeless = world(() => problem(400, "token_invalid"));
  expect(await hopeless.run(failure(hopeless.client(options).orderSummary.get("o-1")))).toMatchObject({ code: "token_invalid" });
  expect(hopeless.requests.map(tokenOf)).toEqual([options.token, undefined]);
  const replaced = { store: "orders", fork: undefined };
  expect(told).toEqual([replaced, replaced]);
});

test("of several reads that meet a restore at once, one tells of it", async () => {
  const gateway = world((request) => (tokenOf(request) ? problem(409, "token_epoch", { store: "orders", fork: 5 }) : reading(null, 5)));
  const told: unknown[] = [];
  const client = gateway.client({ token: entry(9), onHistoryLost: (lost) => told.push(lost) });
  await gateway.run(Promise.all(["a", "b", "c"].map((key) => client.orderSummary.get(key))));
  expect(told).toEqual([{ store: "orders", fork: 5 }]);
});
