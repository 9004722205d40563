// HTTP contract: POST /entities/{entity}/{id}/{command} and the headers that govern it.
import { afterEach, beforeEach, expect, test } from "vitest";
import { lines, placement, send, type Shop, startShop } from "./order-service.ts";

let shop: Shop;
beforeEach(async () => {
  shop = await startShop();
});
afterEach(() => shop.stop());

const post = (path: string, body?: unknown, headers?: Record<string, string>) =>
  send(shop.gateway, "POST", path, { ...(body === undefined ? {} : { body }), ...(headers ? { headers } : {}) });

test("an accepted command answers with the new state, its events, a token and what is pending", async () => {
  const { status, headers, body } = await post("/entities/order/o-1/place", placement);
  expect(status).toBe(200);
  expect(body).toMatchObject({ state: { status: "placed", total: 600 }, version: 1, pending: ["returnCode"] });
  expect(body.events).toHaveLength(1);
  expect(body.events[0]).toMatchObject({ type: "order.placed", version: 1, position: 1, data: placement });
  expect(body.events[0]?.at).toMatch(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/);
  expect(headers.get("content-type")).toBe("application/json");
  expect(headers.get("consistency-token")).toBe(body.token);
  expect(headers.get("etag")).toMatch(/^"[a-z0-9]+\.1"$/);
  expect(body).not.toHaveProperty("repeated");
});

test("a command that decides on no events is accepted at the version there is", async () => {
  const { status, body, headers } = await post("/entities/order/o-1/touch");
  expect([status, body.version, body.events, headers.get("etag")]).toEqual([200, 0, [], null]);
});

test("once visibility was measured, commands say how long their views take", async () => {
  const { body } = await post("/entities/order/o-1/place", placement);
  await shop.summaryReader.waitFor(body.events[0]!.position, 2000);
  const later = await post("/entities/order/o-2/place", placement);
  expect(Object.keys(later.body.visibilityMs)).toEqual(["p50", "p75", "p95", "p99"]);
});

test("a refused command is 409 with the entity's own reason, and nothing is remembered under its key", async () => {
  const headers = { "Idempotency-Key": "k-1" };
  const refused = await post("/entities/order/o-1/amend", { lines }, headers);
  expect(refused.status).toBe(409);
  expect(refused.headers.get("content-type")).toBe("application/problem+json");
  expect(refused.body).toMatchObject({ code: "rejected", retry: "never", status: 409, reason: "only a placed order can be amended" });
  await post("/entities/order/o-1/place", placement);
  expect((await post("/entities/order/o-1/amend", { lines }, headers)).status).toBe(200);
});

test("the same key and body get the first answer again, also when the entity would refuse by now", async () => {
  const headers = { "Idempotency-Key": "k-1" };
  const first = await post("/entities/order/o-1/place", placement, headers);
  await post("/entities/order/o-1/amend", { lines: [{ product: "tea", quantity: 9, price: 300 }] });
  const again = await post("/entities/order/o-1/place", { lines, customer: "ada" }, headers);
  expect(again.status).toBe(200);
  expect(again.body).toMatchObject({ ...first.body, repeated: true, visibilityMs: again.body.visibilityMs });
  expect(again.headers.get("etag")).toBe(first.headers.get("etag"));
});

test("a key may be written as a structured field, in quotes", async () => {
  await post("/entities/order/o-1/place", placement, { "Idempotency-Key": '"k-1"' });
  expect((await post("/entities/order/o-1/place", placement, { "Idempotency-Key": "k-1" })).body.repeated).toBe(true);
});

test("a key that is empty, too long or not ASCII is refused", async () => {
  for (const key of ["", '""', "k".repeat(256), "schlüssel", "a b"]) {
    const { status, body } = await post("/entities/order/o-1/place", placement, { "Idempotency-Key": key });
    expect([status, body.code]).toEqual([400, "invalid_input"]);
  }
});

test("the same key with another body is 422 idempotency_key_reused", async () => {
  const headers = { "Idempotency-Key": "k-1" };
  await post("/entities/order/o-1/place", placement, headers);
  const { status, body } = await post("/entities/order/o-1/place", { ...placement, customer: "bob" }, headers);
  expect([status, body.code]).toEqual([422, "idempotency_key_reused"]);
});

test("two actors may choose the same key", async () => {
  await post("/entities/order/o-1/place", placement, { "Idempotency-Key": "k-1", "Convergent-Actor": "ada" });
  const other = await post("/entities/order/o-2/place", placement, { "Idempotency-Key": "k-1", "Convergent-Actor": "bob" });
  expect(other.status).toBe(200);
  expect(other.body).not.toHaveProperty("repeated");
});

test("a second request with a key that is running waits for the first and gets its answer", async () => {
  const headers = { "Idempotency-Key": "k-1", Prefer: "wait=10" };
  shop.gate.close();
  const first = post("/entities/order/o-1/cancel", { reason: "late" }, headers);
  const second = post("/entities/order/o-1/cancel", { reason: "late" }, headers);
  const third = post("/entities/order/o-1/cancel", { reason: "late" }, headers);
  setTimeout(() => shop.gate.open(), 30);
  const answers = await Promise.all([first, second, third]);
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
  expect(answers.map(({ body }) => body.version)).toEqual([1, 1, 1]);
  expect(answers.filter(({ body }) => body.repeated)).toHaveLength(2);
});

test("a second request with a key that runs longer than its wait is 409 in_progress, to be asked again", async () => {
  shop.gate.close();
  const first = post("/entities/order/o-1/cancel", { reason: "late" }, { "Idempotency-Key": "k-1" });
  const second = await post("/entities/order/o-1/cancel", { reason: "late" }, { "Idempotency-Key": "k-1", Prefer: "wait=0" });
  expect([second.status, second.body.code, second.body.retry]).toEqual([409, "in_progress", "later"]);
  expect(Number(second.headers.get("retry-after"))).toBeGreaterThan(0);
  shop.gate.open();
  expect((await first).status).toBe(200);
});

test("If-Match with the last answer's ETag lets a command pass, and an older one is 412 with the present version and state", async () => {
  const placed = await post("/entities/order/o-1/place", placement);
  const first = placed.headers.get("etag")!;
  const amended = await post("/entities/order/o-1/amend", { lines }, { "If-Match": first });
  expect([amended.status, amended.body.version]).toEqual([200, 2]);
  const conflict = await post("/entities/order/o-1/amend", { lines }, { "If-Match": first });
  expect(conflict.status).toBe(412);
  expect(conflict.body).toMatchObject({ code: "version_conflict", version: 2, state: { status: "placed", total: 600 } });
  expect(conflict.headers.get("etag")).toBe(amended.headers.get("etag"));
});

test("an ETag of another epoch never matches, whatever its version", async () => {
  await post("/entities/order/o-1/place", placement);
  for (const tag of ['"otherepoch01.1"', 'W/"weak.1"', '"something else"'])
    expect((await post("/entities/order/o-1/amend", { lines }, { "If-Match": tag })).status).toBe(412);
});

test("If-None-Match: * means that the entity must not exist, If-Match: * that it must", async () => {
  const missing = await post("/entities/order/o-1/place", placement, { "If-Match": "*" });
  expect([missing.status, missing.body.version, missing.headers.get("etag")]).toEqual([412, 0, null]);
  expect((await post("/entities/order/o-1/place", placement, { "If-None-Match": "*" })).status).toBe(200);
  const exists = await post("/entities/order/o-1/place", placement, { "If-None-Match": "*" });
  expect([exists.status, exists.body.code, exists.body.version]).toEqual([412, "version_conflict", 1]);
  expect((await post("/entities/order/o-1/amend", { lines }, { "If-Match": "*" })).status).toBe(200);
});

test("a condition that nobody can mean is 400", async () => {
  const conditions: Record<string, string>[] = [
    { "If-Match": "1" },
    { "If-Match": '"a.1", "a.2"' },
    { "If-None-Match": '"a.1"' },
    { "If-Match": "*", "If-None-Match": "*" },
  ];
  for (const headers of conditions) {
    const { status, body } = await post("/entities/order/o-1/place", placement, headers);
    expect([status, body.code]).toEqual([400, "invalid_input"]);
  }
});

test("actor, key and trace context are kept with the events; a malformed trace context is ignored", async () => {
  const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  await post("/entities/order/o-1/place", placement, { traceparent, "Convergent-Actor": "ada", "Idempotency-Key": "k-1" });
  await post("/entities/order/o-1/amend", { lines }, { traceparent: "00-zz-01" });
  const { body } = await send(shop.gateway, "GET", "/entities/order/o-1/events");
  expect(body.events.map((event) => event.metadata)).toEqual([{ cause: "k-1", actor: "ada", trace: traceparent }, {}]);
});

test("a token on a command is checked: forged is 400 and nothing is written", async () => {
  const { body } = await post("/entities/order/o-1/place", placement);
  const forged = body.token.replace(/.$/, (last) => (last === "A" ? "B" : "A"));
  for (const token of [forged, "nonsense"]) {
    const answer = await post("/entities/order/o-1/amend", { lines }, { "Consistency-Token": token });
    expect([answer.status, answer.body.code]).toEqual([400, "token_invalid"]);
  }
  expect((await post("/entities/order/o-1/amend", { lines }, { "Consistency-Token": body.token })).body.version).toBe(2);
});
