// HTTP contract through real sockets: the port, the host, bodies that are cut off, and an orderly end.
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { serve, type Serving } from "@convergent/server";
import { afterEach, beforeEach, expect, test } from "vitest";
import { placement, type Shop, startShop } from "./order-service.ts";

let shop: Shop;
let server: Serving;
beforeEach(async () => {
  shop = await startShop();
  server = await serve({
    services: shop.services,
    port: 0,
    closeWithin: "500ms",
    fallback: (request) => new Response(`page ${new URL(request.url).pathname}`),
    onError: () => undefined,
  });
});
afterEach(async () => {
  await server.close();
  await shop.stop();
});

const post = (path: string, body: unknown) => fetch(`${server.url}${path}`, { method: "POST", body: JSON.stringify(body) });

/** Sends bytes as they are and returns what came back until the other side closed or `until` was seen. */
async function raw(text: string, until: RegExp): Promise<string> {
  const socket = connect(server.port, "127.0.0.1");
  socket.write(text);
  let received = "";
  for await (const chunk of socket) {
    received += String(chunk);
    if (until.test(received)) break;
  }
  socket.destroy();
  return received;
}

test("commands and reads work over a socket, and other addresses are the application's", async () => {
  const placed = await post("/entities/order/o-1/place", placement);
  expect(placed.status).toBe(200);
  const token = placed.headers.get("consistency-token")!;
  const view = await fetch(`${server.url}/views/order-summary/o-1`, { headers: { "Consistency-Token": token } });
  expect(await view.json()).toMatchObject({ fresh: true, value: { total: 600 } });
  expect(await (await fetch(`${server.url}/index.html`)).text()).toBe("page /index.html");
  const unchanged = await fetch(`${server.url}/entities/order/o-1`, { headers: { "If-None-Match": placed.headers.get("etag")! } });
  expect(unchanged.status).toBe(304);
  expect((await fetch(`${server.url}/entities/order/o-1`, { method: "HEAD" })).headers.get("etag")).toBe(placed.headers.get("etag"));
});

test("a port in use is port_in_use with the port and the way out", async () => {
  const failed = serve({ services: shop.services, port: server.port });
  await expect(failed).rejects.toMatchObject({ code: "port_in_use", details: { port: server.port } });
  await expect(failed).rejects.toThrow(new RegExp(`${server.port}.*another port`));
});

test("addresses beyond this machine are refused, ::1 is not", async () => {
  for (const hostname of ["0.0.0.0", "::", "192.168.0.7", "example.com", "shop.localhost"])
    await expect(serve({ services: shop.services, port: 0, hostname })).rejects.toMatchObject({ code: "definition_invalid" });
  const six = await serve({ services: shop.services, port: 0, hostname: "::1" }).catch((error: unknown) => error as { code?: string });
  if ("close" in six) await six.close();
  else expect(six.code).toBe("EADDRNOTAVAIL"); // a machine without IPv6
});

test("a declared body over 1 MB is answered 413 without waiting for it", async () => {
  const answer = await raw(
    "POST /entities/order/o-1/place HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50000000\r\n\r\n{",
    /payload_too_large/,
  );
  expect(answer).toMatch(/^HTTP\/1\.1 413 [\s\S]*connection: close/i);
});

test("a chunked body over 1 MB is answered 413", async () => {
  const chunk = `10000\r\n${" ".repeat(0x10000)}\r\n`;
  const answer = await raw(
    `POST /entities/order/o-1/place HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n${chunk.repeat(20)}`,
    /payload_too_large/,
  );
  expect(answer).toMatch(/^HTTP\/1\.1 413 /);
});

test("a chunked body within the limit is read", async () => {
  const text = JSON.stringify(placement);
  const answer = await raw(
    `POST /entities/order/o-1/place HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n${text.length.toString(16)}\r\n${text}\r\n0\r\n\r\n`,
    /"token"/,
  );
  expect(answer).toMatch(/^HTTP\/1\.1 200 /);
});

test("a request whose body is cut off writes nothing, and the server goes on", async () => {
  const socket = connect(server.port, "127.0.0.1");
  socket.write(`POST /entities/order/o-1/place HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500\r\n\r\n${JSON.stringify(placement)}`);
  await new Promise((resolve) => setTimeout(resolve, 50));
  socket.destroy();
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect((await fetch(`${server.url}/entities/order/o-1`)).status).toBe(404);
});

test("a Host of another name is 403", async () => {
  expect(await raw("GET /definition HTTP/1.1\r\nHost: evil.example\r\n\r\n", /forbidden/)).toMatch(/^HTTP\/1\.1 403 /);
});

test("malformed requests do not stop the server", async () => {
  for (const text of [
    "\u0000\u0001garbage\r\n\r\n",
    "GET / HTTP/1.1\r\n\r\n",
    "GET /%zz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "GET \\\\x HTTP/1.1\r\nHost: a b\r\n\r\n",
  ])
    expect(await raw(text, /\r\n\r\n/)).toMatch(/^HTTP\/1\.1 4\d\d /);
  expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
});

test("close stops accepting, and a request that is running gets its answer", async () => {
  shop.gate.close();
  const running = post("/entities/order/o-1/cancel", { reason: "late" });
  await new Promise((resolve) => setTimeout(resolve, 50));
  const closed = server.close();
  setTimeout(() => shop.gate.open(), 50);
  expect((await running).status).toBe(200);
  await closed;
  await expect(fetch(`${server.url}/healthz`)).rejects.toThrow();
});

test("close cuts off what does not end, after its bound", async () => {
  shop.gate.close();
  const running = post("/entities/order/o-1/cancel", { reason: "late" }).catch(() => "cut off");
  await new Promise((resolve) => setTimeout(resolve, 50));
  const started = performance.now();
  await server.close();
  expect(performance.now() - started).toBeLessThan(3000);
  expect(await running).toBe("cut off");
  shop.gate.open();
});

test("close does not wait for connections that are idle", async () => {
  const idle: Socket = connect(server.port, "127.0.0.1");
  await once(idle, "connect");
  const started = performance.now();
  await server.close();
  expect(performance.now() - started).toBeLessThan(4000); // it would wait 10 s for them
  idle.destroy();
});

test("close does not wait for clients that never stop asking", async () => {
  let answers = 0;
  const ask = async (): Promise<void> => {
    for (;;) {
      const response = await fetch(`${server.url}/healthz`).catch(() => undefined);
      if (!response) return;
      await response.text();
      answers++;
    }
  };
  const asking = Array.from({ length: 16 }, ask);
  await expect.poll(() => answers, { timeout: 20_000 }).toBeGreaterThan(16);
  const started = performance.now();
  await server.close();
  expect(performance.now() - started).toBeLessThan(4000); // it would wait 10 s for them
  await Promise.all(asking);
});

test("a port that is free again can be taken", async () => {
  const blocker = createServer().listen(0, "127.0.0.1");
  await once(blocker, "listening");
  const { port } = blocker.address() as AddressInfo;
  await expect(serve({ services: shop.services, port })).rejects.toMatchObject({ code: "port_in_use" });
  blocker.close();
  await once(blocker, "close");
  await (await serve({ services: shop.services, port })).close();
});
