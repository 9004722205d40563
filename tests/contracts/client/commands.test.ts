// Commands through the client on a real gateway: whatever the network does, each takes effect once and says what came of it.
import { accepted, isConvergentError } from "convergent/client";
import { expect, test } from "vitest";
import { type Fate, lines, openShop } from "./shop.ts";

test("a command is answered with the state, version, events and token that the service has", async () => {
  const shop = await openShop();
  const client = shop.client({ actor: "ada" });
  const outcome = accepted(await client.order("o-1").place({ customer: "ada", ...lines(2) }));
  expect(outcome).toMatchObject({ version: 1, repeated: false, pending: ["returnCode"], state: { status: "placed", units: 2 } });
  expect(outcome.events).toMatchObject([{ type: "order.placed", version: 1, data: { customer: "ada" } }]);
  const [event] = await shop.orders.order.events("o-1");
  expect(outcome.events[0]).toMatchObject({ id: event!.id, at: event!.at, position: event!.position });
  expect(await client.order.events("o-1")).toEqual([event]);
  expect(event!.metadata).toMatchObject({ actor: "ada" });
  expect(await shop.orders.waitFor(outcome.token)).toBe(true);
});

test("a command whose replies are lost takes effect once and is answered with its first result", async () => {
  const shop = await openShop();
  shop.fate = (_, count) => (count < 4 ? "reply lost" : "answered");
  const outcome = await shop
    .client()
    .order("o-1")
    .place({ customer: "ada", ...lines(2) });
  expect(outcome).toMatchObject({ kind: "accepted", repeated: true, version: 1 });
  expect(shop.requests).toHaveLength(4);
  expect(await shop.orders.order.events("o-1")).toHaveLength(1);
});

test("many commands over a network that loses the first requests and replies of each take effect once each", async () => {
  const shop = await openShop();
  const attempts = new Map<string, number>();
  const fates: readonly Fate[] = ["reply lost", "request lost", "html"];
  shop.fate = ({ headers }, count) => {
    const key = headers["idempotency-key"]!;
    const attempt = attempts.get(key) ?? 0;
    attempts.set(key, attempt + 1);
    return attempt < 2 ? fates[count % fates.length]! : "answered";
  };
  const client = shop.client();
  const ids = Array.from({ length: 40 }, (_, index) => `o-${index}`);
  const outcomes = await Promise.all(ids.map((id) => client.order(id).place({ customer: id, ...lines(1) })));
  expect(outcomes.map(({ kind }) => kind)).toEqual(ids.map(() => "accepted"));
  for (const id of ids) expect(await shop.orders.order.events(id)).toHaveLength(1);
  expect([...attempts.values()]).toEqual(ids.map(() => 3));
});

test("a command that got no answer is repeated later by its id, and had taken effect", async () => {
  const shop = await openShop();
  shop.fate = () => "reply lost";
  const client = shop.client({ retryFor: "300ms" });
  const error: unknown = await client
    .order("o-1")
    .place({ customer: "ada", ...lines(2) })
    .catch((thrown: unknown) => thrown);
  if (!isConvergentError(error, "outcome_unknown")) throw error;
  shop.fate = () => "answered";
  const id = String(error.details["id"]);
  expect(
    await shop
      .client()
      .order("o-1")
      .place({ customer: "ada", ...lines(2) }, { id }),
  ).toMatchObject({ kind: "accepted", repeated: true });
  await expect(
    shop
      .client()
      .order("o-1")
      .place({ customer: "bob", ...lines(2) }, { id }),
  ).rejects.toMatchObject({ code: "idempotency_key_reused" });
});

test("a refusal is a value with the entity's own reason", async () => {
  const shop = await openShop();
  const client = shop.client();
  await client.order("o-1").place({ customer: "ada", ...lines(2) });
  expect(await client.order("o-1").place({ customer: "ada", ...lines(2) })).toEqual({ kind: "rejected", reason: "already placed" });
});

test("the four forms of expected hold over HTTP, and one that is not met is a value with the present state", async () => {
  const shop = await openShop();
  const client = shop.client();
  const place = (id: string, expected: "none" | "some") => client.order(id).place({ customer: "ada", ...lines(2) }, { expected });
  expect(await place("o-1", "some")).toMatchObject({ kind: "conflict", version: 0 });
  expect(await place("o-1", "none")).toMatchObject({ kind: "accepted", version: 1 });
  expect(await place("o-1", "none")).toMatchObject({ kind: "conflict", version: 1, state: { status: "placed", units: 2 } });
  expect(await client.order("o-1").amend(lines(3), { expected: 1 })).toMatchObject({ kind: "accepted", version: 2 });
  expect(await client.order("o-1").amend(lines(4), { expected: 1 })).toMatchObject({ kind: "conflict", version: 2, state: { units: 3 } });
  expect(await client.order("o-1").amend(lines(4), { expected: "any" })).toMatchObject({ kind: "accepted", version: 3 });
  expect(await client.order("o-9").amend(lines(4), { expected: 1 })).toMatchObject({ kind: "conflict", version: 0 });
});

test("a client that never saw the entity may name its version", async () => {
  const shop = await openShop();
  await shop.orders.order("o-1").place({ customer: "ada", ...lines(2) });
  expect(await shop.client().order("o-1").amend(lines(3), { expected: 1 })).toMatchObject({ kind: "accepted", version: 2 });
  expect(await shop.client().order("o-1").amend(lines(3), { expected: 1 })).toMatchObject({ kind: "conflict", version: 2 });
});

test("of two clients that create the same entity at once, one succeeds and the other learns what there is", async () => {
  const shop = await openShop();
  const outcomes = await Promise.all(
    ["ada", "bob"].map((customer) =>
      shop
        .client()
        .order("o-1")
        .place({ customer, ...lines(1) }, { expected: "none" }),
    ),
  );
  expect(outcomes.map(({ kind }) => kind).sort()).toEqual(["accepted", "conflict"]);
});

test("bad input and unknown names are errors that say where and what, and are sent once", async () => {
  const shop = await openShop();
  const client = shop.client();
  await expect(client.order("o-1").place({ customer: "ada", lines: [] })).rejects.toMatchObject({
    code: "invalid_input",
    details: { issues: [{ path: "lines" }] },
  });
  const untyped = client as unknown as Record<string, (id: string) => Record<string, (input: unknown) => Promise<unknown>>>;
  await expect(untyped["order"]!("o-1")["plaec"]!({})).rejects.toMatchObject({
    code: "not_found",
    details: { known: ["place", "amend", "cancel"] },
  });
  await expect(untyped["ordre"]!("o-1")["place"]!({})).rejects.toMatchObject({ code: "not_found", details: { known: ["order", "stock"] } });
  expect(shop.requests).toHaveLength(2);
});

test("ids with slashes, spaces, percent signs and letters of any script reach the entity they name", async () => {
  const shop = await openShop();
  const client = shop.client();
  for (const id of ["a/b", "a b", "50%", "..a", "ünï/çödé", "日本", "a?b#c", "%2F"]) {
    expect(await client.order(id).place({ customer: id, ...lines(1) })).toMatchObject({ kind: "accepted" });
    expect((await shop.orders.order.state(id)).version).toBe(1);
    expect((await client.order.state(id)).version).toBe(1);
    expect((await client.orderSummary.get(id)).value?.customer).toBe(id);
  }
});

test("an entity is read as it is, as it was at a version, and as it was at a time", async () => {
  const shop = await openShop();
  const client = shop.client();
  const { events } = accepted(await client.order("o-1").place({ customer: "ada", ...lines(2) }));
  await new Promise((resolve) => setTimeout(resolve, 5));
  await client.order("o-1").amend(lines(5));
  expect(await client.order.state("o-1")).toMatchObject({ version: 2, state: { units: 5 }, pending: ["returnCode"], fresh: true });
  expect(await client.order.state("o-1", { version: 1 })).toMatchObject({ version: 1, state: { units: 2 } });
  expect(await client.order.state("o-1", { at: new Date(events[0]!.at) })).toMatchObject({ version: 1 });
  await expect(client.order.state("o-2")).rejects.toMatchObject({ code: "entity_not_found" });
  await expect(client.order.events("o-2")).rejects.toMatchObject({ code: "entity_not_found" });
  expect((await client.order.events("o-1", { after: 1 })).map(({ version }) => version)).toEqual([2]);
});
