// The server process of the http bench: `serve.ts HANDLER DIRECTORY`. Says its port, then, each time it is asked, the CPU time
// that it has spent, and serves until its parent goes.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type Handler, startHandler } from "../convergent/gateway.ts";
import { serveParent } from "../harness/fork-worker.ts";

const [handler, directory = ""] = process.argv.slice(2);

await serveParent(async (parent) => {
  parent.say(handler === "bare" ? await startBare() : await startHandler(handler as Handler, directory));
  for (;;) {
    await parent.hear();
    const { user, system } = process.cpuUsage();
    parent.say(user + system);
  }
});

/** Node's own server, reading the body and answering a constant: shows that the load generator is not what limits the others. */
async function startBare(): Promise<number> {
  const answer = JSON.stringify({ state: { status: "placed" }, version: 1 });
  const server = createServer((request, response) => {
    request.resume();
    request.on("end", () => {
      response.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(answer) });
      response.end(answer);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}
