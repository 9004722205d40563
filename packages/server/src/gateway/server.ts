/** Puts a gateway on a port of this machine, and takes it off again without cutting off what is running. */
import type { IncomingMessage, Server as HttpServer } from "node:http";
import { isIP, isIPv6, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { createAdaptorServer } from "@hono/node-server";
import { ConvergentError, type Duration, durationMs, type Running, runtimeOf } from "convergent";
import type { Sender } from "./caller.ts";
import { createGateway, type Gateway, type GatewayOptions } from "./gateway.ts";
import { isLoopback } from "./guard.ts";
import { RequestLog } from "./request-log.ts";

/** What is served, and where. */
export interface ServeOptions extends GatewayOptions {
  /** The services behind this gateway: running ones, whose parts have names of their own. */
  readonly services: readonly Running[];
  /** 0 takes any free port. */
  readonly port: number;
  /** The address to listen on; beyond this machine itself only with `authenticate` and `policy`. Default 127.0.0.1. */
  readonly hostname?: string;
  /** How long `close` goes on serving while `/readyz` says `draining`: the time a load balancer needs to notice. Default "0s". */
  readonly drainFor?: Duration;
  /**
   * How long a sender may take for its headers (default "10s") and for the whole of a request (default "30s": a megabyte
   * over a line of 300 kbit/s), so that nobody holds connections by sending slowly. Past it the answer is 408.
   */
  readonly slowAfter?: { readonly headers?: Duration; readonly request?: Duration };
  /** How long `close` then waits for requests that are running. Default "10s". */
  readonly closeWithin?: Duration;
}

/** A server at work. */
export interface Serving {
  readonly url: string;
  readonly port: number;
  /**
   * Says so to who asks `/readyz` and goes on serving for `drainFor`; then stops accepting, answers reads that wait, lets
   * running requests finish, and cuts off what is left after `closeWithin`. The services go on.
   */
  close(): Promise<void>;
}

/** Connections that are idle are looked for this often while the server closes. */
const closePollMs = 25;

/** A connection on which nothing has come may have its request on the way: it is given this long. */
const firstByteMs = 100;

/** Headers of a request: far more than the contract's clients send. Node answers 431 by itself. */
const headerBytesMax = 16_384;
const headersMax = 100;

/** Slow senders are looked for this often. */
const slowPollMs = 250;

/** Serves running services over HTTP. Throws `port_in_use`, `definition_invalid`. */
export async function serve(options: ServeOptions): Promise<Serving> {
  const { port, hostname = "127.0.0.1" } = options;
  requirePlace(options);
  const host = isIPv6(hostname) ? `[${hostname}]` : hostname;
  const log = RequestLog.of(options.log);
  const gateway = createGateway(options.services, { ...options, ...(log ? { log: log.logger } : {}) });
  const times = { drainMs: durationMs(options.drainFor ?? "0s"), withinMs: durationMs(options.closeWithin ?? "10s") };
  let leaving = false;
  // The adapter replaces the process's global Request and Response by lighter ones of its own: an answer then costs
  // no stream. It is where most of Hono's speed on Node comes from.
  const server = createAdaptorServer({
    fetch: (request, { incoming }) => (leaving ? lastAnswer(gateway, request, incoming.socket) : gateway.fetch(request, incoming.socket)),
    hostname,
    serverOptions: {
      maxHeaderSize: headerBytesMax,
      headersTimeout: durationMs(options.slowAfter?.headers ?? "10s"),
      requestTimeout: durationMs(options.slowAfter?.request ?? "30s"),
      connectionsCheckingInterval: slowPollMs,
      // Some clients offer HTTP/2 with every request (`upgrade: h2c`); that is answered as if they had not.
      shouldUpgradeCallback: ({ headers }: IncomingMessage) => headers.upgrade?.toLowerCase() === "websocket",
    },
  }) as HttpServer;
  server.maxHeadersCount = headersMax;
  server.on("upgrade", (request, socket, head) => gateway.upgrade(request, socket, head));
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  const bound = await listen(server, port, hostname);
  let closing: Promise<void> | undefined;
  const end = async (): Promise<void> => {
    log?.told("draining", { forMs: times.drainMs });
    gateway.drain();
    leaving = true;
    if (times.drainMs > 0) await sleep(times.drainMs);
    log?.told("closing", { withinMs: times.withinMs });
    gateway.end();
    await close(server, sockets, times.withinMs);
    log?.told("closed");
  };
  log?.told("listening", { hostname, port: bound, services: options.services.map((service) => runtimeOf(service).name) });
  return { url: `http://${host}:${bound}`, port: bound, close: () => (closing ??= end()) };
}

function requirePlace({ port, hostname = "127.0.0.1", authenticate, policy }: ServeOptions): void {
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw new ConvergentError("definition_invalid", `${port} is no port: it is a number from 0 to 65535`);
  // Of names, only the one that every machine gives to itself.
  const local = hostname === "localhost" || (isIP(hostname) > 0 && isLoopback(isIPv6(hostname) ? `[${hostname}]` : hostname));
  if (local || (authenticate && policy)) return;
  const missing = authenticate ? "a policy" : policy ? "authentication" : "authentication and a policy";
  throw new ConvergentError(
    "definition_invalid",
    `the server cannot listen on ${hostname}: without ${missing} it serves this machine only; leave hostname out, or give authenticate (for example jwt(…)) and policy`,
  );
}

// Whoever keeps asking on a kept-alive connection is told that this answer is its last: a request that is sent just as an
// idle connection is closed would be lost, and its sender could not know whether it was read.
async function lastAnswer(gateway: Gateway, request: Request, sender: Sender): Promise<Response> {
  const response = await gateway.fetch(request, sender);
  const headers = new Headers(response.headers); // those of a fallback's redirect, for one, cannot be changed
  headers.set("connection", "close");
  return new Response(response.body, { status: response.status, headers });
}

function listen(server: HttpServer, port: number, hostname: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => reject(listenFailure(error, port, hostname)));
    server.listen(port, hostname, () => {
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : port);
    });
  });
}

function listenFailure(error: NodeJS.ErrnoException, port: number, hostname: string): Error {
  if (error.code === "EADDRINUSE")
    return new ConvergentError(
      "port_in_use",
      `another process listens on ${hostname}:${port}; stop it, or choose another port (PORT=${port + 1})`,
      {
        cause: error,
        details: { port, hostname },
      },
    );
  if (error.code === "EACCES")
    return new ConvergentError("definition_invalid", `this user may not listen on port ${port}; choose one from 1024 on`, {
      cause: error,
      details: { port },
    });
  return error;
}

function close(server: HttpServer, sockets: ReadonlySet<Socket>, withinMs: number): Promise<void> {
  const silentUntil = performance.now() + firstByteMs;
  const letGo = (): void => {
    server.closeIdleConnections();
    // Node counts a connection that has not asked anything as busy; browsers open such ones in advance.
    if (performance.now() >= silentUntil) for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy();
  };
  return new Promise((resolve, reject) => {
    // A kept-alive connection becomes idle only after its answer: whoever is idle by then is let go, again and again.
    const idle = setInterval(letGo, closePollMs);
    const limit = setTimeout(() => server.closeAllConnections(), withinMs);
    server.close((error) => {
      clearInterval(idle);
      clearTimeout(limit);
      if (error) reject(error);
      else resolve();
    });
    letGo();
  });
}
