// HTTP contract: who asks. Tokens that are good, wrong, expired, unsigned and signed by something else; callers and their keys.
import { createHmac } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type Authenticate, createGateway, type Gateway, jwt, type JwtOptions, serve } from "@convergent/server";
import { ConvergentError } from "convergent";
import { memory } from "convergent/memory";
import { SignJWT } from "jose";
import { afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { as, audience, forged, Issuer, issuer } from "./callers.ts";
import { placement, send, type Shop, startShop } from "./order-service.ts";

let identity: Issuer;
beforeAll(async () => {
  identity = await Issuer.make();
});

let shop: Shop;
let gateway: Gateway;
const options = (): JwtOptions => ({ issuer, audience, algorithms: ["ES256"], keys: { keys: [identity.publicKey] } });
const guarded = (authenticate: Authenticate): Gateway =>
  createGateway(shop.services, { authenticate, policy: () => true, onError: (error) => shop.errors.push(error) });
beforeEach(async () => {
  shop = await startShop();
  gateway = guarded(jwt(options()));
});
afterEach(async () => {
  vi.useRealTimers();
  await shop.stop();
});

const read = (token: string, of = gateway) => send(of, "GET", "/definition", { headers: as(token) });
const reasonOf = async (token: string, of = gateway) => {
  const { status, body } = await read(token, of);
  return [status, body.code, body.reason];
};
const seconds = (offset: number): number => Math.floor(Date.now() / 1000) + offset;

test("a valid token lets its caller in", async () => {
  expect((await read(await identity.token("ada"))).status).toBe(200);
  expect((await read(await identity.token("ada", { aud: ["other", audience] }))).status).toBe(200);
});

test("a request without credentials is 401 with a challenge that says no more than that", async () => {
  const { status, headers, body } = await send(gateway, "GET", "/definition");
  expect([status, body.code, body.retry, headers.get("www-authenticate")]).toEqual([401, "unauthenticated", "never", "Bearer"]);
  expect(headers.get("content-type")).toBe("application/problem+json");
});

test("probes need no credentials", async () => {
  for (const path of ["/healthz", "/readyz"]) expect((await send(gateway, "GET", path)).status).toBe(200);
});

test("every other address of the gateway wants credentials, and answers nothing else without", async () => {
  for (const path of ["/definition", "/readers", "/metrics", "/views/order-summary/o-1", "/views/order-summary", "/views/nothing/o-1"])
    expect([path, (await send(gateway, "GET", path)).status]).toEqual([path, 401]);
  for (const path of ["/entities/order/o-1", "/entities/order/o-1/events", "/entities/nothing/o-1"])
    expect([path, (await send(gateway, "GET", path)).status]).toEqual([path, 401]);
  const command = await send(gateway, "POST", "/entities/order/o-1/place", { body: placement });
  expect([command.status, command.body.code]).toEqual([401, "unauthenticated"]);
});

test("an expired token, one that is not valid yet, and one without an expiry are refused by one word", async () => {
  expect(await reasonOf(await identity.token("ada", { exp: seconds(-5) }))).toEqual([401, "unauthenticated", "expired"]);
  expect(await reasonOf(await identity.token("ada", { nbf: seconds(60) }))).toEqual([401, "unauthenticated", "early"]);
  expect(await reasonOf(await identity.token("ada", { exp: undefined }))).toEqual([401, "unauthenticated", "claims"]);
  const expired = await read(await identity.token("ada", { exp: seconds(-5) }));
  expect(expired.headers.get("www-authenticate")).toBe('Bearer error="invalid_token", error_description="expired"');
});

test("clocks may differ by as much as was said, and no more", async () => {
  const tolerant = guarded(jwt({ ...options(), clockToleranceS: 30 }));
  expect((await read(await identity.token("ada", { exp: seconds(-20) }), tolerant)).status).toBe(200);
  expect(await reasonOf(await identity.token("ada", { exp: seconds(-40) }), tolerant)).toEqual([401, "unauthenticated", "expired"]);
});

test("a token of another issuer, for another audience, or for nobody is refused", async () => {
  for (const iss of ["https://id.example.com", "https://evil.example/", undefined])
    expect(await reasonOf(await identity.token("ada", { iss }))).toEqual([401, "unauthenticated", "issuer"]);
  for (const aud of ["order", [], undefined])
    expect(await reasonOf(await identity.token("ada", { aud }))).toEqual([401, "unauthenticated", "audience"]);
  for (const sub of ["", "x".repeat(256), "a\u0000b", 7, undefined])
    expect(await reasonOf(await identity.token("ada", { sub }))).toEqual([401, "unauthenticated", "claims"]);
});

test("a token signed by somebody else's key is refused, under any name of a key", async () => {
  const stranger = await Issuer.make();
  expect(await reasonOf(await stranger.token("ada"))).toEqual([401, "unauthenticated", "signature"]);
  expect(await reasonOf(await (await Issuer.make("key-2")).token("ada"))).toEqual([401, "unauthenticated", "signature"]);
});

test("an unsigned token is refused, in every spelling of none", async () => {
  const payload = { iss: issuer, aud: audience, sub: "ada", exp: seconds(300) };
  for (const alg of ["none", "None", "NONE", "nOnE", ""]) {
    expect((await read(forged({ alg }, payload))).status).toBe(401);
    expect((await read(forged({ alg, kid: "key-1" }, payload, "AA"))).status).toBe(401);
  }
  const [header, claims] = (await identity.token("ada")).split(".");
  expect((await read(`${header}.${claims}.`)).status).toBe(401);
});

test("a token whose algorithm was switched to a secret's is refused: a public key is no secret", async () => {
  const payload = { iss: issuer, aud: audience, sub: "ada", exp: seconds(300) };
  for (const secret of [identity.pem, identity.pem.trim(), JSON.stringify(identity.publicKey), String(identity.publicKey.x)]) {
    const unsigned = forged({ alg: "HS256", kid: "key-1" }, payload).slice(0, -1);
    const signature = createHmac("sha256", secret).update(unsigned).digest("base64url");
    for (const keys of [{ keys: [identity.publicKey] }, { pem: identity.pem }])
      expect(await reasonOf(`${unsigned}.${signature}`, guarded(jwt({ ...options(), keys })))).toEqual([
        401,
        "unauthenticated",
        "algorithm",
      ]);
  }
});

test("a token that was changed after it was signed is refused", async () => {
  const [header = "", , signature] = (await identity.token("ada")).split(".");
  const claims = Buffer.from(JSON.stringify({ iss: issuer, aud: audience, sub: "admin", exp: seconds(300) })).toString("base64url");
  expect(await reasonOf(`${header}.${claims}.${signature}`)).toEqual([401, "unauthenticated", "signature"]);
});

test("what is no token is refused, whatever it is", async () => {
  const good = await identity.token("ada");
  const headers = ["", "Bearer", "Bearer ", "Bearer a.b", "Bearer a.b.c", "Bearer ..", `Basic ${good}`, `Bearer ${good} x`, good];
  for (const Authorization of [
    ...headers,
    `Bearer ${good}.${good}`,
    `Bearer ${"a".repeat(9000)}.b.c`,
    "Bearer e30.e30.e30",
    "Bearer bnVsbA.bnVsbA.bnVsbA",
  ]) {
    const { status, body } = await send(gateway, "GET", "/definition", { headers: { Authorization } });
    expect([Authorization.slice(0, 30), status, body.code]).toEqual([Authorization.slice(0, 30), 401, "unauthenticated"]);
  }
  expect(shop.errors).toEqual([]);
});

test("a header that demands what is not understood is refused", async () => {
  const payload = { iss: issuer, aud: audience, sub: "ada", exp: seconds(300) };
  for (const header of [
    { alg: "ES256", crit: ["x"], x: 1 },
    { alg: "ES256", jwk: identity.publicKey },
    { alg: "ES256", b64: false, crit: ["b64"] },
  ])
    expect((await read(forged(header, payload, "AAAA"))).status).toBe(401);
});

test("no answer to bad credentials holds a word of them", async () => {
  const { text } = await read(await identity.token("secret-subject", { iss: "https://secret-issuer.example" }));
  expect(text).not.toMatch(/secret|example\.com|orders/);
});

test("a shared secret works, is long enough, and goes with algorithms for secrets only", async () => {
  const secret = new Uint8Array(32).fill(7);
  const of = guarded(jwt({ ...options(), algorithms: ["HS256"], keys: { secret } }));
  const token = await new SignJWT({ iss: issuer, aud: audience, sub: "ada", exp: seconds(300) })
    .setProtectedHeader({ alg: "HS256" })
    .sign(secret);
  expect((await read(token, of)).status).toBe(200);
  expect(await reasonOf(await identity.token("ada"), of)).toEqual([401, "unauthenticated", "algorithm"]);
});

test("a public key as PEM works", async () => {
  const of = guarded(jwt({ ...options(), keys: { pem: identity.pem } }));
  expect((await read(await identity.token("ada"), of)).status).toBe(200);
  expect(await reasonOf(await (await Issuer.make()).token("ada"), of)).toEqual([401, "unauthenticated", "signature"]);
});

test("options that would accept too much, or nothing, are refused with the way out", () => {
  const bad: Array<[Partial<Record<keyof JwtOptions, unknown>>, RegExp]> = [
    [{ algorithms: [] }, /algorithms must be given/],
    [{ algorithms: undefined }, /algorithms must be given/],
    [{ algorithms: ["none"] }, /"none" is no algorithm/],
    [{ algorithms: ["ES256", "HS256"] }, /of the one kind/],
    [{ algorithms: ["HS256"] }, /of the one kind/],
    [{ keys: { secret: new Uint8Array(32) } }, /of the one kind/],
    [{ algorithms: ["HS256"], keys: { secret: new Uint8Array(31) } }, /at least 32/],
    [{ algorithms: ["HS512"], keys: { secret: new Uint8Array(32) } }, /at least 64/],
    [{ issuer: "" }, /issuer/],
    [{ issuer: undefined }, /issuer/],
    [{ audience: [] }, /audience/],
    [{ audience: undefined }, /audience/],
    [{ keys: new URL("http://id.example.com/keys") }, /https only/],
    [{ keys: { keys: [] } }, /JSON Web Key Set/],
    [{ keys: { keys: [{ kty: "oct", k: "AAAA" }] } }, /public keys only/],
    [{ keys: { keys: [{ ...identity.publicKey, d: "AAAA" }] } }, /public keys only/],
    [{ algorithms: ["ES256", "RS256"], keys: { pem: identity.pem } }, /exactly one algorithm/],
    [{ clockToleranceS: -1 }, /clockToleranceS/],
    [{ clockToleranceS: 3600 }, /clockToleranceS/],
  ];
  for (const [change, message] of bad) {
    const make = () => jwt({ ...options(), ...change } as JwtOptions);
    expect(make).toThrow(message);
    expect(make).toThrow(ConvergentError);
  }
});

test("keys are fetched by their address; while they cannot be had, the answer is 503 and not the caller's fault", async () => {
  let fetches = 0;
  const provider = createServer((_, response) => {
    fetches++;
    if (fetches === 1) response.writeHead(500).end();
    else response.end(JSON.stringify({ keys: [identity.publicKey] }));
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => provider.once("listening", resolve));
  const of = guarded(jwt({ ...options(), keys: new URL(`http://127.0.0.1:${(provider.address() as AddressInfo).port}/jwks`) }));
  const failed = await read(await identity.token("ada"), of);
  expect([failed.status, failed.body.code, failed.body.retry]).toEqual([503, "unavailable", "later"]);
  expect((await read(await identity.token("ada"), of)).status).toBe(200);
  for (const name of ["b", "c", "d"]) expect((await read(await identity.token(name), of)).status).toBe(200);
  expect(fetches).toBe(2);
  expect(await reasonOf(await (await Issuer.make()).token("ada"), of)).toEqual([401, "unauthenticated", "signature"]);
  provider.close();
});

test("a remembered token ends with its expiry, and is verified again after ten minutes", async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  const now = Date.now();
  const short = await identity.token("ada", { exp: seconds(60) });
  expect((await read(short)).status).toBe(200);
  vi.setSystemTime(now + 59_000);
  expect((await read(short)).status).toBe(200);
  vi.setSystemTime(now + 61_000);
  expect(await reasonOf(short)).toEqual([401, "unauthenticated", "expired"]);

  const keys = { keys: [identity.publicKey] };
  const withdrawing = guarded(async (request) => verifyAgain(request));
  let verifyAgain = jwt({ ...options(), keys });
  const long = await identity.token("ada", { exp: seconds(86_400) });
  expect((await read(long, withdrawing)).status).toBe(200);
  const calls = vi.fn<() => string[]>(() => []);
  verifyAgain = jwt({ ...options(), keys, scopes: calls });
  for (const minutes of [0, 5, 9, 11, 12]) {
    vi.setSystemTime(now + 61_000 + minutes * 60_000);
    await read(long, withdrawing);
  }
  expect(calls).toHaveBeenCalledTimes(2);
});

test("remembered tokens are bounded: the oldest are verified again", async () => {
  const scopes = vi.fn<() => string[]>(() => []);
  const of = guarded(jwt({ ...options(), scopes, rememberedMax: 2 }));
  const [a, b, c] = [await identity.token("a"), await identity.token("b"), await identity.token("c")];
  for (const token of [a, b, a, b]) await read(token, of);
  expect(scopes).toHaveBeenCalledTimes(2);
  for (const token of [c, b, a]) await read(token, of);
  expect(scopes).toHaveBeenCalledTimes(4);
});

test("a function of one's own says who asks, from whatever the request carries", async () => {
  const of = guarded((request) => {
    const name = request.headers.get("x-user");
    return name === null ? undefined : { subject: name, claims: {}, scopes: new Set() };
  });
  expect((await send(of, "GET", "/definition", { headers: { "X-User": "ada" } })).status).toBe(200);
  expect((await send(of, "GET", "/definition")).body.reason).toBe("missing");
  expect((await read("a.b.c", of)).body.reason).toBe("unknown");
});

test("a function that fails, or answers nonsense, lets nobody in", async () => {
  const nonsense: unknown[] = [
    null,
    true,
    {},
    { subject: "" },
    { subject: "x".repeat(256), scopes: new Set() },
    { subject: "ada", scopes: "all" },
  ];
  for (const answer of nonsense) {
    const { status, text } = await send(
      guarded(() => answer as undefined),
      "GET",
      "/definition",
    );
    expect([answer, status]).toEqual([answer, 500]);
    expect(text).not.toMatch(/authenticate/);
  }
  const failing = guarded(() => Promise.reject(new Error("no directory of people")));
  expect((await send(failing, "GET", "/definition")).status).toBe(500);
  expect(shop.errors).toHaveLength(nonsense.length + 1);
});

test("events name the authenticated caller as their actor, whatever the caller says of himself", async () => {
  const headers = { ...as(await identity.token("ada")), "Convergent-Actor": "boss" };
  await send(gateway, "POST", "/entities/order/o-1/place", { body: placement, headers });
  const { body } = await send(gateway, "GET", "/entities/order/o-1/events", { headers });
  expect(body.events[0]?.metadata).toMatchObject({ actor: "ada" });
});

test("two callers with the same Idempotency-Key never see each other's answers", async () => {
  const post = async (subject: string, id: string) =>
    send(gateway, "POST", `/entities/order/${id}/place`, {
      body: placement,
      headers: { ...as(await identity.token(subject)), "Idempotency-Key": "k-1" },
    });
  const ada = await post("ada", "o-1");
  const bob = await post("bob", "o-2");
  expect([ada.status, bob.status, bob.body.repeated]).toEqual([200, 200, undefined]);
  expect((await post("ada", "o-1")).body).toMatchObject({ repeated: true, version: 1 });
  const other = await post("eve", "o-1"); // the same key and body: decided as a command of her own
  expect([other.status, other.body.code]).toEqual([409, "rejected"]);
  expect((await post("bob", "o-1")).body.code).toBe("idempotency_key_reused");
});

test("two callers with the same Idempotency-Key at the same time do not wait for each other", async () => {
  const tokens = { ada: await identity.token("ada"), bob: await identity.token("bob") };
  for (const token of Object.values(tokens)) await read(token); // remembered, so that requests arrive as they are sent
  shop.gate.close();
  const cancel = (subject: "ada" | "bob", wait: string) =>
    send(gateway, "POST", "/entities/order/o-1/cancel", {
      body: { reason: "late" },
      headers: { ...as(tokens[subject]), "Idempotency-Key": "k-1", Prefer: `wait=${wait}` },
    });
  const [first, second] = [cancel("ada", "5"), cancel("bob", "0.05")];
  const own = await cancel("ada", "0.05");
  expect([own.status, own.body.code]).toEqual([409, "in_progress"]);
  shop.gate.open();
  expect([(await first).status, (await second).status]).toEqual([200, 200]);
});

test("a caller named like a reaction's own scope cannot take the ids of its commands", async () => {
  const token = await identity.token("reaction:reserve-stock");
  const placed = await send(gateway, "POST", "/entities/order/o-1/place", { body: placement, headers: as(await identity.token("ada")) });
  await shop.inbox.waitFor(placed.body.events[0]!.position, 2000);
  const trail = await send(gateway, "GET", "/entities/stock/tea/events", { headers: as(token) });
  const { cause } = trail.body.events[0]!.metadata as { cause: string };
  const repeat = await send(gateway, "POST", "/entities/stock/other/reserve", {
    body: { order: "x", quantity: 1 },
    headers: { ...as(token), "Idempotency-Key": cause },
  });
  expect(repeat.status).toBe(200);
});

test("a token of one service's store is worth nothing at another's, and nothing after a change of the store's key", async () => {
  const other = await startShop({ driver: memory() });
  const headers = as(await identity.token("ada"));
  const placed = await send(gateway, "POST", "/entities/order/o-1/place", { body: placement, headers });
  const elsewhere = createGateway(other.services, { authenticate: jwt(options()), policy: () => true });
  // The other shop's store has the same name and a key of its own, as this one would after its key was changed.
  for (const path of ["/views/order-summary/o-1", "/views/order-summary", "/entities/order/o-1"]) {
    const { status, body } = await send(elsewhere, "GET", path, { headers: { ...headers, "Consistency-Token": placed.body.token } });
    expect([path, status, body.code]).toEqual([path, 400, "token_invalid"]);
  }
  const named = placed.body.token.replace(/^orders\./, "inventory.");
  expect(named).not.toBe(placed.body.token);
  const renamed = await send(gateway, "GET", "/views/availability/tea", { headers: { ...headers, "Consistency-Token": named } });
  expect([renamed.status, renamed.body.code]).toEqual([400, "token_invalid"]);
  await other.stop();
});

test("beyond this machine the server listens only with authentication and a policy", async () => {
  const authenticate = jwt(options());
  for (const [given, missing] of [
    [{}, "authentication and a policy"],
    [{ authenticate }, "a policy"],
  ] as const) {
    const failed = serve({ services: shop.services, port: 0, hostname: "0.0.0.0", ...given });
    await expect(failed).rejects.toMatchObject({
      code: "definition_invalid",
      message: expect.stringContaining(`without ${missing} it serves this machine only`) as string,
    });
  }
  const server = await serve({ services: shop.services, port: 0, hostname: "0.0.0.0", authenticate, policy: () => true });
  const ask = (headers: Record<string, string>) => fetch(`http://127.0.0.1:${server.port}/definition`, { headers });
  expect((await ask({})).status).toBe(401);
  expect((await ask(as(await identity.token("ada")))).status).toBe(200);
  await server.close();
});

test("where callers are authenticated any Host is answered, or those that were named", async () => {
  const headers = { ...as(await identity.token("ada")), Host: "api.example.com" };
  expect((await send(gateway, "GET", "/definition", { headers })).status).toBe(200);
  const strict = createGateway(shop.services, { authenticate: jwt(options()), policy: () => true, hosts: ["api.example.com"] });
  expect((await send(strict, "GET", "/definition", { headers })).status).toBe(200);
  expect((await send(strict, "GET", "/definition", { headers: { ...headers, Host: "evil.example" } })).status).toBe(403);
});
