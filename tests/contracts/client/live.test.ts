// Watching over the socket: what a client sees when the line is cut, blocked, or the server goes away, and what it does not have sent again.
import { type GatewayOptions, serve, type Serving } from "@convergent/server";
import { type Client, connect, type ConnectOptions } from "convergent/client";
import { nodeHost } from "convergent/node";
import { expect, onTestFinished, test } from "vitest";
import { travel } from "../sagas/travel.ts";
import { World } from "../sagas/trip.ts";
import { memory } from "convergent/memory";
import { Line } from "./line.ts";
import type { inventory, orders } from "./services.ts";
import { lines, openShop } from "./shop.ts";

type Both = typeof orders | typeof inventory;

async function served(options: GatewayOptions = {}) {
  const shop = await openShop();
  const start = (port: number): Promise<Serving> => serve({ services: [shop.orders, shop.inventory], port, ...options });
  const server = await start(0);
  const line = await Line.to(server.port);
  const running = { server };
  onTestFinished(() => running.server.close());
  return {
    shop,
    line,
    running,
    client: (more: ConnectOptions = {}): Client<Both> => connect<Both>(line.url, { host: nodeHost(), ...more }),
    restart: async () => {
      await running.server.close();
      running.server = await start(server.port);
    },
  };
}

function heard<T>(watch: { subscribe(news: (value: T) => void, failed: (error: Error) => void): () => void }): T[] {
  const values: T[] = [];
  onTestFinished(
    watch.subscribe(
      (value) => values.push(value),
      (error) => expect.fail(error.message),
    ),
  );
  return values;
}

const patient = { timeout: 10_000, interval: 10 } as const;

test("all watches of a client share one socket, and what others write is there at once", async () => {
  const { shop, line, client } = await served();
  const own = client();
  const documents = heard(own.orderSummary.watch("o-1"));
  const pages = heard(own.orderSummary.watchFind({ customer: "ada" }, { orderBy: "units", descending: true, limit: 2 }));
  await expect.poll(() => documents.length > 0 && pages.length > 0, patient).toBe(true);
  const startedAt = performance.now();
  for (const units of [1, 3, 2]) await shop.orders.order(`o-${units}`).place({ customer: "ada", ...lines(units) });
  await expect.poll(() => pages.at(-1)?.value.map(({ key }) => key), patient).toEqual(["o-3", "o-2"]);
  await expect.poll(() => documents.at(-1)?.value?.units, patient).toBe(1);
  expect(pages.at(-1)?.cursor).toBeDefined();
  expect(performance.now() - startedAt).toBeLessThan(2_000); // polling would look every five seconds
  expect(line.handshakes).toBe(1);
  const entities = heard(own.order.watch("o-1"));
  await expect.poll(() => entities.at(-1)?.state.units, patient).toBe(1);
  await shop.orders.order("o-1").amend(lines(7));
  await expect.poll(() => entities.at(-1), patient).toMatchObject({ state: { units: 7 }, version: 2, fresh: true });
  expect(line.handshakes).toBe(1);
});

test("a line that is cut is opened again, and what was not missed is not sent again", async () => {
  const { shop, line, client } = await served();
  await shop.orders.order("o-1").place({ customer: "ada-of-the-first-order", ...lines(1) });
  await shop.orders.waitFor((await shop.orders.order.state("o-1")).token);
  const seen = heard(client().orderSummary.watch("o-1"));
  await expect.poll(() => seen.at(-1)?.value?.units, patient).toBe(1);
  line.said = "";
  line.cut();
  await expect.poll(() => line.handshakes, patient).toBe(2);
  await expect.poll(() => line.said.includes('"resumed":true'), patient).toBe(true);
  await shop.orders.order("o-2").place({ customer: "bob", ...lines(1) });
  await expect.poll(() => seen.at(-1)?.asOf, patient).toBe(2);
  expect(line.said).not.toContain("ada-of-the-first-order");
  line.cut();
  for (const units of [2, 3, 4]) await shop.orders.order("o-1").amend(lines(units));
  await expect.poll(() => seen.at(-1)?.value?.units, patient).toBe(4);
  const units = seen.map(({ value }) => value?.units ?? 0);
  expect(units).toEqual([...units].sort((one, other) => one - other));
});

test("a server that stops and starts again is come back to; values never go back", async () => {
  const { shop, client, restart, line } = await served();
  const seen = heard(client().orderSummary.watch("o-1"));
  await shop.orders.order("o-1").place({ customer: "ada", ...lines(1) });
  await expect.poll(() => seen.at(-1)?.value?.units, patient).toBe(1);
  await restart();
  await shop.orders.order("o-1").amend(lines(2));
  await expect.poll(() => seen.at(-1)?.value?.units, patient).toBe(2);
  expect(line.handshakes).toBeGreaterThan(1);
});

test("where no socket gets through the client polls, and takes the socket once one does", async () => {
  const { shop, line, client } = await served();
  line.isBlocked = true;
  const seen = heard(client().orderSummary.watch("o-1", { interval: "50ms" }));
  await shop.orders.order("o-1").place({ customer: "ada", ...lines(1) });
  await expect.poll(() => seen.at(-1)?.value?.units, patient).toBe(1);
  expect(line.handshakes).toBe(2);
  line.isBlocked = false;
  await expect.poll(() => line.said.includes('"reset":"start"'), { timeout: 20_000, interval: 50 }).toBe(true);
  await shop.orders.order("o-1").amend(lines(2));
  await expect.poll(() => seen.at(-1)?.value?.units, patient).toBe(2);
}, 60_000);

test("a write of this session is waited for: what does not hold it yet is not fresh", async () => {
  const { shop, client } = await served();
  const own = client();
  const seen = heard(own.orderSummary.watch("o-1"));
  await expect.poll(() => seen.at(-1)?.fresh, patient).toBe(true);
  shop.pause("order-summary");
  await new Promise((resolve) => setTimeout(resolve, 100));
  await own.order("o-1").place({ customer: "ada", ...lines(2) });
  await expect.poll(() => seen.at(-1)?.fresh, patient).toBe(false);
  shop.resume("order-summary");
  await expect.poll(() => seen.at(-1), patient).toMatchObject({ fresh: true, value: { units: 2 } });
  // Of another service the effects are waited for.
  const stock = heard(own.availability.watch("p-1"));
  await expect.poll(() => stock.at(-1)?.fresh, patient).toBe(true);
  expect(stock.at(-1)?.value).toBeDefined();
});

test("a watch that is left is asked for no more, and a client without watches closes its socket", async () => {
  const { shop, line, client, running } = await served();
  const own = client();
  const stop = own.orderSummary.watch("o-1").subscribe(() => undefined);
  await expect.poll(() => line.said.includes('"reset"'), patient).toBe(true);
  const watches = async (): Promise<string | undefined> =>
    /convergent_live_watches (\d+)/.exec(await (await fetch(`${running.server.url}/metrics`)).text())?.[1];
  const connections = async (): Promise<string | undefined> =>
    /convergent_live_connections (\d+)/.exec(await (await fetch(`${running.server.url}/metrics`)).text())?.[1];
  expect(await watches()).toBe("1");
  stop();
  await expect.poll(watches, patient).toBe("0");
  await expect.poll(connections, patient).toBe("0");
  // And opens another when there is something to watch again.
  const seen = heard(own.orderSummary.watch("o-1"));
  await shop.orders.order("o-1").place({ customer: "ada", ...lines(1) });
  await expect.poll(() => seen.at(-1)?.value?.units, patient).toBe(1);
  expect(line.handshakes).toBe(2);
});

test("credentials go with the socket, new ones when the old ones have expired; a watch that is not allowed fails, alone", async () => {
  let current = "ada-1";
  let valid = "ada-1";
  const { shop, line, client } = await served({
    authenticate: (request) =>
      request.headers.get("authorization") === `Bearer ${valid}` ? { subject: "ada", claims: {}, scopes: new Set<string>() } : undefined,
    policy: (asked) => asked.kind !== "entity",
    live: { recheck: "1s" },
  });
  const own = client({ headers: () => ({ authorization: `Bearer ${current}` }) });
  const seen = heard(own.orderSummary.watch("o-1"));
  await expect.poll(() => seen.length, patient).toBe(1);
  const failure = new Promise<Error>((resolve) => own.order.watch("o-1").subscribe(() => undefined, resolve));
  expect(await failure).toMatchObject({ code: "forbidden" });
  current = "ada-2";
  valid = "ada-2";
  await expect.poll(() => line.handshakes, patient).toBe(2);
  await shop.orders.order("o-1").place({ customer: "ada", ...lines(1) });
  await expect.poll(() => seen.at(-1)?.value?.units, patient).toBe(1);
});

test("a saga is watched to its end, through cuts, each stage at most once and in order", async () => {
  const running = await travel(new World()).start({ store: memory() });
  const server = await serve({ services: [running], port: 0 });
  onTestFinished(async () => {
    await server.close();
    await running.stop();
  });
  const line = await Line.to(server.port);
  const client = connect<ReturnType<typeof travel>>(line.url, { host: nodeHost() });
  const { id } = await client.approval.start("a-1", { amount: 3 });
  const versions: number[] = [];
  let status = "";
  const watching = (async () => {
    for await (const view of client.approval.watch(id)) {
      versions.push(view.version);
      ({ status } = view);
    }
  })();
  await expect.poll(() => versions.length, patient).toBeGreaterThan(0);
  line.cut();
  await client.approval.signal(id, "decided", { yes: true });
  await new Promise((resolve) => setTimeout(resolve, 50));
  line.cut();
  await client.approval.cancel(id, { reason: "enough" }).catch(() => undefined);
  await watching;
  expect(["completed", "compensated"]).toContain(status);
  expect(versions).toEqual([...new Set(versions)].sort((one, other) => one - other));
});

test("a saga that ends where no socket gets through ends its watch, and is asked for no more", async () => {
  const running = await travel(new World()).start({ store: memory() });
  const server = await serve({ services: [running], port: 0 });
  onTestFinished(async () => {
    await server.close();
    await running.stop();
  });
  const line = await Line.to(server.port);
  line.isBlocked = true;
  const client = connect<ReturnType<typeof travel>>(line.url, { host: nodeHost() });
  const { id } = await client.approval.start("a-1", { amount: 3 });
  const seen: string[] = [];
  const watching = (async () => {
    for await (const { version, status } of client.approval.watch(id)) {
      seen.push(`${version} ${status}`);
      if (seen.length > 50) return;
    }
  })();
  await expect.poll(() => seen.length, patient).toBeGreaterThan(0);
  await client.approval.cancel(id, { reason: "enough" });
  await watching;
  expect(seen.at(-1)).toContain("compensated");
  expect(new Set(seen).size).toBe(seen.length);
});
