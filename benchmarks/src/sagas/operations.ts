// An operation of three steps that do nothing, by three engines that keep their promises: what it costs to write down what was done.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { Agent, request } from "node:http";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { saga, service } from "convergent";
import { postgres } from "convergent/postgres";
import { z } from "zod";
import type { SubjectCode } from "../bench.ts";
import { measured } from "../postgres/append.ts";
import { withDatabase } from "../postgres/database.ts";

export type Engine = "convergent" | "dbos" | "restate";

interface Running {
  /** Starts an operation under an id of its own and resolves with its result. */
  run(id: string): Promise<unknown>;
  close(): Promise<void>;
}

const steps = ["capture", "reserve", "ship"] as const;
const nothing = async (): Promise<string> => "done";

/** Figures: `rate` in operations/s; `p50` and `p99` in ms from start to result. */
export function operations(engine: Engine, inFlight: number): SubjectCode {
  return {
    sample: async ({ directory, boxMs }) => {
      const sample = async (running: Running) => {
        const result = await measured(inFlight, boxMs, async (index) => {
          if ((await running.run(`o-${index}`)) !== "done") throw new Error("an operation has no result");
        });
        await running.close();
        return { rate: result.rate, p50: result.p50, p99: result.p99 };
      };
      if (engine === "restate") return sample(await restate(directory));
      return withDatabase(directory, {}, async (url) => sample(await (engine === "dbos" ? dbos(url) : convergent(url, directory))));
    },
  };
}

async function convergent(url: string, directory: string): Promise<Running> {
  const parcel = saga("parcel", { input: z.object({}) }, async (scope) => {
    let last = "";
    for (const step of steps) last = await scope.step(step, nothing, { undo: nothing });
    return last;
  });
  const running = await service("parcels", { parts: { parcel } }).start({ store: postgres(url, { directory }) });
  return {
    run: async (id) => {
      await running.parcel.start(id, {});
      return (await running.parcel.end(id, { wait: "30s" })).result;
    },
    close: () => running.stop(),
  };
}

async function dbos(url: string): Promise<Running> {
  const { DBOS } = await import("@dbos-inc/dbos-sdk");
  DBOS.setConfig({ name: "parcels", systemDatabaseUrl: url, logLevel: "error" });
  const parcel = DBOS.registerWorkflow(
    async () => {
      let last = "";
      for (const name of steps) last = await DBOS.runStep(nothing, { name });
      return last;
    },
    { name: "parcel" },
  );
  await DBOS.launch();
  return {
    run: async (id) => (await DBOS.startWorkflow(parcel, { workflowID: id })()).getResult(),
    close: () => DBOS.shutdown(),
  };
}

/** The server from the registry with its own settings, and the steps in this process. */
async function restate(directory: string): Promise<Running> {
  const { serve, workflow } = await import("@restatedev/restate-sdk");
  const parcel = workflow({
    name: "parcel",
    handlers: {
      run: async (context) => {
        let last = "";
        for (const name of steps) last = await context.run(name, nothing);
        return last;
      },
    },
  });
  const port = await serve({ services: [parcel], port: await freePort() });
  const [ingress, admin, node] = [await freePort(), await freePort(), await freePort()];
  const server = spawn(join(import.meta.dirname, "..", "..", "node_modules", ".bin", "restate-server"), ["--no-logo"], {
    env: {
      ...process.env,
      RESTATE_BASE_DIR: join(directory, "restate"),
      RESTATE_INGRESS__BIND_ADDRESS: `127.0.0.1:${ingress}`,
      RESTATE_ADMIN__BIND_ADDRESS: `127.0.0.1:${admin}`,
      RESTATE_BIND_ADDRESS: `127.0.0.1:${node}`,
      RESTATE_LISTEN_MODE: "tcp",
      RESTATE_LOG_FILTER: "error",
      RESTATE_DISABLE_TELEMETRY: "true",
    },
    stdio: "ignore",
    detached: true,
  });
  const end = (): void => killed(server);
  process.once("exit", end);
  await answered(async () => (await fetch(`http://127.0.0.1:${admin}/health`)).ok);
  const registered = await fetch(`http://127.0.0.1:${admin}/deployments`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ uri: `http://127.0.0.1:${port}` }),
  });
  if (!registered.ok) throw new Error(`the steps were not registered: ${await registered.text()}`);
  const agent = new Agent({ keepAlive: true, maxSockets: 256 });
  return {
    run: (id) => asked({ agent, port: ingress, path: `/parcel/${id}/run` }),
    close: async () => {
      process.off("exit", end);
      killed(server);
      await once(server, "exit");
    },
  };
}

function killed(server: ChildProcess): void {
  if (server.pid !== undefined && server.exitCode === null) process.kill(-server.pid, "SIGKILL");
}

function asked({ agent, port, path }: { readonly agent: Agent; readonly port: number; readonly path: string }): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ agent, port, path, host: "127.0.0.1", method: "POST", headers: { "content-type": "application/json" } });
    outgoing.once("error", reject);
    outgoing.once("response", (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => (text += chunk));
      response.once("end", () => {
        if (response.statusCode === 200) resolve(JSON.parse(text));
        else reject(new Error(text));
      });
    });
    outgoing.end("{}");
  });
}

async function answered(ask: () => Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    if (await ask().catch(() => false)) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error("the server does not answer");
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
