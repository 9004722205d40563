// What a client knows of its gateway: the definition, learnt once, and what it is connected with.
import { expect, test } from "vitest";
import { connectOn } from "./connect.ts";
import { answer, definition, failure, lost, placed, reading, World, world } from "./scripted-gateway.fixture.ts";

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

test("an address that is none and a header that cannot be sent are refused when connecting", () => {
  const { host } = world(() => placed());
  for (const url of ["localhost:4000", "ftp://x", "http://", "gateway"])
    expect(() => connectOn(host, url)).toThrow("no address of a gateway");
  for (const url of ["http://localhost:4000//", "https://x.example/api", "/api", ""]) expect(() => connectOn(host, url)).not.toThrow();
  expect(() => connectOn(host, "/", { headers: { authorization: "a\nb" } })).toThrow('the header "authorization"');
  expect(() => connectOn(host, "/", { headers: { "bad name": "x" } })).toThrow('the header "bad name"');
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
