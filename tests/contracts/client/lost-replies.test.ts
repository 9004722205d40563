// Over a real connection: the server does what it was asked, and the reply is lost on the way back.
import { serve } from "@convergent/server";
import { accepted, connect } from "convergent/client";
import { memory } from "convergent/memory";
import { nodeHost } from "convergent/node";
import { expect, onTestFinished, test } from "vitest";
import { TcpProxy } from "../../torture/tcp-proxy.ts";
import { orders } from "./services.ts";

test("a client that gets no reply repeats the command under its key, and is given the first answer", async () => {
  const running = await orders.start({ store: memory() });
  const served = await serve({ services: [running], port: 0 });
  const proxy = await TcpProxy.open(served.port);
  onTestFinished(async () => {
    await proxy.close();
    await served.close();
    await running.stop();
  });
  const keys: string[] = [];
  const host = nodeHost();
  const request: typeof host.network.request = async (sent) => {
    if (sent.method === "POST") keys.push(String(sent.headers["idempotency-key"]));
    // The second attempt is told.
    if (keys.length === 2) proxy.way = { kind: "pass" };
    return host.network.request(sent);
  };
  const client = connect<typeof orders>(`http://127.0.0.1:${proxy.port}`, { host: { ...host, network: { request } } });
  await client.order.state("o-0").catch(() => undefined); // what the parts are called is asked while all is well
  proxy.way = { kind: "drop replies" };
  const outcome = accepted(await client.order("o-1").place({ customer: "ada", lines: [{ product: "p-1", quantity: 2 }] }));
  expect(new Set(keys).size).toBe(1);
  expect(keys).toHaveLength(2);
  const [event, ...more] = await running.order.events("o-1");
  expect(more).toEqual([]);
  expect(outcome).toMatchObject({ repeated: true, version: 1, events: [{ id: event?.id }] });
});
