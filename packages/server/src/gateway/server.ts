/** Puts a gateway on a port of this machine, and takes it off again without cutting off what is running. */
import type { Server as HttpServer } from "node:http";
import { isIP, isIPv6, type Socket } from "node:net";
import { createAdaptorServer } from "@hono/node-server";
import { ConvergentError, type Duration, durationMs, type Running } from "convergent";
import { createGateway, type Gateway, type GatewayOptions } from "./gateway.ts";
import { isLoopback } from "./guard.ts";

export interface ServeOptions extends GatewayOptions {
  readonly services: readonly Running[];
  /** 0 takes any free port. */
  readonly port: number;
  /** An address of this machine itself: until callers can be authenticated, everything beyond loopback is refused. Default 127.0.0.1. */
  readonly hostname?: string;
  /** How long `close` waits for requests that are running. Default "10s". */
  readonly closeWithin?: Duration;
}

export interface Serving {
  readonly url: string;
  readonly port: number;
  /** Stops accepting, lets running requests finish, and cuts off what is left after `closeWithin`. The services go on. */
  close(): Promise<void>;
}

/** Connections that are idle are looked for this often while the server closes. */
const closePollMs = 25;

/** Serves running services over HTTP. Throws `port_in_use`, `definition_invalid`. */
export async function serve(options: ServeOptions): Promise<Serving> {
  const { port, hostname = "127.0.0.1" } = options;
  const host = isIPv6(hostname) ? `[${hostname}]` : hostname;
  // Of names, only the one that every machine gives to itself.
  if (hostname !== "localhost" && !(isIP(hostname) && isLoopback(host)))
    throw new ConvergentError(
      "definition_invalid",
      `the server cannot listen on ${hostname}: without authentication it serves this machine only; leave hostname out, or put a proxy that authenticates in front`,
    );
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw new ConvergentError("definition_invalid", `${port} is no port: it is a number from 0 to 65535`);
  const gateway = createGateway(options.services, options);
  let closing: Promise<void> | undefined;
  // The adapter replaces the process's global Request and Response by lighter ones of its own: an answer then costs
  // no stream. It is where most of Hono's speed on Node comes from.
  const server = createAdaptorServer({
    fetch: (request) => (closing ? lastAnswer(gateway, request) : gateway.fetch(request)),
    hostname,
  }) as HttpServer;
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  const bound = await listen(server, port, hostname);
  const withinMs = durationMs(options.closeWithin ?? "10s");
  return { url: `http://${host}:${bound}`, port: bound, close: () => (closing ??= close(server, sockets, withinMs)) };
}

// Whoever keeps asking on a kept-alive connection is told that this answer is its last.
async function lastAnswer(gateway: Gateway, request: Request): Promise<Response> {
  const response = await gateway.fetch(request);
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
  const letGo = (): void => {
    server.closeIdleConnections();
    // Node counts a connection that has not asked anything as busy; browsers open such ones in advance.
    for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy();
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
