// HTTP contract: what is refused of sagas and why, who may do what with them, and ids that are voided.
import { type Asked, createGateway, type Gateway, type GatewayOptions, type PolicyTable } from "@convergent/server";
import { runtimeOf, streamOf } from "convergent";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { send } from "./order-service.ts";
import { codeOf, isHeld, sagaOf, Travel, trip } from "./saga-service.ts";

let site: Travel;
beforeEach(async () => {
  site = await Travel.open();
});
afterEach(() => site.running.stop());

describe("bad input", () => {
  const cases: Array<[what: string, method: "POST" | "GET", path: string, body: unknown, status: number, code: string]> = [
    ["an unknown saga", "POST", "/sagas/amend", {}, 404, "not_found"],
    ["an entity that is no saga", "POST", "/sagas/booking/b-1", {}, 404, "not_found"],
    ["an id that there is none of", "GET", "/sagas/approval/none", undefined, 404, "saga_not_found"],
    ["a signal to an id that there is none of", "POST", "/sagas/approval/none/signals/decided", {}, 404, "saga_not_found"],
    ["a cancellation of an id that there is none of", "POST", "/sagas/approval/none/cancel", {}, 404, "saga_not_found"],
    ["a retry of an id that there is none of", "POST", "/sagas/approval/none/retry", { reason: "x" }, 404, "saga_not_found"],
    ["a retry of one that is not parked", "POST", "/sagas/approval/a-1/retry", { reason: "x" }, 409, "saga_ended"],
    ["an input that does not meet the schema", "POST", "/sagas/approval/a-2", { amount: "3" }, 400, "invalid_input"],
    ["an input that is missing", "POST", "/sagas/approval/a-2", undefined, 400, "invalid_input"],
    ["a body that is no JSON", "POST", "/sagas/approval/a-2", "{", 400, "invalid_input"],
    ["a body that reaches into prototypes", "POST", "/sagas/approval/a-2", '{"__proto__":{}}', 400, "invalid_input"],
    ["a body that is too large", "POST", "/sagas/approval/a-2", `"${"a".repeat(1_000_001)}"`, 413, "payload_too_large"],
    ["data that is no JSON", "POST", "/sagas/approval/a-1/signals/decided", "{", 400, "invalid_input"],
    ["an id that is too long", "POST", `/sagas/approval/${"a".repeat(257)}`, { amount: 3 }, 400, "invalid_input"],
    ["a read of an id that is too long", "GET", `/sagas/approval/${"a".repeat(257)}`, undefined, 400, "invalid_input"],
    ["an id with a zero", "POST", "/sagas/approval/a%00b", { amount: 3 }, 400, "invalid_input"],
    ["a signal's name that is too long", "POST", `/sagas/approval/a-1/signals/${"a".repeat(257)}`, {}, 400, "invalid_input"],
    ["a reason that is no text", "POST", "/sagas/approval/a-1/cancel", { reason: 3 }, 400, "invalid_input"],
    ["a reason that is too long", "POST", "/sagas/approval/a-1/cancel", { reason: "a".repeat(1001) }, 400, "invalid_input"],
    ["a cancellation that is a list", "POST", "/sagas/approval/a-1/cancel", [], 400, "invalid_input"],
    ["an operator without a reason", "POST", "/sagas/approval/a-1/resolve", undefined, 400, "invalid_input"],
  ];

  test.each(cases)("%s is refused with a problem that says so", async (_, method, path, body, status, code) => {
    await site.waiting("a-1");
    const answer = await send(site.gateway, method, path, { body });
    expect(codeOf(answer)).toEqual([status, code]);
    expect(answer.headers.get("content-type")).toBe("application/problem+json");
    expect(answer.body.detail).not.toBe("");
    expect(sagaOf(await site.get("/sagas/approval/a-1"))).toMatchObject({ status: "running", version: 4 });
    expect((await site.get("/sagas/approval/a-2")).status).toBe(404);
  });

  test("a key that is no id is refused, and so is an id that no address can hold", async () => {
    for (const key of ["", "a b", "a".repeat(256), ".", ".."])
      expect(codeOf(await site.post("/sagas/approval", { amount: 3 }, { "Idempotency-Key": key }))).toEqual([400, "invalid_input"]);
    expect((await site.get("/sagas/approval", {})).status).toBe(405);
  });
});

describe("where callers are authenticated", () => {
  const under = (policy: GatewayOptions["policy"], limits?: GatewayOptions["limits"]): Gateway =>
    createGateway([site.running], {
      authenticate: (request) => ({ subject: request.headers.get("x-user") ?? "nobody", claims: {}, scopes: new Set() }),
      ...(policy === undefined ? {} : { policy }),
      ...(limits ? { limits } : {}),
    });
  const as = (user: string, key?: string) => ({ "X-User": user, ...(key === undefined ? {} : { "Idempotency-Key": key }) });
  const requests: Array<[method: "POST" | "GET", path: string, body?: unknown]> = [
    ["POST", "/sagas/approval/a-1", { amount: 3 }],
    ["GET", "/sagas/approval/a-1"],
    ["POST", "/sagas/approval/a-1/signals/decided", { by: "ada" }],
    ["POST", "/sagas/approval/a-1/cancel", { reason: "x" }],
    ["POST", "/sagas/approval/a-1/retry", { reason: "y" }],
    ["POST", "/sagas/approval/a-1/resolve", { reason: "z" }],
    ["POST", "/services/travel/ids/k-1/void"],
  ];

  test("nothing is allowed without a policy, and nothing is done", async () => {
    await site.waiting("a-1");
    const to = under(undefined);
    for (const [method, path, body] of requests)
      expect([path, codeOf(await send(to, method, path, { body, headers: as("ada") }))]).toEqual([path, [403, "forbidden"]]);
    expect(sagaOf(await site.get("/sagas/approval/a-1")).version).toBe(4);
  });

  test("a policy is asked about each with all that is asked for", async () => {
    const asked: Asked[] = [];
    const to = under((question) => asked.push(question) > 0);
    for (const [method, path, body] of requests) await send(to, method, path, { body, headers: as("ada") });
    const caller = { subject: "ada", claims: {}, scopes: new Set() };
    const of = { caller, name: "approval", id: "a-1" };
    expect(asked).toEqual([
      { kind: "saga-start", ...of, input: { amount: 3 } },
      { kind: "saga-read", ...of },
      { kind: "saga-signal", ...of, signal: "decided", data: { by: "ada" } },
      { kind: "saga-cancel", ...of, reason: "x" },
      { kind: "saga-operate", ...of, action: "retry", reason: "y" },
      { kind: "saga-operate", ...of, action: "resolve", reason: "z" },
      { kind: "void", caller, service: "travel", id: "k-1" },
    ]);
  });

  test("rules stand in the table by saga and action; a rule about something else is refused", async () => {
    const isAda = ({ caller }: Asked): boolean => caller.subject === "ada";
    const to = under({ sagas: { "approval.start": true, "approval.*": isAda, "book-trip.read": true }, void: isAda });
    const statusOf = async (user: string): Promise<number[]> => {
      const statuses = [];
      for (const [method, path, body] of requests) statuses.push((await send(to, method, path, { body, headers: as(user) })).status);
      return statuses;
    };
    expect(await statusOf("bob")).toEqual([202, 403, 403, 403, 403, 403, 403]);
    expect(await statusOf("ada")).toEqual([202, 200, 202, 202, 409, 409, 200]);
    expect((await site.post("/sagas/book-trip/t-1", trip, as("ada"), to)).status).toBe(403);
    for (const sagas of [{ "approval.stop": true }, { approval: true }, { "nothing.*": true }] as Array<PolicyTable["sagas"]>)
      expect(() => under({ sagas: sagas! })).toThrow(/has a rule for the saga/);
  });

  test("one that the policy hides is answered, in the very words, like one that is not there, and nobody is kept waiting for it", async () => {
    const to = under((asked) =>
      asked.kind === "saga-read"
        ? { allow: true, visible: (state) => (state as { input: { customer: string } }).input.customer === asked.caller.subject }
        : true,
    );
    await site.post("/sagas/approval/a-1", { amount: 3, customer: "ada" }, as("ada"), to);
    expect((await site.get("/sagas/approval/a-1", as("ada"), to)).status).toBe(200);
    const asking = site.get("/sagas/approval/a-1", { ...as("bob"), Prefer: "wait=20" }, to);
    expect(await isHeld(asking)).toBe(false);
    const hidden = await asking;
    const missing = await site.get("/sagas/approval/a-2", as("bob"), to);
    expect(hidden.status).toBe(404);
    expect(hidden.text.replaceAll("a-1", "a-2")).toBe(missing.text);
  });

  test("events name the caller, and keys of signals belong to their caller", async () => {
    const to = under(() => true);
    await site.post("/sagas/approval/a-1", { amount: 3 }, as("ada"), to);
    await expect.poll(async () => sagaOf(await site.get("/sagas/approval/a-1")).version, { timeout: 10_000 }).toBe(4);
    for (const user of ["ada", "bob"]) await site.post("/sagas/approval/a-1/signals/decided", { by: user }, as(user, "k-1"), to);
    expect(sagaOf(await site.ended("/sagas/approval/a-1"))).toMatchObject({ result: { by: ["ada", "bob"] } });
    const events = await runtimeOf(site.running).log.stream(streamOf("approval", "a-1"));
    const signalled = events.filter(({ type }) => type === "approval.signalled");
    expect(signalled.map(({ metadata }) => JSON.parse(metadata) as unknown)).toMatchObject([
      { actor: "ada", cause: "k-1" },
      { actor: "bob", cause: "k-1" },
    ]);
  });

  test("answers that are held back count among those of one caller that may wait", async () => {
    const to = under(() => true, { waiting: 2 });
    const path = await site.waiting("a-1");
    const held = [1, 2].map(() => site.get(path, { ...as("ada"), Prefer: "wait=20" }, to));
    expect(await isHeld(Promise.race(held))).toBe(true);
    expect(codeOf(await site.get(path, { ...as("ada"), Prefer: "wait=20" }, to))).toEqual([429, "too_many_requests"]);
    expect((await site.get(path, as("ada"), to)).status).toBe(200);
    await site.post(`${path}/cancel`);
    for (const answer of held) expect((await answer).status).toBe(200);
    expect((await site.get(path, { ...as("ada"), Prefer: "wait=20" }, to)).status).toBe(200);
  });
});

describe("ids are voided", () => {
  const book = (key: string, headers: Record<string, string> = {}) =>
    site.post("/entities/booking/b-1/book", { seats: 2 }, { "Idempotency-Key": key, ...headers });
  const voided = (key: string, headers: Record<string, string> = {}) => site.post(`/services/travel/ids/${key}/void`, undefined, headers);

  test("a command under such a key is refused for ever; one that took effect says so, with the token that holds it", async () => {
    const never = await voided("k-1");
    expect([never.status, never.body]).toEqual([200, { void: true }]);
    expect(codeOf(await book("k-1"))).toEqual([409, "id_voided"]);
    expect((await voided("k-1")).body).toEqual({ void: true });
    const done = await book("k-2");
    const late = await voided("k-2");
    expect([late.body, late.headers.get("consistency-token")]).toEqual([{ void: false }, done.body.token]);
    expect((await book("k-2")).body.repeated).toBe(true);
  });

  test("each caller voids the keys of his own", async () => {
    expect((await voided("k-1", { "Convergent-Actor": "ada" })).body).toEqual({ void: true });
    expect((await book("k-1", { "Convergent-Actor": "bob" })).status).toBe(200);
    expect(codeOf(await book("k-1", { "Convergent-Actor": "ada" }))).toEqual([409, "id_voided"]);
  });

  test("an unknown service is 404 with the known ones, and an id that no key can be is 400", async () => {
    const unknown = await site.post("/services/payments/ids/k-1/void");
    expect([codeOf(unknown), unknown.body.known]).toEqual([[404, "not_found"], ["travel"]]);
    expect(codeOf(await site.post(`/services/travel/ids/${"a".repeat(256)}/void`))).toEqual([400, "invalid_input"]);
  });
});
