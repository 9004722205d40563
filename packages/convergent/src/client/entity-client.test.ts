// Commands and reads of an entity: what is sent, and what is made of the answers.
import { expect, test } from "vitest";
import { answer, entry, failure, placed, problem, tokenOf, world } from "./scripted-gateway.fixture.ts";

test("a command is sent with a key of its own, and its answer is a value", async () => {
  const visibilityMs = { p50: 1, p75: 2, p95: 3, p99: 4 };
  const gateway = world(() => placed(1, { pending: ["returnCode"], visibilityMs }));
  const outcome = await gateway.run(
    gateway
      .client({ actor: "ada", headers: { "x-tenant": "t" } })
      .order("o/1 ä")
      .place({ total: 3 }),
  );
  expect(gateway.last).toMatchObject({
    method: "POST",
    url: "http://gateway/entities/order/o%2F1%20%C3%A4/place",
    body: '{"total":3}',
    headers: { "idempotency-key": "id-1", "convergent-actor": "ada", "x-tenant": "t", "content-type": "application/json" },
  });
  expect(outcome).toMatchObject({
    kind: "accepted",
    state: { status: "placed" },
    version: 1,
    pending: ["returnCode"],
    repeated: false,
    visibilityMs,
  });
  expect(outcome.kind === "accepted" && outcome.events[0]?.at).toBe(1_767_225_600_000);
});

test("an answer without the state, which the policy hides from this caller, is an accepted command like any other", async () => {
  const gateway = world((_, count) => placed(count, count === 1 ? { state: undefined } : {}));
  const client = gateway.client();
  const outcome = await gateway.run(client.order("o-1").place({ total: 1 }));
  expect(outcome).toMatchObject({ kind: "accepted", state: undefined, version: 1, events: [{ version: 1 }], pending: [], repeated: false });
  expect(gateway.requests).toHaveLength(1);
  await gateway.run(client.order("o-1").place({ total: 2 }, { expected: 1 }));
  expect(gateway.last.headers).toMatchObject({ "if-match": '"e1.1"' }); // what it learnt of the version holds
  expect(client.session.token?.toString()).toBe(entry(2));
});

test("refusals and conflicts are values", async () => {
  const gateway = world((_, count) =>
    count === 1
      ? problem(409, "rejected", { reason: "already placed" })
      : problem(412, "version_conflict", { version: 4, state: { status: "placed" } }),
  );
  const client = gateway.client();
  expect(await gateway.run(client.order("o-1").place({ total: 1 }))).toEqual({ kind: "rejected", reason: "already placed" });
  expect(await gateway.run(client.order("o-1").place({ total: 1 }, { expected: "none" }))).toEqual({
    kind: "conflict",
    expected: "none",
    changed: [],
    fields: [],
    mergeable: false,
    version: 4,
    state: { status: "placed" },
  });
});

test("what cannot travel is refused before anything is sent", async () => {
  const gateway = world(() => placed());
  const client = gateway.client();
  for (const id of ["", "..", ".", "\ud800"])
    expect(await gateway.run(failure(client.order(id).place({ total: 1 })))).toMatchObject({ code: "invalid_input" });
  for (const id of ["", "two words", "ä", "a\r\nb"])
    expect(await gateway.run(failure(client.order("o-1").place({ total: 1 }, { id })))).toMatchObject({ code: "invalid_input" });
  expect(await gateway.run(failure(client.order("o-1").place({ total: 1 }, { actor: "Zoë" })))).toMatchObject({ code: "invalid_input" });
  expect(await gateway.run(failure(client.orderSummary.find({ total: Number.NaN })))).toMatchObject({ code: "invalid_input" });
  expect(gateway.requests).toEqual([]);
});

test("a version is sent with the epoch it was seen in; where none is known, the entity is asked first", async () => {
  const gateway = world((request) =>
    request.method === "GET" ? answer(200, { state: {}, version: 7, token: entry(7) }, { etag: '"e9.7"' }) : placed(8),
  );
  const client = gateway.client();
  await gateway.run(client.order("o-1").place({ total: 1 }, { expected: 3 }));
  expect(gateway.requests.map(({ method, headers }) => [method, headers["if-match"]])).toEqual([
    ["GET", undefined],
    ["POST", '"e9.3"'],
  ]);
  await gateway.run(client.order("o-1").place({ total: 1 }, { expected: 8 }));
  expect(gateway.last.headers["if-match"]).toBe('"e1.8"');
  expect(gateway.requests).toHaveLength(3);
});

test("a version of an entity that does not exist is sent as a condition that cannot hold", async () => {
  const gateway = world((request) =>
    request.method === "GET"
      ? problem(404, "entity_not_found")
      : problem(412, "version_conflict", { version: 0, state: { status: "none" } }),
  );
  expect(await gateway.run(gateway.client().order("o-1").place({ total: 1 }, { expected: 3 }))).toMatchObject({
    kind: "conflict",
    version: 0,
  });
  expect(gateway.last.headers["if-match"]).toBe('"none.1"');
});

test("the audit trail is read page by page up to the limit", async () => {
  const gateway = world((request) => {
    const { searchParams } = new URL(request.url);
    const after = Number(searchParams.get("after"));
    const count = Math.min(2, Number(searchParams.get("limit")));
    const events = Array.from({ length: count }, (_, index) => ({
      id: `v-${after + index + 1}`,
      type: "order.placed",
      version: after + index + 1,
      position: after + index + 1,
      at: "2026-01-01T00:00:00.000Z",
      data: null,
      metadata: { actor: "ada" },
    }));
    return answer(200, { events, next: after + count });
  });
  const events = await gateway.run(gateway.client().order.events("o-1", { after: 1, limit: 5 }));
  expect(events.map(({ version }) => version)).toEqual([2, 3, 4, 5, 6]);
  expect(events[0]).toMatchObject({ entity: "order", entityId: "o-1", metadata: { actor: "ada" }, at: 1_767_225_600_000 });
});

test("a state as it was asks for no freshness; a present one for what the session wrote", async () => {
  const gateway = world(() =>
    answer(200, { state: { status: "placed" }, version: 2, token: entry(2), fresh: false, unchecked: ["stock"] }),
  );
  const client = gateway.client({ token: entry(9, "stock") });
  const past = { version: 2 };
  await gateway.run(client.order.state("o-1", past));
  expect([gateway.last.url, tokenOf(gateway.last)]).toEqual(["http://gateway/entities/order/o-1?version=2", undefined]);
  const now = await gateway.run(client.order.state("o-1"));
  expect(tokenOf(gateway.last)).toBe(entry(9, "stock"));
  expect(now).toMatchObject({ state: { status: "placed" }, version: 2, pending: [], fresh: false, unchecked: ["stock"] });
  await gateway.run(client.order.state("o-1", { at: new Date(0) }));
  expect(gateway.last.url).toBe("http://gateway/entities/order/o-1?at=1970-01-01T00%3A00%3A00.000Z");
});
