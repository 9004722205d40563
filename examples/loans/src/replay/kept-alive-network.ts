/**
 * The network of the replay: Node's own HTTP client over connections that stay open. One process sends everything here,
 * so that a request costs counts: `fetch`, which the client uses by itself, takes twice as long for it.
 */
import { Agent, type IncomingMessage, request } from "node:http";
import type { ClientHost } from "convergent/client";
import { nodeHost } from "convergent/node";

/** This machine, with connections that are kept: at most as many as requests are under way. */
export function keptAliveHost(connectionsMax: number): ClientHost {
  const agent = new Agent({ keepAlive: true, maxSockets: connectionsMax, maxFreeSockets: connectionsMax, scheduling: "fifo" });
  return { ...nodeHost(), network: { request: (sent) => send(agent, sent) } };
}

type Sent = Parameters<ClientHost["network"]["request"]>[0];
type Received = Awaited<ReturnType<ClientHost["network"]["request"]>>;

function send(agent: Agent, { method, url, headers, body, timeoutMs }: Sent): Promise<Received> {
  return new Promise((resolve, reject) => {
    const outgoing = request(url, {
      agent,
      method,
      headers: { ...headers, ...(body === undefined ? {} : { "content-length": Buffer.byteLength(body) }) },
    });
    // A timer of the socket's own is cheaper than one for each request, and starts anew with each.
    outgoing.setTimeout(timeoutMs, () => outgoing.destroy(new Error(`no answer within ${timeoutMs} ms`)));
    outgoing.once("error", reject);
    outgoing.once("response", (response) => {
      receive(response).then(resolve, reject);
    });
    outgoing.end(body);
  });
}

function receive(response: IncomingMessage): Promise<Received> {
  return new Promise((resolve, reject) => {
    let body = "";
    response.setEncoding("utf8");
    response.on("data", (text: string) => (body += text));
    response.once("end", () => resolve({ status: response.statusCode ?? 0, header: (name) => textOf(response.headers[name]), body }));
    response.once("error", reject);
    response.once("close", () => reject(new Error("the connection broke in the middle of the answer")));
  });
}

function textOf(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(", ") : value;
}
