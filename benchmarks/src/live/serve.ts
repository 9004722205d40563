// The server process of the live bench: `serve.ts KIND DIRECTORY`. Says its port, then does what it is asked.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { WebSocketServer, type WebSocket } from "ws";
import { startWatched } from "../convergent/watched.ts";
import { serveParent } from "../harness/fork-worker.ts";
import { memoryHeld } from "../harness/memory.ts";

/** A server of ours, one of ours with the documents of all customers, or one that sends strings. */
export type Kind = "convergent" | "convergent, seeded" | "bare";

/** What is asked: a saga to be started, or to be run; a string of a length to be sent to all, so many times; what the process holds. */
export type Order =
  | { readonly start: string }
  | { readonly run: string }
  | { readonly length: number; readonly times: number }
  | { readonly held: true };

interface Obedient {
  readonly port: number;
  obey(order: Order): Promise<unknown>;
}

const [kind, directory = ""] = process.argv.slice(2);

await serveParent(async (parent) => {
  const { port, obey } = kind === "bare" ? await startBare() : await startOurs(kind === "convergent, seeded");
  parent.say(port);
  for (;;) {
    const order = await parent.hear<Order>();
    parent.say("held" in order ? memoryHeld() : await obey(order));
  }
});

async function startOurs(seeded: boolean): Promise<Obedient> {
  const watched = await startWatched(directory, seeded);
  return {
    port: watched.port,
    obey: async (order) => {
      if ("start" in order) return await watched.start(order.start), "started";
      if ("run" in order) return watched.run(order.run);
      throw new Error("this server runs sagas");
    },
  };
}

async function startBare(): Promise<Obedient> {
  const server = createServer();
  const sockets = new Set<WebSocket>();
  const webSockets = new WebSocketServer({ server, perMessageDeflate: false });
  webSockets.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("message", () => socket.send("{}"));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    obey: async (order) => {
      if (!("times" in order)) throw new Error("this server sends");
      const text = "x".repeat(order.length);
      for (let time = 0; time < order.times; time++) {
        for (const socket of sockets) socket.send(text);
        // As the stages of a saga do, each follows the one before in a turn of its own.
        await new Promise((resolve) => setImmediate(resolve));
      }
      return order.times;
    },
  };
}
