// Our gateway on a loopback port, and the two empty handlers it is compared with. An empty handler parses the body, checks it
// with the schema of the command, and answers: once as the fallback of the very gateway, once on the HTTP stack below it
// with nothing of ours. Hono comes from the root of the repository, as the toolkit does.
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { serve } from "@convergent/server";
import { createAdaptorServer } from "@hono/node-server";
import { Hono } from "hono";
import { orders, Placed, writes } from "./order.ts";
import { sqliteStore } from "./store.ts";

export type Handler = "command" | "command, with a view" | "gateway, empty" | "hono, empty";

/** The path of a request: the gateway's fallback gets what is no route of it. */
export function pathOf(handler: Handler | "bare", order: string): string {
  return handler === "gateway, empty" ? `/empty/order/${order}/place` : `/entities/order/${order}/place`;
}

/** Starts the handler on a free port and answers the port. */
export async function startHandler(handler: Handler, directory: string): Promise<number> {
  if (handler === "hono, empty") return startHono();
  const service = handler === "command, with a view" ? orders : writes;
  const running = await service.start({ store: sqliteStore(directory) });
  const { port } = await serve({ services: [running], port: 0, fallback: answerEmpty });
  return port;
}

async function startHono(): Promise<number> {
  const app = new Hono({ strict: true });
  app.post("/entities/:entity/:id/:command", (context) => answerEmpty(context.req.raw));
  const server = createAdaptorServer({ fetch: app.fetch }) as Server;
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}

async function answerEmpty(request: Request): Promise<Response> {
  const { customer } = Placed.parse(await request.json());
  return new Response(JSON.stringify({ customer }), { headers: { "content-type": "application/json" } });
}
