// `convergent replay-sagas` as a process, on a store whose service runs meanwhile.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { AnyService, Running, SagaFacade } from "convergent";
import { sqlite } from "convergent/sqlite";
import { afterAll, beforeAll, expect, test } from "vitest";

// Inside the repository, so that the modules written here find the packages.
const cache = join(import.meta.dirname, "../../../../.cache");
const main = join(import.meta.dirname, "main.ts");
let directory: string;
let running: Running & { readonly amendOrder: SagaFacade<{ readonly order: string }, string> };

const source = (step: string): string => `
import { saga, service } from "convergent";
import { z } from "zod";
const effects = [];
process.on("exit", () => effects.length > 0 && console.log(effects.join()));
const amendOrder = saga("amend-order", { input: z.object({ order: z.string() }) }, async (s, { order }) => {
  await s.step("capture amount", () => void effects.push("captured"));
  await s.step("${step}", () => void effects.push("stock"));
  if (order !== "o-1") await s.signal("approved");
  return order;
});
export const orders = service("orders", { parts: { amendOrder } });
`;

beforeAll(async () => {
  await mkdir(cache, { recursive: true });
  directory = await mkdtemp(join(cache, "replay-"));
  await writeFile(join(directory, "orders.mjs"), source("reserve stock"));
  await writeFile(join(directory, "next.mjs"), source("check stock"));
  const { orders } = (await import(join(directory, "orders.mjs"))) as { readonly orders: AnyService };
  running = (await orders.start({ store: sqlite(join(directory, "orders.db")) })) as unknown as typeof running;
  for (const id of ["o-1", "o-2"]) await running.amendOrder.start(id, { order: id });
  await running.amendOrder.end("o-1");
  for await (const { steps } of running.amendOrder.watch("o-2")) if (steps.length === 3) break;
});
afterAll(async () => {
  await running.stop();
  await rm(directory, { recursive: true });
});

async function replayed(...args: string[]): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
  const line = ["--conditions=convergent-source", main, "replay-sagas", "--store", "orders.db", ...args];
  const child = spawn(process.execPath, line, { cwd: directory, stdio: ["ignore", "pipe", "pipe"] });
  let [out, err] = ["", ""];
  child.stdout.on("data", (chunk) => (out += String(chunk)));
  child.stderr.on("data", (chunk) => (err += String(chunk)));
  const [code] = (await once(child, "close")) as [number];
  return { code, out, err };
}

test("code that does what the sagas of a store did passes, with no effects, and how far it was is told", async () => {
  const { code, out, err } = await replayed("--services", "orders.mjs");
  expect([code, out]).toEqual([0, "the code does what the history of 2 sagas says\n"]);
  expect(err).toMatch(/^replaying sagas of orders\.db …\nreplaying sagas of orders\.db: 2 sagas in /);
});

test("code that does something else fails, and names the first step of each saga that differs", async () => {
  const { code, out } = await replayed("--services", "next.mjs");
  expect([code, out.split("\n")]).toEqual([
    1,
    [
      "saga amend-order o-1: step 2 was 'reserve stock', the code asks for 'check stock'",
      "saga amend-order o-2: step 2 was 'reserve stock', the code asks for 'check stock'",
      "2 of 2 sagas would not go on with this code",
      "",
    ],
  ]);
});

test("one saga, those that run, and JSON", async () => {
  const { code, out } = await replayed("--services", "next.mjs", "--saga", "amend-order", "--running-only", "--json");
  const difference = { step: 2, was: "reserve stock", asks: "check stock", message: expect.any(String) as string };
  expect([code, JSON.parse(out)]).toEqual([
    1,
    { store: "orders", replayed: 1, differing: [{ saga: "amend-order", id: "o-2", version: 1, difference }] },
  ]);
  expect(await replayed("--services", "orders.mjs", "--id", "o-1")).toMatchObject({ code: 0 });
});

test("a name that there is not is told with those that there are", async () => {
  expect((await replayed("--services", "orders.mjs", "--saga", "amend")).err).toMatch(
    /"amend" is no saga of the service "orders"; it has amend-order\n\(not_found\)/,
  );
  expect((await replayed("--services", "orders.mjs", "--id", "o-9")).err).toMatch(/has no saga "o-9"\n\(saga_not_found\)/);
});
