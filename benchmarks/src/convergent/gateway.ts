// Our gateway on a loopback port, and the two empty handlers it is compared with. An empty handler parses the body, checks it
// with the schema of the command, and answers: once as the fallback of the very gateway, once on the HTTP stack below it
// with nothing of ours. Hono comes from the root of the repository, as the toolkit does.
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { serve } from "@convergent/server";
import { createAdaptorServer } from "@hono/node-server";
import { Hono } from "hono";
import { orderPlaced } from "../workload.ts";
import { orders, Placed, writes } from "./order.ts";
import { sqliteStore } from "./store.ts";

export type CommandHandler = "command" | "command, with a view" | "gateway, empty" | "hono, empty";

/** A read of a view by key, and handlers that answer a read of as many bytes with a constant. */
export type ReadHandler = "view read" | "gateway, empty read" | "hono, empty read";

export type Handler = CommandHandler | ReadHandler;

/** Documents that are read by key. */
export const documents = 1_000;

/** The path of a request: the gateway's fallback gets what is no route of it. */
export function pathOf(handler: CommandHandler | "bare", order: string): string {
  return handler === "gateway, empty" ? `/empty/order/${order}/place` : `/entities/order/${order}/place`;
}

/** The path of a read. */
export function readPathOf(handler: ReadHandler | "bare", order: string): string {
  return handler === "gateway, empty read" ? `/empty/order-summary/${order}` : `/views/order-summary/${order}`;
}

/** Starts the handler on a free port and answers the port. */
export async function startHandler(handler: Handler, directory: string): Promise<number> {
  if (handler === "hono, empty" || handler === "hono, empty read") return startHono();
  if (handler === "view read" || handler === "gateway, empty read") return startReads(directory);
  const service = handler === "command, with a view" ? orders : writes;
  const running = await service.start({ store: sqliteStore(directory) });
  const { port } = await serve({ services: [running], port: 0, fallback: answerEmpty });
  return port;
}

async function startReads(directory: string): Promise<number> {
  const running = await orders.start({ store: sqliteStore(directory) });
  await Promise.all(Array.from({ length: documents }, (_, index) => running.order(`order-${index}`).place(orderPlaced(index))));
  await running.orderSummary.get("order-0", { strong: true, wait: "30s" });
  const { port } = await serve({ services: [running], port: 0, fallback: answerEmptyRead });
  return port;
}

async function startHono(): Promise<number> {
  const app = new Hono({ strict: true });
  app.get("/views/:view/:key", () => answerEmptyRead());
  app.post("/entities/:entity/:id/:command", (context) => answerEmpty(context.req.raw));
  const server = createAdaptorServer({ fetch: app.fetch }) as Server;
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}

// As many bytes, and the headers, that a read of a view is answered with.
const emptyAnswer = JSON.stringify({
  value: { customer: "customer-000000", lines: 2 },
  asOf: documents,
  behind: { positions: 0, ms: 0 },
  fresh: true,
});

function answerEmptyRead(): Response {
  return new Response(emptyAnswer, { headers: { "content-type": "application/json" } });
}

async function answerEmpty(request: Request): Promise<Response> {
  const { customer } = Placed.parse(await request.json());
  return new Response(JSON.stringify({ customer }), { headers: { "content-type": "application/json" } });
}
