// What the proxy does to connections, seen from both of their ends.
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { TcpProxy, type Way } from "./tcp-proxy.ts";

interface End {
  readonly socket: Socket;
  readonly heard: () => string;
  /** How it was closed, once it was. */
  readonly closed: () => string | undefined;
}

function watched(socket: Socket): End {
  let heard = "";
  let closed: string | undefined;
  socket.on("data", (bytes: Buffer) => (heard += bytes.toString()));
  socket.on("error", (error: NodeJS.ErrnoException) => (closed ??= error.code));
  socket.on("close", () => (closed ??= "closed"));
  onTestFinished(() => void socket.destroy());
  return { socket, heard: () => heard, closed: () => closed };
}

/** A server that answers every line with the line and "!", behind a proxy. */
async function behindProxy(): Promise<{ proxy: TcpProxy; accepted: End[]; dial: () => Promise<End> }> {
  const accepted: End[] = [];
  const server = createServer((socket) => {
    accepted.push(watched(socket));
    socket.on("data", (bytes: Buffer) => socket.write(`${bytes.toString().trim()}!\n`));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const proxy = await TcpProxy.open((server.address() as AddressInfo).port);
  onTestFinished(() => proxy.close());
  return { proxy, accepted, dial: async () => dialled(proxy.port) };
}

async function dialled(port: number): Promise<End> {
  const socket = connect(port, "127.0.0.1");
  await once(socket, "connect");
  return watched(socket);
}

async function until(holds: () => boolean): Promise<void> {
  for (const begun = performance.now(); !holds(); await sleep(5))
    if (performance.now() - begun > 10_000) throw new Error("it did not come about in 10 s");
}

/** Long enough for what should not come to have come. */
const quietMs = 150;

test("what is sent comes through in both directions, and an end is told to the other side", async () => {
  const { accepted, dial } = await behindProxy();
  const client = await dial();
  client.socket.write("a\n");
  await until(() => client.heard() === "a!\n");
  client.socket.end();
  await until(() => accepted[0]?.closed() === "closed");
  expect(accepted[0]?.heard()).toBe("a\n");
});

test("a delay holds back what is sent, and nothing overtakes it when it ends", async () => {
  const { proxy, dial } = await behindProxy();
  const client = await dial();
  proxy.way = { kind: "delay", ms: 200 };
  const sentAt = performance.now();
  client.socket.write("a\n");
  await until(() => client.heard() !== "");
  expect(performance.now() - sentAt).toBeGreaterThan(390); // there and back
  client.socket.write("b\n");
  await sleep(20);
  proxy.way = { kind: "pass" };
  client.socket.write("c\n");
  await until(() => client.heard().includes("c"));
  expect(client.heard().replaceAll(/[!\n]/g, "")).toBe("abc");
});

test("dropped bytes come nowhere, the connection stays open, and is never used again with a hole in it", async () => {
  const { proxy, accepted, dial } = await behindProxy();
  const client = await dial();
  client.socket.write("a\n");
  await until(() => client.heard() === "a!\n");
  proxy.way = { kind: "drop" };
  client.socket.write("b\n");
  await sleep(quietMs);
  proxy.way = { kind: "pass" };
  client.socket.write("c\n");
  await sleep(quietMs);
  expect([accepted[0]?.heard(), client.heard(), client.closed()]).toEqual(["a\n", "a!\n", undefined]);
  const next = await dial();
  next.socket.write("d\n");
  await until(() => next.heard() === "d!\n");
});

test("of a half-open connection the server's side ends and the client hears nothing", async () => {
  const { proxy, accepted, dial } = await behindProxy();
  const client = await dial();
  client.socket.write("a\n");
  await until(() => client.heard() === "a!\n");
  proxy.way = { kind: "half-open" };
  await until(() => accepted[0]?.closed() === "closed");
  client.socket.write("b\n");
  const late = await dial();
  late.socket.write("c\n");
  await sleep(quietMs);
  expect([client.closed(), late.closed(), late.heard()]).toEqual([undefined, undefined, ""]);
});

test("a reset ends open connections and new ones", async () => {
  const { proxy, dial } = await behindProxy();
  const client = await dial();
  client.socket.write("a\n");
  await until(() => client.heard() === "a!\n");
  proxy.way = { kind: "reset" };
  const late = watched(connect(proxy.port, "127.0.0.1"));
  await until(() => client.closed() !== undefined && late.closed() !== undefined);
  expect([client.closed(), client.heard(), late.heard()]).toEqual(["ECONNRESET", "a!\n", ""]);
});

test("a dropped reply is one whose request came through", async () => {
  const { proxy, accepted, dial } = await behindProxy();
  const client = await dial();
  const way: Way = { kind: "drop replies" };
  proxy.way = way;
  client.socket.write("a\n");
  await until(() => client.closed() === "ECONNRESET");
  expect([accepted[0]?.heard(), client.heard(), proxy.way]).toEqual(["a\n", "", way]);
});

test("a server that is away resets whoever comes, and another one can take its place", async () => {
  const { proxy, dial } = await behindProxy();
  const { target } = proxy;
  proxy.target = 1;
  const lost = await dial();
  await until(() => lost.closed() !== undefined);
  expect(lost.closed()).toBe("ECONNRESET");
  proxy.target = target;
  const client = await dial();
  client.socket.write("a\n");
  await until(() => client.heard() === "a!\n");
});
