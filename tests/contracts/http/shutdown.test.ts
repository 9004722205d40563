// HTTP contract: the end of a server. What was acknowledged is in the log, whoever asks is told, nobody is cut off, nobody waits for nothing.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { serve } from "@convergent/server";
import { sqlite } from "convergent/sqlite";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type AnswerBody, placement, startShop } from "./order-service.ts";
import { Served } from "./served.ts";

let directory: string;
const started: Served[] = [];
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "convergent-shutdown-"));
});
afterEach(async () => {
  for (const served of started.splice(0)) served.child.kill("SIGKILL");
  await rm(directory, { recursive: true, force: true });
});

async function startServed(drainFor: "0s" | "700ms"): Promise<Served> {
  const served = await Served.start({ file: join(directory, "orders.db"), drainFor });
  started.push(served);
  return served;
}

type Attempt = { readonly kind: "answered"; readonly status: number; readonly version: number } | { readonly kind: "refused" | "reset" };

async function place(url: string, id: string): Promise<Attempt> {
  try {
    const response = await fetch(`${url}/entities/order/${id}/place`, {
      method: "POST",
      body: JSON.stringify(placement),
      headers: { "Idempotency-Key": `key-of-${id}` },
    });
    const { version } = (await response.json()) as AnswerBody;
    return { kind: "answered", status: response.status, version };
  } catch (error) {
    const { code } = ((error as Error).cause ?? {}) as { code?: string };
    return { kind: code === "ECONNREFUSED" ? "refused" : "reset" };
  }
}

test("SIGTERM under load: what was acknowledged is in the log, retries take effect once, the exit code is 0", async () => {
  const served = await startServed("700ms");
  const acknowledged: string[] = [];
  const open: string[] = [];
  const statuses = new Set<number>();
  const client = async (number: number): Promise<void> => {
    for (let index = 0; ; index++) {
      const id = `o-${number}-${index}`;
      const attempt = await place(served.url, id);
      if (attempt.kind === "answered") {
        statuses.add(attempt.status);
        if (attempt.status === 200) acknowledged.push(id);
      } else {
        open.push(id); // whether it was read is not known: it is sent again, with its key
        if (attempt.kind === "refused") return;
      }
    }
  };
  const clients = Array.from({ length: 64 }, (_, number) => client(number));
  await expect.poll(() => acknowledged.length, { timeout: 20_000 }).toBeGreaterThan(200);
  const atSignal = acknowledged.length;
  served.child.kill("SIGTERM");
  await expect.poll(async () => (await fetch(`${served.url}/readyz`)).status, { interval: 20, timeout: 600 }).toBe(503);
  expect(await (await fetch(`${served.url}/readyz`)).json()).toMatchObject({ status: "draining" });
  await Promise.all(clients);
  expect(await served.ended()).toBe(0);
  expect(served.failures).toEqual([]);
  expect([...statuses]).toEqual([200]);
  expect(acknowledged.length).toBeGreaterThan(atSignal); // it went on serving while it said that it would not

  const again = await startServed("0s");
  for (const id of acknowledged) {
    const response = await fetch(`${again.url}/entities/order/${id}`);
    expect([id, response.status, ((await response.json()) as AnswerBody).version]).toEqual([id, 200, 1]);
  }
  for (const id of open) expect(await place(again.url, id)).toEqual({ kind: "answered", status: 200, version: 1 });
  expect(await place(again.url, acknowledged.at(-1)!)).toEqual({ kind: "answered", status: 200, version: 1 });
  again.child.kill("SIGTERM");
  expect(await again.ended()).toBe(0);
}, 60_000);

test("while it drains, readyz says so, and everything else goes on, for the time that was set", async () => {
  const shop = await startShop({ driver: sqlite(join(directory, "orders.db")) });
  const server = await serve({ services: shop.services, port: 0, drainFor: "400ms" });
  const begun = performance.now();
  const closed = server.close();
  const ready = await fetch(`${server.url}/readyz`);
  expect([ready.status, ((await ready.json()) as AnswerBody).status]).toEqual([503, "draining"]);
  expect(Number(ready.headers.get("retry-after"))).toBeGreaterThan(0);
  expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
  expect((await place(server.url, "o-1")).kind).toBe("answered");
  await closed;
  expect(performance.now() - begun).toBeGreaterThan(390);
  expect((await place(server.url, "o-2")).kind).toBe("refused");
  await shop.stop();
});

test("reads that wait for freshness are answered at once when the server ends: as not fresh, or, when only a fresh answer will do, as to be asked again", async () => {
  const shop = await startShop({ driver: sqlite(join(directory, "orders.db")) });
  const server = await serve({ services: shop.services, port: 0 });
  shop.summaryReader.pause();
  await expect.poll(() => shop.summaryReader.state, { timeout: 2000 }).toBe("paused");
  await place(server.url, "o-1");
  const headers = { "Cache-Control": "no-cache", Prefer: "wait=25" };
  const begun = performance.now();
  const waiting = [
    fetch(`${server.url}/views/order-summary/o-1`, { headers }),
    fetch(`${server.url}/views/order-summary`, { headers }),
    fetch(`${server.url}/views/order-summary/o-1`, { headers: { ...headers, Prefer: "wait=25, handling=strict" } }),
  ];
  await new Promise((resolve) => setTimeout(resolve, 100));
  const ending = performance.now();
  await server.close();
  const answers = await Promise.all(waiting);
  expect(ending - begun).toBeGreaterThan(90); // they had not been answered before
  expect(performance.now() - begun).toBeLessThan(9000); // it would be cut off after 10 s
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 503]);
  expect(Number(answers[2]!.headers.get("retry-after"))).toBeGreaterThan(0);
  expect(await answers[0]!.json()).toMatchObject({ fresh: false });
  expect(await answers[2]!.json()).toMatchObject({ code: "closed", retry: "later", fresh: false });
  await shop.stop();
});
