// The client against a scripted gateway in virtual time: what it sends, when it sends it again, and what it makes of the answers.
import { expect, test } from "vitest";
import { ConvergentError, isConvergentError } from "../errors/error.ts";
import type { CancelSignal, NetworkRequest, NetworkResponse } from "../host/host.ts";
import type { Schema } from "../log/schema.ts";
import { connectOn, type ConnectOptions } from "./connect.ts";
import type { Client } from "./facade.ts";
import type { ClientHost } from "./transport.ts";

/** The structure that the client infers from. */
interface Shop {
  readonly parts: {
    readonly order: {
      readonly kind: "entity";
      readonly initial: () => { status: string };
      readonly commands: { readonly place: { readonly input: Schema<{ total: number }> } };
    };
    readonly orderSummary: {
      readonly kind: "view";
      readonly document: Schema<unknown, { customer: string; total: number }>;
      readonly indexes: readonly ["customer", "total"];
    };
    readonly customerOrders: {
      readonly kind: "view";
      readonly document: Schema<unknown, { orders: number }>;
      readonly indexes: readonly [];
    };
  };
}

const definition = {
  protocol: 1,
  services: ["orders"],
  parts: [
    { key: "order", name: "order", kind: "entity", service: "orders" },
    { key: "orderSummary", name: "order-summary", kind: "view", service: "orders" },
    { key: "customerOrders", name: "customer-orders", kind: "view", service: "orders" },
    { key: "reserveStock", name: "reserve-stock", kind: "reaction", service: "orders" },
  ],
};

type Script = (request: NetworkRequest, count: number) => NetworkResponse | Promise<NetworkResponse>;

/** Virtual time: nothing waits, and whoever sleeps longest wakes last. */
class World {
  now = 0;
  ids = 0;
  readonly requests: NetworkRequest[] = [];
  /** When each request was sent. */
  readonly times: number[] = [];
  readonly #sleepers: Array<{ readonly at: number; readonly wake: () => void }> = [];
  readonly #script: Script;

  constructor(script: Script) {
    this.#script = script;
  }

  readonly host: ClientHost = {
    clock: { now: () => this.now, elapsed: () => this.now },
    random: { fraction: () => 0.5, id: () => `id-${++this.ids}` },
    timers: {
      after: () => ({ cancel: () => undefined }),
      sleep: (ms, signal) => this.sleep(ms, signal),
      turn: () => this.sleep(0),
    },
    network: {
      request: async (request) => {
        if (request.url.endsWith("/definition")) this.definitions++;
        else {
          this.requests.push(request);
          this.times.push(this.now);
        }
        const answer = Promise.resolve(this.#script(request, this.requests.length));
        return Promise.race([answer, this.#timeout(request)]);
      },
    },
  };
  definitions = 0;

  /** What was sent last. */
  get last(): NetworkRequest {
    return this.requests.at(-1)!;
  }

  sleep(ms: number, signal?: CancelSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#sleepers.push({ at: this.now + ms, wake: resolve });
      signal?.addEventListener("abort", () => reject(signal.reason instanceof Error ? signal.reason : new Error("cancelled")));
    });
  }

  /** The promise's result, with time passing as fast as it can. */
  async run<T>(promise: Promise<T>): Promise<T> {
    let settled = false;
    promise.then(
      () => (settled = true),
      () => (settled = true),
    );
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve));
      if (settled) return promise;
      this.#sleepers.sort((a, b) => a.at - b.at);
      const next = this.#sleepers.shift();
      if (!next) throw new Error("nothing will ever happen again");
      this.now = Math.max(this.now, next.at);
      next.wake();
    }
  }

  client(options: ConnectOptions = {}): Client<Shop> {
    return connectOn<Shop>(this.host, "http://gateway/", options);
  }

  async #timeout(request: NetworkRequest): Promise<never> {
    await this.sleep(request.timeoutMs);
    throw new Error(`no answer within ${request.timeoutMs} ms`);
  }
}

function answer(status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): NetworkResponse {
  return { status, header: (name) => headers[name.toLowerCase()], body: typeof body === "string" ? body : JSON.stringify(body) };
}

function problem(
  status: number,
  code: string,
  extra: Readonly<Record<string, unknown>> = {},
  headers: Readonly<Record<string, string>> = {},
) {
  return answer(status, { type: "about:blank", title: code, status, detail: `it is ${code}`, code, ...extra }, headers);
}

function entry(position: number, store = "orders"): string {
  return `${store}.e1.${position}.1000.abcd.mac`;
}

function placed(version = 1, extra: Readonly<Record<string, unknown>> = {}): NetworkResponse {
  const events = [{ id: "v", type: "order.placed", version, position: version, at: "2026-01-01T00:00:00.000Z", data: {} }];
  return answer(200, { state: { status: "placed" }, version, events, token: entry(version), ...extra }, { etag: `"e1.${version}"` });
}

function reading(
  value: unknown,
  position: number,
  extra: Readonly<Record<string, unknown>> = {},
  headers: Readonly<Record<string, string>> = {},
) {
  return answer(
    200,
    { value, asOf: position, behind: { positions: 0, ms: 0 }, fresh: true, ...extra },
    { "consistency-token": entry(position), ...headers },
  );
}

/** A gateway that answers its definition and, to everything else, what the script says. */
function world(script: Script): World {
  return new World((request, count) => (request.url.endsWith("/definition") ? answer(200, definition) : script(request, count)));
}

function lost(): never {
  throw new Error("connection reset");
}

async function failure(
  promise: Promise<unknown>,
): Promise<{ code: string; message: string; details: Readonly<Record<string, unknown>>; cause?: unknown }> {
  try {
    await promise;
  } catch (error) {
    if (isConvergentError(error)) return error;
    throw error;
  }
  throw new Error("it did not fail");
}

const tokenOf = (request: NetworkRequest): string | undefined => request.headers["consistency-token"];

test("the definition is asked for once, with the first call, also when several come at once", async () => {
  const gateway = world(() => reading({ customer: "ada", total: 1 }, 1));
  const client = gateway.client();
  expect(gateway.definitions).toBe(0);
  await gateway.run(Promise.all([client.orderSummary.get("a"), client.orderSummary.get("b"), client.customerOrders.get("c")]));
  await gateway.run(client.orderSummary.get("d"));
  expect(gateway.definitions).toBe(1);
  expect(gateway.requests.map((request) => request.url)).toContain("http://gateway/views/customer-orders/c");
});

test("a definition that could not be learnt is repeated, and its failure is not kept", async () => {
  let down = true;
  const gateway = new World((request) =>
    request.url.endsWith("/definition") ? (down ? lost() : answer(200, definition)) : reading(null, 1),
  );
  const client = gateway.client({ retryFor: "2s" });
  expect(await gateway.run(failure(client.orderSummary.get("a")))).toMatchObject({ code: "unavailable" });
  expect(gateway.definitions).toBeGreaterThan(2);
  down = false;
  expect((await gateway.run(client.orderSummary.get("a"))).value).toBeUndefined();
});

test("a part that the gateway does not have is named with those it has, and asked for again later", async () => {
  const gateway = world(() => reading(null, 1));
  const client = gateway.client() as unknown as Record<string, { get(key: string): Promise<unknown>; state(id: string): Promise<unknown> }>;
  const unknown = await gateway.run(failure(client["ordersSummary"]!.get("a")));
  expect(unknown).toMatchObject({ code: "not_found", details: { known: ["orderSummary", "customerOrders"] } });
  expect(unknown.message).toContain('"ordersSummary"');
  expect((await gateway.run(failure(client["orderSummary"]!.state("a")))).message).toContain("of the kind view, not entity");
  expect((await gateway.run(failure(client["reserveStock"]!.state("a")))).message).toContain("it has order");
  expect(gateway.definitions).toBe(3);
});

test("a gateway with a newer protocol, and something that is no gateway, are refused in clear words", async () => {
  const newer = new World(() => answer(200, { ...definition, protocol: 2 }));
  expect(await newer.run(failure(newer.client().orderSummary.get("a")))).toMatchObject({
    code: "protocol_newer",
    details: { gateway: 2, client: 1 },
  });
  const other = new World(() => answer(200, { hello: "world" }));
  expect((await other.run(failure(other.client().orderSummary.get("a")))).message).toContain("no gateway of Convergent");
  const none = new World(() => answer(404, "<h1>Not Found</h1>"));
  expect(await none.run(failure(none.client().orderSummary.get("a")))).toMatchObject({ code: "not_found", message: "HTTP 404: Not Found" });
});

test("a client and its parts may be awaited, printed and compared without a request", async () => {
  const gateway = world(() => placed());
  const client = await Promise.resolve(gateway.client());
  const commands = await Promise.resolve(client.order("o-1"));
  expect(JSON.stringify({ client, commands })).toBe('{"client":{},"commands":{}}');
  expect(Object.prototype.toString.call(commands)).toBe("[object Object]");
  expect(client.order).toBe(client.order);
  expect(client).not.toEqual({ order: 1 });
  expect(gateway.requests).toEqual([]);
});

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

test("a command whose reply was lost is repeated with the same key, body and condition until it is answered", async () => {
  const gateway = world((_, count) => (count < 4 ? lost() : placed(1, { repeated: true })));
  const outcome = await gateway.run(gateway.client().order("o-1").place({ total: 3 }, { id: "mine", expected: "none" }));
  expect(outcome).toMatchObject({ kind: "accepted", repeated: true });
  expect(gateway.requests).toHaveLength(4);
  for (const { headers, body } of gateway.requests) {
    expect(headers).toMatchObject({ "idempotency-key": "mine", "if-none-match": "*" });
    expect(body).toBe('{"total":3}');
  }
});

test("an unknown outcome, an outage, a running twin and an answer that is cut off are repeated; the waits grow", async () => {
  const answers = [
    problem(503, "outcome_unknown", { retry: "later" }),
    problem(503, "unavailable", { retry: "later" }),
    problem(409, "in_progress", { retry: "later" }),
    answer(200, '{"state":{"sta'),
    answer(200, { state: {}, version: 1, events: [], token: "orders.e1.9" }),
    answer(502, "<html>Bad Gateway</html>"),
    answer(500, { type: "about:blank", status: 500, detail: "failed" }),
    placed(),
  ];
  const gateway = world((_, count) => answers[count - 1]!);
  expect((await gateway.run(gateway.client().order("o-1").place({ total: 1 }))).kind).toBe("accepted");
  expect(new Set(gateway.requests.map((request) => request.headers["idempotency-key"])).size).toBe(1);
  const waits = gateway.times.slice(1).map((time, index) => time - gateway.times[index]!);
  expect(waits).toEqual([75, 150, 300, 600, 1200, 2400, 3750]);
});

test("Retry-After is waited out, in exact milliseconds when they are given", async () => {
  const gateway = world((_, count) => {
    if (count === 1) return problem(503, "unavailable", {}, { "retry-after": "2" });
    return count === 2 ? problem(503, "unavailable", {}, { "retry-after": "9", "retry-after-ms": "1234" }) : placed();
  });
  await gateway.run(gateway.client().order("o-1").place({ total: 1 }));
  expect(gateway.times).toEqual([0, 2000, 3234]);
});

test("past the limit a command ends as outcome_unknown with its id, so that it can be repeated later", async () => {
  let up = false;
  const gateway = world(() => (up ? placed(1, { repeated: true }) : lost()));
  const client = gateway.client();
  const error = await gateway.run(failure(client.order("o-1").place({ total: 1 })));
  expect(error).toMatchObject({ code: "outcome_unknown", details: { id: "id-1" } });
  expect(error.message).toContain('order("o-1").place');
  expect(error.message).toContain("connection reset");
  expect(gateway.now).toBeGreaterThan(20_000);
  expect(gateway.now).toBeLessThanOrEqual(30_000);
  up = true;
  expect(await gateway.run(client.order("o-1").place({ total: 1 }, { id: String(error.details["id"]) }))).toMatchObject({ repeated: true });
  expect(gateway.last.headers["idempotency-key"]).toBe("id-1");
});

test("an attempt that takes too long is given up and repeated", async () => {
  const gateway = world(async (_, count) => {
    if (count === 1) await gateway.sleep(60_000);
    return placed();
  });
  await gateway.run(gateway.client({ timeout: "3s" }).order("o-1").place({ total: 1 }));
  expect(gateway.times).toEqual([0, 3075]);
});

test("headers that expire are asked for before every attempt", async () => {
  const gateway = world((_, count) => (count === 1 ? problem(503, "unavailable", { retry: "later" }) : placed()));
  const sent: string[] = [];
  const headers = async (): Promise<Record<string, string>> => {
    const authorization = `Bearer ${sent.length + 1}`;
    sent.push(authorization);
    return { authorization };
  };
  await gateway.run(gateway.client({ actor: "ada", headers }).order("o-1").place({ total: 1 }));
  expect(gateway.last).toMatchObject({ headers: { authorization: sent.at(-1), "convergent-actor": "ada" } });
  expect(sent.length).toBeGreaterThanOrEqual(2);
});

test("headers that cannot be had fail the call at once, as unknown when the command may have taken effect", async () => {
  const headers = (): never => {
    throw new ConvergentError("unauthenticated", "no session");
  };
  const gateway = world(() => placed());
  expect(await gateway.run(failure(gateway.client({ headers }).order("o-1").place({ total: 1 })))).toMatchObject({ message: "no session" });
  expect(gateway.requests).toEqual([]);
  let calls = 0;
  const expiring = (): Record<string, string> => (++calls > 2 ? headers() : {});
  const unsure = world((_, count) => (count === 1 ? lost() : placed()));
  expect(await unsure.run(failure(unsure.client({ headers: expiring }).order("o-1").place({ total: 1 })))).toMatchObject({
    code: "outcome_unknown",
  });
});

test("a caller who asks too often waits as long as the server says, and asks again", async () => {
  const gateway = world((_, count) =>
    count === 1 ? problem(429, "too_many_requests", { retry: "later" }, { "retry-after": "7" }) : placed(),
  );
  expect(await gateway.run(gateway.client().order("o-1").place({ total: 1 }))).toMatchObject({ kind: "accepted" });
  expect(gateway.times).toEqual([0, 7000]);
});

test("when every attempt says that nothing was written, that is what is thrown, with the id", async () => {
  const gateway = world(() => problem(503, "disk_full", { retry: "later" }));
  expect(await gateway.run(failure(gateway.client({ retryFor: "1s" }).order("o-1").place({ total: 1 })))).toMatchObject({
    code: "disk_full",
    details: { id: "id-1" },
  });
  const unsure = world((_, count) => (count === 1 ? lost() : problem(503, "disk_full", { retry: "later" })));
  expect(await unsure.run(failure(unsure.client({ retryFor: "1s" }).order("o-1").place({ total: 1 })))).toMatchObject({
    code: "outcome_unknown",
  });
});

test("a refusal that is not about the command leaves an earlier attempt's outcome unknown", async () => {
  const login = world((_, count) => (count === 1 ? lost() : answer(401, "<h1>Please log in</h1>")));
  expect(await login.run(failure(login.client().order("o-1").place({ total: 1 })))).toMatchObject({
    code: "outcome_unknown",
    details: { id: "id-1" },
    cause: { code: "forbidden" },
  });
  const decided = world((_, count) => (count === 1 ? lost() : problem(409, "rejected", { reason: "closed" })));
  expect(await decided.run(decided.client().order("o-1").place({ total: 1 }))).toEqual({ kind: "rejected", reason: "closed" });
});

test("an address that is none and a header that cannot be sent are refused when connecting", () => {
  const { host } = world(() => placed());
  for (const url of ["localhost:4000", "ftp://x", "http://", "gateway"])
    expect(() => connectOn(host, url)).toThrow("no address of a gateway");
  for (const url of ["http://localhost:4000//", "https://x.example/api", "/api", ""]) expect(() => connectOn(host, url)).not.toThrow();
  expect(() => connectOn(host, "/", { headers: { authorization: "a\nb" } })).toThrow('the header "authorization"');
  expect(() => connectOn(host, "/", { headers: { "bad name": "x" } })).toThrow('the header "bad name"');
});

test("a read is repeated likewise and ends as unavailable", async () => {
  const gateway = world(() => lost());
  const error = await gateway.run(failure(gateway.client({ retryFor: "3s" }).orderSummary.get("o-1")));
  expect(error.code).toBe("unavailable");
  expect(error.details["id"]).toBeUndefined();
  expect(gateway.requests.length).toBeGreaterThan(3);
  expect(gateway.now).toBeLessThanOrEqual(3000);
});

test("an answer in the range 4xx is final", async () => {
  for (const [status, code] of [
    [400, "invalid_input"],
    [401, "who_are_you"],
    [403, "forbidden"],
    [404, "not_found"],
    [409, "id_voided"],
    [413, "payload_too_large"],
    [422, "idempotency_key_reused"],
    [429, "slow_down"],
  ] as const) {
    const gateway = world(() => problem(status, code, { retry: status === 429 ? "later" : "never" }));
    await gateway.run(failure(gateway.client().order("o-1").place({ total: 1 })));
    expect(gateway.requests).toHaveLength(1);
  }
  const html = world(() => answer(413, "<html>too large</html>"));
  expect(await html.run(failure(html.client().order("o-1").place({ total: 1 })))).toMatchObject({ code: "payload_too_large" });
});

test("a strict read that is not fresh is answered with its error at once", async () => {
  const gateway = world(() => problem(503, "not_fresh", { asOf: 3 }, { "retry-after": "5" }));
  expect(await gateway.run(failure(gateway.client().orderSummary.get("o-1", { stale: "error", wait: "250ms" })))).toMatchObject({
    code: "not_fresh",
    details: { asOf: 3 },
  });
  expect(gateway.last.headers["prefer"]).toBe("wait=0.25, handling=strict");
  expect(gateway.requests).toHaveLength(1);
});

test("cancelling ends a wait at once with the signal's reason", async () => {
  const controller = new AbortController();
  const gateway = world(() => {
    if (gateway.requests.length === 2) controller.abort(new Error("changed my mind"));
    return lost();
  });
  await expect(gateway.run(gateway.client().order("o-1").place({ total: 1 }, { signal: controller.signal }))).rejects.toThrow(
    "changed my mind",
  );
  expect(gateway.requests).toHaveLength(2);
  await expect(gateway.run(gateway.client().orderSummary.get("o-1", { signal: controller.signal }))).rejects.toThrow("changed my mind");
  expect(gateway.requests).toHaveLength(2);
});

test("a caller that gives up while the definition is learnt leaves the others waiting for it", async () => {
  let up = false;
  const controller = new AbortController();
  const gateway = new World((request) =>
    request.url.endsWith("/definition") ? (up ? answer(200, definition) : lost()) : reading(null, 1),
  );
  const client = gateway.client();
  const one = client.orderSummary.get("a", { signal: controller.signal });
  const other = client.orderSummary.get("a");
  controller.abort(new Error("gone"));
  await expect(one).rejects.toThrow("gone");
  up = true;
  expect((await gateway.run(other)).fresh).toBe(true);
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

test("of several reads that meet a restore at once, one tells of it", async () => {
  const gateway = world((request) => (tokenOf(request) ? problem(409, "token_epoch", { store: "orders", fork: 5 }) : reading(null, 5)));
  const told: unknown[] = [];
  const client = gateway.client({ token: entry(9), onHistoryLost: (lost) => told.push(lost) });
  await gateway.run(Promise.all(["a", "b", "c"].map((key) => client.orderSummary.get(key))));
  expect(told).toEqual([{ store: "orders", fork: 5 }]);
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
