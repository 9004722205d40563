import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";

let directory: string;
let started: ChildProcess[];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "shop-main-"));
  started = [];
});
afterEach(async () => {
  for (const child of started) if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
  rmSync(directory, { recursive: true });
});

interface Program {
  readonly child: ChildProcess;
  /** All it has written so far. */
  readonly text: () => string;
  readonly ended: Promise<number | null>;
}

function run(program: "main.ts" | "reset.ts", environment: Record<string, string> = {}): Program {
  const child = spawn(process.execPath, ["--conditions=convergent-source", join(import.meta.dirname, program)], {
    env: { ...process.env, NODE_OPTIONS: "", PORT: "0", DATA_DIR: join(directory, "data"), ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  started.push(child);
  let text = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (text += chunk.toString()));
  return { child, text: () => text, ended: once(child, "exit").then(([code]) => code as number | null) };
}

async function opened(program: Program): Promise<string> {
  await expect.poll(program.text, { timeout: 20_000 }).toContain("The shop is open");
  return /http:\/\/localhost:\d+/.exec(program.text())?.[0] ?? "";
}

async function place(url: string, order: string): Promise<Response> {
  const lines = [{ product: "sencha-100g", quantity: 1, price: 1250 }];
  return fetch(`${url}/entities/order/${order}/place`, { method: "POST", body: JSON.stringify({ customer: "ada", lines }) });
}

test.each(["SIGTERM", "SIGINT"] as const)(
  "the shop opens with demo data, stops cleanly on %s, and opens again with all it had",
  async (signal) => {
    const first = run("main.ts");
    const url = await opened(first);
    expect(await (await fetch(`${url}/views/order-summary/demo-1`)).json()).toMatchObject({ value: { customer: "Mina" } });
    expect((await place(url, "o-1")).status).toBe(200);
    first.child.kill(signal);
    first.child.kill(signal);
    expect(await first.ended).toBe(0);
    expect(first.text()).toMatch(/Stopped\.\n$/);
    expect(first.text()).not.toMatch(/warning|error/i);

    const second = run("main.ts");
    const again = await opened(second);
    expect(await (await fetch(`${again}/entities/order/o-1`)).json()).toMatchObject({ state: { customer: "ada" }, version: 1 });
    expect(await (await fetch(`${again}/entities/order/demo-2`)).json()).toMatchObject({ version: 2 });
    second.child.kill(signal);
    expect(await second.ended).toBe(0);
  },
);

test("the shop stops with npm's shell, which is all that npm hands a SIGTERM to", async () => {
  // `&& true` keeps the shell from becoming the program.
  const command = `"${process.execPath}" --conditions=convergent-source "${join(import.meta.dirname, "main.ts")}" && true`;
  const shell = spawn("sh", ["-c", command], {
    env: { ...process.env, NODE_OPTIONS: "", PORT: "0", DATA_DIR: join(directory, "data"), npm_lifecycle_event: "start" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  started.push(shell);
  let text = "";
  shell.stdout.on("data", (chunk: Buffer) => (text += chunk.toString()));
  await expect.poll(() => text, { timeout: 20_000 }).toContain("The shop is open");
  shell.kill("SIGTERM");
  await once(shell.stdout, "close");
  expect(text).toMatch(/Stopped\.\n$/);
});

test("reset refuses while the shop runs, and afterwards the shop begins anew", async () => {
  const first = run("main.ts");
  await place(await opened(first), "o-1");
  const refused = run("reset.ts");
  expect(await refused.ended).toBe(1);
  expect(refused.text()).toMatch(/^A shop is running on the data in .*stop that one first/);
  // Even killed, the shop leaves no lock behind.
  first.child.kill("SIGKILL");
  await first.ended;

  const reset = run("reset.ts");
  expect(await reset.ended).toBe(0);
  expect(reset.text()).toMatch(/Deleted 5 databases/);
  expect(existsSync(join(directory, "data"))).toBe(false);

  const second = run("main.ts");
  const url = await opened(second);
  expect((await fetch(`${url}/entities/order/o-1`)).status).toBe(404);
  expect((await fetch(`${url}/entities/order/demo-1`)).status).toBe(200);
});

test("what keeps the shop from opening is said in a sentence with the way out", async () => {
  const taken = createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
  const address = taken.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const wrongPort = run("main.ts", { PORT: String(port) });
  expect(await wrongPort.ended).toBe(1);
  expect(wrongPort.text()).toMatch(new RegExp(`^Another process listens on 127\\.0\\.0\\.1:${port}; .*PORT=${port + 1}.*\\n$`));
  taken.close();

  const noPort = run("main.ts", { PORT: "many" });
  expect(await noPort.ended).toBe(1);
  expect(noPort.text()).toMatch(/^PORT is "many", which is no port.*\n$/);

  writeFileSync(join(directory, "data", "payments.db"), "no database, and long enough to be seen as none".repeat(100));
  const broken = run("main.ts");
  expect(await broken.ended).toBe(1);
  expect(broken.text()).toMatch(/payments\.db.* is not an SQLite database.*\n$/);
  expect(broken.text()).not.toMatch(/\n\s+at /);
});
