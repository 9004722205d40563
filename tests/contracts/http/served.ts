// A server as a process of its own, for tests that end it, or look at what it keeps: the order service on a store file. It is told what
// to do by messages, and says what it has to say by messages too; SIGTERM ends it as it ends any server of this project.
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { serve, type ServeOptions } from "@convergent/server";
import { sqlite } from "convergent/sqlite";
import { startShop } from "./order-service.ts";

export interface ServedOptions {
  readonly file: string;
  readonly drainFor?: ServeOptions["drainFor"];
}

type Told = { readonly port: number } | { readonly heapBytes: number } | { readonly failure: string };

/** A child process that serves. */
export class Served {
  readonly child: ChildProcess;
  readonly port: number;
  /** What it failed at unexpectedly, and what it wrote to stderr. */
  readonly failures: string[];

  private constructor(child: ChildProcess, port: number, failures: string[]) {
    this.child = child;
    this.port = port;
    this.failures = failures;
  }

  static async start(options: ServedOptions): Promise<Served> {
    const execArgv = ["--conditions=convergent-source", "--expose-gc"];
    const child = fork(fileURLToPath(import.meta.url), [JSON.stringify(options)], { execArgv, stdio: ["ignore", "ignore", "pipe", "ipc"] });
    const failures: string[] = [];
    child.stderr?.on("data", (chunk) => failures.push(String(chunk)));
    child.on("message", (told: Told) => {
      if ("failure" in told) failures.push(told.failure);
    });
    const [told] = (await once(child, "message")) as [Told];
    if (!("port" in told)) throw new Error(`the server did not start: ${failures.join("")}`);
    return new Served(child, told.port, failures);
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Bytes of its heap that are in use after a collection. */
  async heapBytes(): Promise<number> {
    this.child.send("heap");
    for (;;) {
      const [told] = (await once(this.child, "message")) as [Told];
      if ("heapBytes" in told) return told.heapBytes;
    }
  }

  /** Its exit code. */
  async ended(): Promise<number | null> {
    if (this.child.exitCode === null && this.child.signalCode === null) await once(this.child, "exit");
    return this.child.exitCode;
  }
}

async function run({ file, drainFor }: ServedOptions): Promise<void> {
  const tell = (told: Told): void => void process.send?.(told);
  const shop = await startShop({ driver: sqlite(file) });
  const server = await serve({
    services: shop.services,
    port: 0,
    ...(drainFor === undefined ? {} : { drainFor }),
    onError: (error, where) => tell({ failure: `${where}: ${error instanceof Error ? error.stack : String(error)}` }),
  });
  process.on("message", () => {
    for (let round = 0; round < 4; round++) globalThis.gc?.();
    tell({ heapBytes: process.memoryUsage().heapUsed });
  });
  process.once("SIGTERM", () => {
    void server
      .close()
      .then(() => shop.stop())
      .then(() => process.disconnect());
  });
  tell({ port: server.port });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await run(JSON.parse(process.argv[2] as string) as ServedOptions);
