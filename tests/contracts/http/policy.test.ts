// HTTP contract: what callers may do. Everything is denied that a policy does not allow; what is narrowed away does not exist.
import { type Asked, createGateway, type Gateway, type Policy, type PolicyTable, type Verdict } from "@convergent/server";
import type { wire } from "convergent";
import { afterEach, beforeEach, expect, test } from "vitest";
import { blank } from "../conflicts/forms.ts";
import { startForms } from "./form-service.ts";
import { type Answer, keysOf, placement, send, type Shop, startShop } from "./order-service.ts";

let shop: Shop;
beforeEach(async () => {
  shop = await startShop();
});
afterEach(() => shop.stop());

// Who asks is said by a header here: how it is proved is another test's subject.
const authenticate = (request: Request) => {
  const subject = request.headers.get("x-user") ?? "ada";
  return { subject, claims: { tenant: subject }, scopes: new Set(request.headers.get("x-scopes")?.split(" ")) };
};
const under = (policy?: Policy | PolicyTable): Gateway =>
  createGateway(shop.services, { authenticate, onError: (error) => shop.errors.push(error), ...(policy === undefined ? {} : { policy }) });
const get = (gateway: Gateway, path: string, user = "ada", headers: Record<string, string> = {}): Promise<Answer> =>
  send(gateway, "GET", path, { headers: { "X-User": user, ...headers } });
const place = (gateway: Gateway, id: string, user = "ada"): Promise<Answer> =>
  send(gateway, "POST", `/entities/order/${id}/place`, { body: { ...placement, customer: user }, headers: { "X-User": user } });
const now = { "Cache-Control": "no-cache", Prefer: "wait=5" };

const addresses = [
  "/definition",
  "/readers",
  "/metrics",
  "/entities/order/o-1",
  "/entities/order/o-1/events",
  "/views/order-summary/o-1",
  "/views/order-summary",
];

test("without a policy an authenticated caller may do nothing but ask the probes", async () => {
  const gateway = under();
  for (const path of addresses) expect([path, (await get(gateway, path)).status]).toEqual([path, 403]);
  const command = await place(gateway, "o-1");
  expect([command.status, command.body.code]).toEqual([403, "forbidden"]);
  for (const path of ["/healthz", "/readyz"]) expect((await get(gateway, path)).status).toBe(200);
  expect((await send(shop.gateway, "GET", "/entities/order/o-1")).status).toBe(404); // nothing was written
});

test("a policy is asked once for each request, and of a command whether its answer may show the entity, with the caller and all that is asked for", async () => {
  const asked: Asked[] = [];
  const gateway = under((question) => asked.push(question) > 0);
  await place(gateway, "o%2F1");
  for (const path of addresses) await get(gateway, path);
  await get(gateway, "/views/order-summary?customer=ada&total.from=3");
  const caller = { subject: "ada", claims: { tenant: "ada" }, scopes: new Set() };
  expect(asked).toEqual([
    { kind: "command", caller, name: "order", id: "o/1", command: "place", input: { ...placement, customer: "ada" } },
    { kind: "entity", caller, name: "order", id: "o/1" },
    { kind: "definition", caller },
    { kind: "readers", caller },
    { kind: "metrics", caller },
    { kind: "entity", caller, name: "order", id: "o-1" },
    { kind: "events", caller, name: "order", id: "o-1" },
    { kind: "view", caller, name: "order-summary", key: "o-1" },
    { kind: "query", caller, name: "order-summary", conditions: {} },
    { kind: "query", caller, name: "order-summary", conditions: { customer: "ada", total: { from: 3 } } },
  ]);
});

test("only true and narrowed verdicts allow; everything else denies, and a failing policy answers 500", async () => {
  for (const verdict of [false, undefined, null, 0, 1, "yes", {}, { allow: false }, { allow: "yes" }, [], Promise.resolve(false)])
    expect([
      verdict,
      (
        await get(
          under(() => verdict as Verdict),
          "/definition",
        )
      ).status,
    ]).toEqual([verdict, 403]);
  for (const verdict of [true, { allow: true } as const, Promise.resolve(true)])
    expect(
      (
        await get(
          under(() => verdict),
          "/definition",
        )
      ).status,
    ).toBe(200);
  const failing = under(() => {
    throw new Error("the directory of rights is away");
  });
  expect((await place(failing, "o-1")).status).toBe(500);
  expect((await send(shop.gateway, "GET", "/entities/order/o-1")).status).toBe(404);
  expect(shop.errors).toHaveLength(1);
});

test("a refusal says what may not be done and nothing about what is there", async () => {
  await place(shop.gateway, "o-1");
  const gateway = under(() => false);
  const [there, absent] = [await get(gateway, "/entities/order/o-1"), await get(gateway, "/entities/order/o-2")];
  expect(there.status).toBe(403);
  expect(there.text).toBe(absent.text);
  const [document, nothing] = [await get(gateway, "/views/order-summary/o-1"), await get(gateway, "/views/order-summary/o-2")];
  expect(document.text).toBe(nothing.text);
});

test("names of what is served are told only to who may see the definition", async () => {
  for (const path of ["/entities/ordr/o-1", "/views/ordr/o-1", "/views/ordr"]) {
    const { status, text } = await get(
      under(({ kind }) => kind !== "definition"),
      path,
    );
    expect([path, status]).toEqual([path, 404]);
    expect(text).not.toMatch(/stock|order-summary|availability/);
    expect(
      (
        await get(
          under(() => true),
          path,
        )
      ).body.known,
    ).toBeDefined();
  }
});

test("a tenant by the entity's id: reads and commands of other tenants are 403", async () => {
  const gateway = under((asked) => "id" in asked && asked.id.startsWith(`${asked.caller.subject}:`));
  expect((await place(gateway, "ada:1", "ada")).status).toBe(200);
  expect((await place(gateway, "ada:2", "bob")).status).toBe(403);
  expect((await get(gateway, "/entities/order/ada:1", "ada")).status).toBe(200);
  for (const path of ["/entities/order/ada:1", "/entities/order/ada:1/events"]) expect((await get(gateway, path, "bob")).status).toBe(403);
});

const byCustomer: Policy = ({ kind, caller }) =>
  kind === "view" || kind === "query" ? { allow: true, conditions: { customer: caller.subject } } : kind === "command";

test("a query carries the policy's conditions, and its pages hold nothing else", async () => {
  const gateway = under(byCustomer);
  for (const [id, user] of [
    ["o-1", "ada"],
    ["o-2", "bob"],
    ["o-3", "ada"],
    ["o-4", "bob"],
    ["o-5", "ada"],
  ] as const)
    await place(gateway, id, user);
  expect(keysOf(await get(gateway, "/views/order-summary", "ada", now))).toEqual(["o-1", "o-3", "o-5"]);
  expect(keysOf(await get(gateway, "/views/order-summary?total.from=0&customer=bob", "bob", now))).toEqual(["o-2", "o-4"]);
  const first = await get(gateway, "/views/order-summary?limit=1", "ada", now);
  const cursor = encodeURIComponent(first.body.cursor);
  expect(keysOf(await get(gateway, `/views/order-summary?limit=5&cursor=${cursor}`, "ada", now))).toEqual(["o-3", "o-5"]);
  const stolen = await get(gateway, `/views/order-summary?limit=5&cursor=${cursor}`, "bob", now);
  expect([stolen.status, stolen.body.code]).toEqual([400, "cursor_invalid"]);
});

test("a query cannot choose otherwise what the policy has chosen", async () => {
  const gateway = under(byCustomer);
  await place(gateway, "o-1", "ada");
  for (const query of ["customer=ada", "customer.from=a&customer.to=z", "customer.from=", "customer.is=ada", "customer=%22ada%22"]) {
    const { status, body } = await get(gateway, `/views/order-summary?${query}`, "bob", now);
    expect([query, status, body.code]).toEqual([query, 403, "forbidden"]);
  }
});

test("a document that does not meet the policy's conditions is answered exactly like one that is not there", async () => {
  const gateway = under(byCustomer);
  await place(gateway, "o-1", "ada");
  expect((await get(gateway, "/views/order-summary/o-1", "ada", now)).body.value?.total).toBe(600);
  const hidden = await get(gateway, "/views/order-summary/o-1", "bob", now);
  const absent = await get(gateway, "/views/order-summary/o-2", "bob", now);
  expect(hidden.status).toBe(404);
  expect(hidden.text.replaceAll("o-1", "o-2")).toBe(absent.text);
  expect([...hidden.headers].filter(([name]) => name !== "consistency-token")).toEqual(
    [...absent.headers].filter(([name]) => name !== "consistency-token"),
  );
  expect(hidden.headers.get("etag")).toBeNull();
  const tag = (await get(gateway, "/views/order-summary/o-1", "ada", now)).headers.get("etag")!;
  expect((await get(gateway, "/views/order-summary/o-1", "bob", { ...now, "If-None-Match": tag })).status).toBe(404);
});

test("a document that is stale and hidden is answered without its value", async () => {
  const gateway = under(byCustomer);
  await place(gateway, "o-1", "ada");
  await get(gateway, "/views/order-summary/o-1", "ada", now);
  await shop.summaryReader.stop();
  const moved = await place(gateway, "o-2", "ada");
  const headers = { "Consistency-Token": moved.body.token, Prefer: "wait=0" };
  const { status, body } = await get(gateway, "/views/order-summary/o-1", "bob", headers);
  expect([status, body.fresh, body.value]).toEqual([200, false, null]);
});

test("a look at the state decides who sees an entity and its events; to others it is not there, in the very words", async () => {
  const gateway = under((asked) => ({
    allow: true,
    ...(asked.kind === "entity" || asked.kind === "events"
      ? { visible: (state: unknown) => (state as { total: number }).total === 0 || asked.caller.subject === "ada" }
      : {}),
  }));
  await place(gateway, "o-1");
  for (const path of [
    "/entities/order/o-1",
    "/entities/order/o-1/events",
    "/entities/order/o-1?version=1",
    "/entities/order/o-1?at=2999-01-01T00:00:00Z",
  ]) {
    expect((await get(gateway, path, "ada")).status).toBe(200);
    const hidden = await get(gateway, path, "bob");
    const absent = await get(gateway, path.replace("o-1", "o-2"), "bob");
    expect([path, hidden.status, hidden.text.replaceAll("o-1", "o-2")]).toEqual([path, 404, absent.text]);
  }
});

test("a verdict that this gateway could not carry out denies, loudly", async () => {
  const conditions = { customer: "ada" };
  const visible = () => true;
  for (const [path, verdict] of [
    ["/entities/order/o-1", { allow: true, conditions }],
    ["/views/order-summary", { allow: true, visible }],
    ["/definition", { allow: true, visible }],
  ] as const) {
    const { status, body } = await get(
      under(() => verdict),
      path,
    );
    expect([path, status, body.code]).toEqual([path, 500, "definition_invalid"]);
  }
  const command = await place(
    under(() => ({ allow: true, visible })),
    "o-1",
  );
  expect(command.status).toBe(500);
});

test("a table of rules denies what it does not name, and asks the nearest rule for what it does", async () => {
  const gateway = under({
    commands: { "order.place": ({ caller }) => caller.scopes.has("write"), "order.*": true, "order.cancel": false },
    entities: { order: true },
    views: { "order-summary": ({ caller }) => ({ allow: true, conditions: { customer: caller.subject } }) },
    readers: ({ caller }) => caller.scopes.has("operate"),
  });
  const post = (path: string, scopes: string) => send(gateway, "POST", path, { body: placement, headers: { "X-Scopes": scopes } });
  expect((await post("/entities/order/o-1/place", "read")).status).toBe(403);
  expect((await post("/entities/order/o-1/place", "read write")).status).toBe(200);
  expect((await post("/entities/order/o-1/touch", "read")).status).toBe(200);
  expect((await post("/entities/order/o-1/cancel", "write")).status).toBe(403);
  expect((await post("/entities/stock/tea/reserve", "write")).status).toBe(403);
  expect((await get(gateway, "/entities/order/o-1")).status).toBe(200);
  expect((await get(gateway, "/entities/stock/tea")).status).toBe(403);
  expect(keysOf(await get(gateway, "/views/order-summary", "ada", now))).toEqual(["o-1"]);
  expect((await get(gateway, "/views/availability/tea")).status).toBe(403);
  for (const path of ["/readers", "/metrics", "/definition"]) expect((await get(gateway, path)).status).toBe(403);
  expect((await get(gateway, "/readers", "ada", { "X-Scopes": "operate" })).status).toBe(200);
});

test("a rule about something that is not served, and a policy without authentication, are refused at the start", () => {
  expect(() => under({ commands: { "order.plaice": true } })).toThrow(/"order.plaice".*order.place/);
  expect(() => under({ entities: { ordr: true } })).toThrow(/"ordr".*order, stock/);
  expect(() => under({ views: { orders: true } })).toThrow(/"orders".*order-summary/);
  expect(() => createGateway(shop.services, { policy: () => true })).toThrow(/without `authenticate`/);
});

test("a command that was denied is counted as invalid, leaves no event and no idempotency key behind", async () => {
  const strict = under(({ caller }) => caller.subject === "ada");
  const headers = { "X-User": "bob", "Idempotency-Key": "k-1" };
  expect((await send(strict, "POST", "/entities/order/o-1/place", { body: placement, headers })).status).toBe(403);
  expect((await get(strict, "/metrics")).text).toContain('convergent_commands_total{entity="order",command="place",outcome="invalid"} 1');
  const allowed = await send(
    under(() => true),
    "POST",
    "/entities/order/o-2/place",
    { body: placement, headers },
  );
  expect([allowed.status, allowed.body.repeated]).toEqual([200, undefined]);
});

test("a conflict shows of the entity and of its events what the caller may read of them, and its version", async () => {
  const conflictUnder = async (policy: Policy): Promise<Readonly<Record<string, unknown>>> => {
    const answer = await send(under(policy), "POST", "/entities/order/o-1/place", { body: placement, headers: { "If-None-Match": "*" } });
    expect([answer.status, answer.body.version]).toEqual([412, 1]);
    return answer.body as unknown as Readonly<Record<string, unknown>>;
  };
  await place(
    under(() => true),
    "o-1",
  );
  const all = await conflictUnder(() => true);
  expect(all).toMatchObject({ state: { total: 600 }, base: { total: 0 }, changed: [{ version: 1 }], expected: "none" });
  expect(await conflictUnder(({ kind }) => kind !== "events")).toMatchObject({ state: { total: 600 }, base: { total: 0 }, changed: [] });
  const hidden: Policy[] = [
    ({ kind }) => kind === "command",
    ({ kind }) => (kind === "command" ? true : { allow: true, visible: (state) => (state as { total: number }).total < 600 }),
  ];
  for (const policy of hidden) {
    const answer = await conflictUnder(policy);
    expect(answer).toMatchObject({ changed: [], fields: [] });
    expect(answer).not.toHaveProperty("state");
    expect(answer).not.toHaveProperty("base");
  }
});

const readsNothing: Policy = ({ kind }) => kind === "command";
const seesCheap: Policy = ({ kind }) => kind === "command" || { allow: true, visible: (state) => (state as { total: number }).total < 600 };

test.each([
  ["denies", readsNothing],
  ["hides", seesCheap],
])("a command on an entity that the policy %s its sender is answered without the state, and with all the rest", async (_, policy) => {
  const [gateway, open] = [under(policy), under(() => true)];
  const post = (on: Gateway, id: string): Promise<Answer> =>
    send(on, "POST", `/entities/order/${id}/place`, { body: placement, headers: { "Idempotency-Key": id } });
  const [shown, answer] = [await post(open, "o-1"), await post(gateway, "o-2")];
  expect([shown.status, answer.status]).toEqual([200, 200]);
  expect(shown.body.state).toMatchObject({ total: 600 });
  expect(answer.body).not.toHaveProperty("state");
  const rest = Object.keys(shown.body).filter((name) => name !== "state" && name !== "visibilityMs");
  expect(Object.keys(answer.body).filter((name) => name !== "visibilityMs")).toEqual(rest);
  expect(answer.body).toMatchObject({ version: 1, events: [{ type: "order.placed", version: 1, data: { customer: "ada" } }] });
  expect(answer.headers.get("etag")).toMatch(/\.1"$/);
  expect(answer.headers.get("consistency-token")).toBe(answer.body.token);
  const again = await post(gateway, "o-2");
  expect([again.status, again.body.repeated]).toEqual([200, true]);
  expect(again.body).not.toHaveProperty("state");
});

test("a merge on such an entity says which fields others had changed, and nothing of what they hold", async () => {
  const { running } = await startForms();
  const saved = async (policy: Policy): Promise<unknown> => {
    const gateway = createGateway([running], { authenticate, policy });
    const save = (change: object, headers: Record<string, string> = {}) =>
      send(gateway, "POST", `/entities/form/${policy.name}/save`, { body: { ...blank, ...change }, headers });
    const tag = (await save({})).headers.get("etag")!;
    await save({ title: "Green tea" });
    const { status, body } = await save({ text: "cold" }, { "If-Match": tag });
    expect(status).toBe(200);
    return (body as unknown as wire.CommandBody).merged;
  };
  const readsAll: Policy = () => true;
  const title = { field: "title", ours: "Tea", conflicting: false };
  expect(await saved(readsAll)).toEqual([{ ...title, base: "Tea", theirs: "Green tea", merged: "Green tea" }]);
  expect(await saved(readsNothing)).toEqual([title]);
});

test("a policy that fails over the state fails before anything is written", async () => {
  const failing = under(({ kind }) => {
    if (kind === "command") return true;
    throw new Error("the directory of rights is away");
  });
  expect((await place(failing, "o-1")).status).toBe(500);
  expect((await send(shop.gateway, "GET", "/entities/order/o-1")).status).toBe(404);
});
