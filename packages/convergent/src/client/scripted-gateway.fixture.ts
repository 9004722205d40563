/**
 * The gateway that the tests of the client script, in virtual time: what was sent and when is theirs to look at. Neither a
 * test nor part of the package.
 */
import { isConvergentError } from "../errors/error.ts";
import type { CancelSignal, NetworkRequest, NetworkResponse } from "../host/host.ts";
import type { Schema } from "../log/schema.ts";
import type { DefinitionBody } from "../protocol/wire.ts";
import { connectOn, type ConnectOptions } from "./connect.ts";
import type { Client } from "./facade.ts";
import type { ClientHost } from "./transport.ts";

/** The structure that the client infers from. */
export interface Shop {
  readonly parts: {
    readonly order: {
      readonly kind: "entity";
      readonly initial: () => { status: string };
      readonly commands: { readonly place: { readonly input: Schema<{ total: number }> } };
    };
    readonly orderSummary: {
      readonly kind: "view";
      readonly document: Schema<unknown, { customer: string; total: number }>;
      readonly indexes: readonly ["customer", "total"];
    };
    readonly customerOrders: {
      readonly kind: "view";
      readonly document: Schema<unknown, { orders: number }>;
      readonly indexes: readonly [];
    };
  };
}

export const definition: DefinitionBody = {
  protocol: 1,
  services: ["orders"],
  parts: [
    { key: "order", name: "order", kind: "entity", service: "orders" },
    { key: "orderSummary", name: "order-summary", kind: "view", service: "orders" },
    { key: "customerOrders", name: "customer-orders", kind: "view", service: "orders" },
    { key: "reserveStock", name: "reserve-stock", kind: "reaction", service: "orders" },
  ],
};

export type Script = (request: NetworkRequest, count: number) => NetworkResponse | Promise<NetworkResponse>;

/** Virtual time: nothing waits, and whoever sleeps longest wakes last. */
export class World {
  now = 0;
  ids = 0;
  readonly requests: NetworkRequest[] = [];
  /** When each request was sent. */
  readonly times: number[] = [];
  readonly #sleepers: Array<{ readonly at: number; readonly wake: () => void }> = [];
  readonly #script: Script;

  constructor(script: Script) {
    this.#script = script;
  }

  readonly host: ClientHost = {
    clock: { now: () => this.now, elapsed: () => this.now },
    random: { fraction: () => 0.5, id: () => `id-${++this.ids}` },
    timers: {
      after: () => ({ cancel: () => undefined }),
      sleep: (ms, signal) => this.sleep(ms, signal),
      turn: () => this.sleep(0),
    },
    network: {
      request: async (request) => {
        if (request.url.endsWith("/definition")) this.definitions++;
        else {
          this.requests.push(request);
          this.times.push(this.now);
        }
        const answer = Promise.resolve(this.#script(request, this.requests.length));
        return Promise.race([answer, this.#timeout(request)]);
      },
    },
  };
  definitions = 0;

  /** What was sent last. */
  get last(): NetworkRequest {
    return this.requests.at(-1)!;
  }

  sleep(ms: number, signal?: CancelSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#sleepers.push({ at: this.now + ms, wake: resolve });
      signal?.addEventListener("abort", () => reject(signal.reason instanceof Error ? signal.reason : new Error("cancelled")));
    });
  }

  /** The promise's result, with time passing as fast as it can. */
  async run<T>(promise: Promise<T>): Promise<T> {
    let settled = false;
    promise.then(
      () => (settled = true),
      () => (settled = true),
    );
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve));
      if (settled) return promise;
      this.#sleepers.sort((a, b) => a.at - b.at);
      const next = this.#sleepers.shift();
      if (!next) throw new Error("nothing will ever happen again");
      this.now = Math.max(this.now, next.at);
      next.wake();
    }
  }

  client(options: ConnectOptions = {}): Client<Shop> {
    return connectOn<Shop>(this.host, "http://gateway/", options);
  }

  async #timeout(request: NetworkRequest): Promise<never> {
    await this.sleep(request.timeoutMs);
    throw new Error(`no answer within ${request.timeoutMs} ms`);
  }
}

export function answer(status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): NetworkResponse {
  return { status, header: (name) => headers[name.toLowerCase()], body: typeof body === "string" ? body : JSON.stringify(body) };
}

export function problem(
  status: number,
  code: string,
  extra: Readonly<Record<string, unknown>> = {},
  headers: Readonly<Record<string, string>> = {},
): NetworkResponse {
  return answer(status, { type: "about:blank", title: code, status, detail: `it is ${code}`, code, ...extra }, headers);
}

export function entry(position: number, store = "orders"): string {
  return `${store}.e1.${position}.1000.abcd.mac`;
}

export function placed(version = 1, extra: Readonly<Record<string, unknown>> = {}): NetworkResponse {
  const events = [{ id: "v", type: "order.placed", version, position: version, at: "2026-01-01T00:00:00.000Z", data: {} }];
  return answer(200, { state: { status: "placed" }, version, events, token: entry(version), ...extra }, { etag: `"e1.${version}"` });
}

export function reading(
  value: unknown,
  position: number,
  extra: Readonly<Record<string, unknown>> = {},
  headers: Readonly<Record<string, string>> = {},
): NetworkResponse {
  return answer(
    200,
    { value, asOf: position, behind: { positions: 0, ms: 0 }, fresh: true, ...extra },
    { "consistency-token": entry(position), ...headers },
  );
}

/** A gateway that answers its definition and, to everything else, what the script says. */
export function world(script: Script): World {
  return new World((request, count) => (request.url.endsWith("/definition") ? answer(200, definition) : script(request, count)));
}

export function lost(): never {
  throw new Error("connection reset");
}

export async function failure(
  promise: Promise<unknown>,
): Promise<{ code: string; message: string; details: Readonly<Record<string, unknown>>; cause?: unknown }> {
  try {
    await promise;
  } catch (error) {
    if (isConvergentError(error)) return error;
    throw error;
  }
  throw new Error("it did not fail");
}

export const tokenOf = (request: NetworkRequest): string | undefined => request.headers["consistency-token"];
