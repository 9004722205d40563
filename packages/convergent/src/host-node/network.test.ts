import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import { nodeNetwork } from "./network.ts";

let server: Server | undefined;
afterEach(() => server?.closeAllConnections());

async function serve(listener: RequestListener): Promise<string> {
  server = createServer(listener);
  await new Promise<void>((resolve) => server?.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

const post = { method: "POST", headers: { "X-Sent": "1" }, timeoutMs: 2000 };

test("a request is answered with status, headers in any case, and the whole body", async () => {
  const url = await serve((request, response) => {
    request.setEncoding("utf8");
    request.on("data", (text: string) => response.writeHead(201, { "X-Got": request.headers["x-sent"] }).end(`${text}!`));
  });
  const response = await nodeNetwork.request({ ...post, url, body: "grüße" });
  expect([response.status, response.header("x-got"), response.header("X-GOT"), response.header("none"), response.body]).toEqual([
    201,
    "1",
    "1",
    undefined,
    "grüße!",
  ]);
});

test("connections are kept from one request to the next", async () => {
  let connections = 0;
  const url = await serve((_, response) => response.end("x"));
  server?.on("connection", () => connections++);
  for (let count = 0; count < 5; count++) await nodeNetwork.request({ ...post, url });
  expect(connections).toBe(1);
});

test("a broken answer, a silent server, a closed port and a cancelled request all reject", async () => {
  const url = await serve((request, response) => {
    if (request.url === "/half") response.writeHead(200, { "content-length": "10" }).write("half", () => response.destroy());
  });
  await expect(nodeNetwork.request({ ...post, url: `${url}half` })).rejects.toThrow();
  await expect(nodeNetwork.request({ ...post, url, timeoutMs: 50 })).rejects.toThrow("within 50 ms");
  const cancel = new AbortController();
  const cancelled = nodeNetwork.request({ ...post, url, signal: cancel.signal });
  cancel.abort();
  await expect(cancelled).rejects.toThrow();
  await expect(nodeNetwork.request({ ...post, url: "http://127.0.0.1:1/" })).rejects.toThrow("ECONNREFUSED");
});
