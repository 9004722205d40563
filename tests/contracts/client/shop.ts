/** A gateway over two running services, and a network to it that can lose requests and replies. */
import { createGateway, type Gateway } from "@convergent/server";
import { inProcess, type RunningService, runtimeOf } from "convergent";
import { type Client, type ClientHost, connect, type ConnectOptions } from "convergent/client";
import { memory } from "convergent/memory";
import { nodeHost } from "convergent/node";
import { onTestFinished } from "vitest";
import { inventory, orders } from "./services.ts";

export type ShopClient = Client<typeof orders | typeof inventory>;
type NetworkRequest = Parameters<ClientHost["network"]["request"]>[0];

/** What becomes of a request: handled and answered; handled and its reply lost; lost on the way; answered by somebody else. */
export type Fate = "answered" | "reply lost" | "request lost" | "html";

export interface Shop {
  readonly orders: RunningService<(typeof orders)["parts"]>;
  readonly inventory: RunningService<(typeof inventory)["parts"]>;
  readonly gateway: Gateway;
  /** What was sent, apart from the question for the definition. */
  readonly requests: NetworkRequest[];
  /** Decides about each request; everything is answered unless it says otherwise. */
  fate: (request: NetworkRequest, count: number) => Fate;
  client(options?: ConnectOptions): ShopClient;
  /** Stops the reader of a view, so that it falls behind. */
  pause(view: "order-summary" | "availability"): void;
  resume(view: "order-summary" | "availability"): void;
}

export async function openShop(): Promise<Shop> {
  const first = await orders.start({ store: memory() });
  const second = await inventory.start({ store: memory(), channels: [inProcess(first)] });
  onTestFinished(async () => {
    await second.stop();
    await first.stop();
  });
  const gateway = createGateway([first, second]);
  const way = networkTo(gateway);
  const readerOf = (view: string) => runtimeOf(view === "availability" ? second : first).view(view).reader;
  return Object.assign(way, {
    orders: first,
    inventory: second,
    gateway,
    client: (options: ConnectOptions = {}) =>
      connect<typeof orders | typeof inventory>("http://localhost", {
        host: { ...nodeHost(), network: { request: way.request } },
        retryFor: "5s",
        ...options,
      }),
    pause: (view: string) => readerOf(view).pause(),
    resume: (view: string) => readerOf(view).resume(),
  });
}

/** The way to a gateway without a socket. */
export interface Way {
  readonly requests: NetworkRequest[];
  fate: (request: NetworkRequest, count: number) => Fate;
  readonly request: ClientHost["network"]["request"];
}

export function networkTo(gateway: Gateway): Way {
  const requests: NetworkRequest[] = [];
  const request: Way["request"] = async (sent) => {
    const isDefinition = sent.url.endsWith("/definition");
    if (!isDefinition) requests.push(sent);
    const fate = isDefinition ? "answered" : way.fate(sent, requests.length);
    if (fate === "request lost") throw new Error("connection refused");
    if (fate === "html") return { status: 200, header: () => undefined, body: "<html>please log in</html>" };
    const answer = await gateway.fetch(requestOf(sent));
    if (fate === "reply lost") throw new Error("connection reset");
    return { status: answer.status, header: (name) => answer.headers.get(name) ?? undefined, body: await answer.text() };
  };
  const way: Way = { requests, fate: () => "answered", request };
  return way;
}

function requestOf({ method, url, headers, body, signal }: NetworkRequest): Request {
  return new Request(url, {
    method,
    headers,
    ...(body === undefined ? {} : { body }),
    ...(signal ? { signal: signal as AbortSignal } : {}),
  });
}

export function lines(quantity: number, product = "p-1"): { readonly lines: Array<{ product: string; quantity: number }> } {
  return { lines: [{ product, quantity }] };
}
