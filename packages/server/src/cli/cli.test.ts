// The command line as a process: what it prints, how it fails, and that it stops cleanly.
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";

// Inside the repository, so that the modules written here find the packages.
const cache = join(import.meta.dirname, "../../../../.cache");
const main = join(import.meta.dirname, "main.ts");
let directory: string;
const children: ChildProcess[] = [];

const services = `
import { command, entity, reaction, reject, service, view } from "convergent";
import { z } from "zod";
const order = entity("order", { initial: () => ({ placed: false }), events: { placed: z.object({ product: z.string() }) } })
  .evolve({ placed: () => ({ placed: true }) })
  .commands({ place: command(z.object({ product: z.string() }), (order, input, emit) => (order.placed ? reject("already placed") : emit.placed(input))) });
const orderSummary = view("order-summary", { from: [order], document: z.object({ product: z.string() }), key: (event) => event.entityId })
  .on({ "order.placed": (_, event) => ({ product: event.data.product }) });
const stock = entity("stock", { initial: () => ({ reserved: 0 }), events: { reserved: z.object({ order: z.string() }) } })
  .evolve({ reserved: (stock) => ({ reserved: stock.reserved + 1 }) })
  .commands({ reserve: command(z.object({ order: z.string() }), (_, input, emit) => emit.reserved(input)) });
const reserveStock = reaction("reserve-stock", { from: [order], to: { stock } })
  .on({ "order.placed": (event, { commands }) => [commands.stock(event.data.product).reserve({ order: event.entityId })] });
// On purpose in the wrong order: inventory follows orders.
export const inventory = service("inventory", { parts: { stock, reserveStock } });
export const orders = service("orders", { parts: { order, orderSummary } });
`;

beforeAll(async () => {
  await mkdir(cache, { recursive: true });
  directory = await mkdtemp(join(cache, "cli-"));
  await writeFile(join(directory, "shop.mjs"), services);
});
afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
});
afterAll(() => rm(directory, { recursive: true }));

interface Ran {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

function launch(...args: string[]): ReturnType<typeof launchWith> {
  return launchWith({}, ...args);
}

function launchWith(
  environment: Readonly<Record<string, string>>,
  ...args: string[]
): { child: ChildProcess; ran: Promise<Ran>; until: (text: RegExp) => Promise<string> } {
  const child = spawn(process.execPath, ["--conditions=convergent-source", main, ...args], {
    cwd: directory,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, PORT: "", ...environment },
  });
  children.push(child);
  let out = "";
  let err = "";
  child.stdout.on("data", (chunk) => (out += String(chunk)));
  child.stderr.on("data", (chunk) => (err += String(chunk)));
  const ran = once(child, "close").then(([code]): Ran => ({ code: code as number | null, out, err }));
  const until = async (text: RegExp): Promise<string> => {
    while (!text.test(out)) {
      if (child.exitCode !== null) throw new Error(`ended with ${child.exitCode} before ${String(text)}: ${out}${err}`);
      await Promise.race([once(child.stdout, "data"), once(child, "close")]);
    }
    return out;
  };
  return { child, ran, until };
}

const convergent = (...args: string[]): Promise<Ran> => launch(...args).ran;

test("help names the commands, and each command has help of its own, with examples", async () => {
  const help = await convergent("--help");
  expect(help.code).toBe(0);
  for (const name of ["start", "tail", "readers", "view", "backup", "restore", "export", "import", "archive", "verify"])
    expect(help.out).toContain(name);
  for (const command of [
    ["start"],
    ["tail"],
    ["readers"],
    ["reader", "continue"],
    ["view", "list"],
    ["view", "cancel"],
    ["view", "rebuild"],
    ["view", "drop"],
    ["view", "reset"],
    ["reader", "continue"],
    ["parked", "list"],
    ["parked", "replay"],
    ["parked", "discard"],
    ["forget"],
    ["backup"],
    ["restore"],
    ["export"],
    ["import"],
    ["archive"],
    ["verify"],
  ]) {
    const { code, out } = await convergent(...command, "--help");
    const name = `convergent ${command.join(" ")} `;
    expect([code, out.startsWith(`Usage: ${name}`), out.includes(`\nExamples:\n  ${name}`)]).toEqual([0, true, true]);
  }
}, 120_000);

test("start makes readers late by --lag or CONVERGENT_LAG, says so, and refuses what is no reader or no time", async () => {
  const { child, until, ran } = launch("start", "shop.mjs", "--port", "0", "--data", "late", "--lag", "order-summary=1h");
  const out = await until(/Ctrl-C stops it/);
  expect(out).toContain("orders: the reader order-summary is late by 1h, on purpose (--lag)");
  const url = /http:\S+/.exec(out)?.[0] ?? "";
  const placed = await fetch(`${url}/entities/order/o-1/place`, { method: "POST", body: '{ "product": "tea" }' });
  const headers = { "consistency-token": placed.headers.get("consistency-token") ?? "", prefer: "wait=0.2" };
  expect(await (await fetch(`${url}/views/order-summary/o-1`, { headers })).json()).toMatchObject({
    fresh: false,
    behind: { positions: 1 },
  });
  await expect.poll(async () => (await fetch(`${url}/entities/stock/tea`)).status).toBe(200); // the other one is as fast as ever
  child.kill("SIGINT");
  expect((await ran).code).toBe(0);

  const wrong = await convergent("start", "shop.mjs", "--port", "0", "--lag", "order-sumary=1s");
  expect([wrong.code, wrong.err]).toEqual([
    1,
    'convergent: --lag names "order-sumary", which is no reader; the readers are order-summary, reserve-stock\n(not_found)\n',
  ]);
  const range = await convergent("start", "shop.mjs", "--port", "0", "--lag", "order-summary=2s..1s");
  expect([range.code, range.err]).toEqual([2, expect.stringContaining('the lag of "order-summary" is "2s..1s": write a time')]);
  const form = await convergent("start", "shop.mjs", "--port", "0", "--lag", "1s");
  expect([form.code, form.err]).toEqual([2, expect.stringContaining("It is a reader and a time, like order-summary=300ms..2s")]);
  const byEnvironment = await launchWith({ CONVERGENT_LAG: "order-summary=1s, reserve-stok=2s" }, "start", "shop.mjs", "--port", "0").ran;
  expect([byEnvironment.code, byEnvironment.err]).toEqual([1, expect.stringContaining('CONVERGENT_LAG names "reserve-stok"')]);
}, 60_000);

test("an older Node is refused with what to do, before anything else is loaded", async () => {
  const pretend = "data:text/javascript,Object.defineProperty(process,'versions',{value:{...process.versions,node:'24.14.9'}})";
  const child = spawn(process.execPath, ["--import", pretend, main, "--help"], { stdio: ["ignore", "pipe", "pipe"] });
  let err = "";
  child.stderr.on("data", (chunk) => (err += String(chunk)));
  const [code] = (await once(child, "close")) as [number];
  expect(code).toBe(1);
  expect(err).toMatch(/^convergent needs Node 24\.15 or newer, and this is Node 24\.14\.9 .*\nInstall/);
});

test("a command line that is not understood exits with 2 and says what is wrong", async () => {
  for (const [args, said] of [
    [["readers", "--bogus"], /unknown option '--bogus'/],
    [["tail"], /required option '--store <store>'[^]*\(convergent tail --help shows its options/],
    [["parked", "list"], /\(convergent parked list --help shows its options/],
    [["tail", "--store", "x", "--after", "-1"], /whole number/],
    [["start", "shop.mjs", "--port", "70000"], /65535/],
    [["dance"], /unknown command/],
  ] as const) {
    const { code, err } = await convergent(...args);
    expect([code, said.test(err)]).toEqual([2, true]);
  }
});

test("files and modules that are missing or something else are refused by name, with code 1", async () => {
  await writeFile(join(directory, "empty.mjs"), "export const nothing = 1;");
  await writeFile(join(directory, "text.db"), "this is no database, but long enough to look like a file".repeat(50));
  await writeFile(join(directory, "empty.db"), "");
  for (const [args, said] of [
    [["start", "missing.mjs"], /missing\.mjs[\s\S]*\(not_found\)/],
    [["start", "empty.mjs"], /exports no service[\s\S]*\(definition_invalid\)/],
    [["tail", "--store", "missing.db"], /missing\.db[\s\S]*\(not_found\)/],
    [["tail", "--store", "text.db"], /text\.db[\s\S]*\(store_broken\)/],
    [["tail", "--store", "empty.db"], /empty\.db[\s\S]*\(store_broken\)/],
    [["readers"], /--url[\s\S]*\(invalid_input\)/],
    [["readers", "--url", "http://127.0.0.1:9"], /nothing answers[\s\S]*\(unavailable\)/],
    [["readers", "--url", "nonsense"], /no address[\s\S]*\(invalid_input\)/],
  ] as const) {
    const { code, out, err } = await convergent(...args);
    expect([args.join(" "), code, out, said.test(err)]).toEqual([args.join(" "), 1, "", true]);
    expect(err).not.toMatch(/\n\s+at /);
  }
});

test("a module that Node cannot load is refused with the place, the reason and the way out", async () => {
  await writeFile(join(directory, "order.ts"), "export type Order = number;\nexport const order = 1;");
  await writeFile(join(directory, "bare.ts"), 'export * from "./order";');
  await writeFile(join(directory, "built.ts"), 'export * from "./order.js";');
  await writeFile(join(directory, "enum.ts"), "\nenum Status {\n  Placed,\n}\nexport const status = Status.Placed;");
  await writeFile(join(directory, "cut.ts"), "export const x = (");
  await writeFile(join(directory, "type.ts"), 'import { Order } from "./order.ts";\nexport const one: Order = 1;');
  await writeFile(join(directory, "package.ts"), 'import "no-such-package-here";');
  for (const [file, said] of [
    ["bare.ts", /bare\.ts cannot be loaded: cannot find module .*order' imported from .*with its extension.*there is .*order\.ts\n/],
    ["built.ts", /with its extension.*there is .*order\.ts\n/],
    ["enum.ts", /enum\.ts, line 2: TypeScript enum is not supported.*write a union/],
    ["cut.ts", /cut\.ts, line 1: expression expected/],
    ["type.ts", /type\.ts, line 1: .*'Order'.*import type/],
    ["package.ts", /cannot find package 'no-such-package-here'.*install the package/],
  ] as const) {
    const { code, out, err } = await convergent("start", file);
    expect([file, code, out, err]).toEqual([file, 1, "", expect.stringMatching(said)]);
    expect(err).toMatch(/\(definition_invalid\)\n$/);
    expect(err).not.toMatch(/\n\s+at /);
  }
});

test("what a module's own code throws is shown with its stack", async () => {
  await writeFile(join(directory, "own.mjs"), 'JSON.parse("no json");');
  const { code, err } = await convergent("start", "own.mjs");
  expect([code, err]).toEqual([1, expect.stringMatching(/SyntaxError[\s\S]*\n\s+at .*own\.mjs:1/)]);
});

test("services start in the order they follow one another, serve, and stop on SIGTERM; files can be looked at meanwhile and after", async () => {
  const server = launch("start", "shop.mjs", "--data", "data", "--port", "0");
  const url = /(http:\S+) serves orders, inventory/.exec(await server.until(/serves/))?.[1] as string;
  const place = (id: string): Promise<Response> =>
    fetch(`${url}/entities/order/${id}/place`, { method: "POST", body: '{"product":"tea"}', headers: { "Convergent-Actor": "ada" } });
  expect((await place("o-1")).status).toBe(200);
  const placed = await place("o-2");
  const token = placed.headers.get("consistency-token") ?? "";
  const stock = await fetch(`${url}/entities/stock/tea`, { headers: { "Consistency-Token": token, Prefer: "wait=10, handling=strict" } });
  expect(await stock.json()).toMatchObject({ state: { reserved: 2 } });

  const listed = await convergent("readers", "--url", url);
  expect(listed.out).toMatch(/SERVICE +READER +FOLLOWS +STATE/);
  expect(listed.out).toMatch(/inventory +reserve-stock +orders +(idle|moving) +2 +2 +0/);

  const tail = await convergent("tail", "--store", "data/orders.db");
  expect(tail.out.split("\n")[0]).toMatch(/^ +1 {2}\S+Z {2}order\/o-1@1 {2}order\.placed {2}\{"product":"tea"\} {2}by ada$/);
  const json = await convergent("tail", "--store", "data/orders.db", "--after", "1", "--json");
  expect(JSON.parse(json.out)).toMatchObject({ position: 2, entityId: "o-2", data: { product: "tea" } });
  expect((await convergent("tail", "--store", "data/orders.db", "--lines", "1")).out.trim().split("\n")).toHaveLength(1);

  const follower = launch("tail", "--store", "data/orders.db", "--follow", "--after", "1");
  await follower.until(/order\/o-2/);
  await place("o-3");
  await follower.until(/order\/o-3/);
  follower.child.kill("SIGINT");
  expect((await follower.ran).code).toBe(0);

  const refused = await convergent("view", "reset", "order-summary", "--store", "data/orders.db", "--yes");
  expect([refused.code, /stop its server first[\s\S]*\(store_in_use\)/.test(refused.err)]).toEqual([1, true]);

  server.child.kill("SIGTERM");
  expect((await server.ran).code).toBe(0);

  const stored = await convergent("readers", "--store", "data/inventory.db");
  expect(stored.out).toMatch(/reserve-stock +1 +orders +\d+ +3 +– +–/);
  const unknown = await convergent("view", "reset", "reserve-stock", "--store", "data/orders.db", "--yes");
  expect([unknown.code, /it holds order-summary[\s\S]*\(not_found\)/.test(unknown.err)]).toEqual([1, true]);
  const unasked = await convergent("view", "reset", "order-summary", "--store", "data/orders.db");
  expect([unasked.code, /add --yes/.test(unasked.err)]).toEqual([1, true]);
  const reset = await convergent("view", "reset", "order-summary", "--store", "data/orders.db", "--yes");
  expect([reset.code, reset.out]).toEqual([0, expect.stringContaining("deleted the documents and checkpoint")]);
  expect((await convergent("readers", "--store", "data/orders.db")).out).toContain("no readers");

  const again = launch("start", "shop.mjs", "--data", "data", "--port", "0");
  const urlAgain = /(http:\S+) serves/.exec(await again.until(/serves/))?.[1] as string;
  const rebuilt = await fetch(`${urlAgain}/views/order-summary/o-2`, { headers: { "Cache-Control": "no-cache", Prefer: "wait=10" } });
  expect(await rebuilt.json()).toMatchObject({ value: { product: "tea" }, fresh: true });
  const taken = await convergent("start", "shop.mjs", "--data", "other", "--port", new URL(urlAgain).port);
  expect([taken.code, /another process listens[\s\S]*\(port_in_use\)/.test(taken.err)]).toEqual([1, true]);
}, 120_000);
