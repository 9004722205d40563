// Every command on a store in PostgreSQL, named by its URL: what it says, what it refuses, and that it never says a password.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { customers, registered } from "../persons/customers.ts";
import { addressAt, convergent, fill, launch, newDirectory, openLog, password, type Ran, schemas } from "./runs.ts";

const main = resolve(import.meta.dirname, "../../../packages/server/src/cli/main.ts");

/** Runs a command line and checks that no password is said. */
async function run(directory: string, ...args: string[]): Promise<Ran> {
  const ran = await convergent(directory, ...args);
  expect(ran.out + ran.err).not.toContain(password);
  return ran;
}

test("a log in PostgreSQL is verified, told, exported and archived by its URL", async () => {
  const directory = newDirectory();
  await fill(schemas, directory, "orders", 2);
  const log = await openLog(schemas, directory, "orders");
  await log.append({ stream: "order/0", expected: "any", events: [{ type: "order.shipped", data: 1 }] });
  const at = schemas.at(directory, "orders");
  const sound = await run(directory, "verify", "--store", at);
  expect([sound.code, sound.out]).toEqual([
    0,
    expect.stringMatching(/^postgres:\/\/postgres@\S+: the store of orders, 201 events[\s\S]*sound/),
  ]);
  expect((await run(directory, "tail", "--store", at, "--lines", "1")).out).toMatch(/201 .*order\/0@101 +order\.shipped/);
  const exported = await run(directory, "export", "--store", at);
  expect(exported.out.split("\n")).toHaveLength(204);
  const types = ["--entity", "order", "--ended-by", "order.shipped", "--ended-before", "0s"];
  const moved = await run(directory, "archive", "--store", at, ...types);
  expect([moved.code, moved.out]).toEqual([
    0,
    expect.stringMatching(/^moved 100 events of 1 streams to the table archived_events of postgres:/),
  ]);
  expect(JSON.parse((await run(directory, "archive", "--store", at, ...types, "--json")).out)).toEqual({ streams: 1, events: 0 });
  expect((await run(directory, "verify", "--store", at, "--json")).out).toMatch(/"events":201/);
}, 60_000);

test("the statements that a start would run are told, and nothing is made; migrate runs them", async () => {
  const directory = newDirectory();
  const at = schemas.at(directory, "orders");
  const told = await run(directory, "migrate", "--store", at, "--dry-run");
  expect([told.code, told.out]).toEqual([
    0,
    expect.stringMatching(/has no tables; the next start runs[\s\S]*CREATE SCHEMA[\s\S]*CREATE TABLE events/),
  ]);
  const none = await run(directory, "migrate", "--store", at);
  expect([none.code, none.err]).toEqual([1, expect.stringMatching(/there is no store/)]);
  await fill(schemas, directory, "orders", 1);
  expect((await run(directory, "migrate", "--store", at, "--dry-run")).out).toMatch(/has tables of version 4, [\s\S]*nothing to do/);
  expect((await run(directory, "migrate", "--store", at)).out).toMatch(/are those of this release: version 4, as before/);
  const file = await run(directory, "migrate", "--store", "orders.db", "--dry-run");
  expect([file.code, file.err]).toEqual([1, expect.stringMatching(/is a file[\s\S]*convergent backup/)]);
}, 60_000);

test("tables of an older release are brought up to date beside a process of that release, which goes on", async () => {
  const directory = newDirectory();
  await fill(schemas, directory, "orders", 1);
  const older = await openLog(schemas, directory, "orders");
  await schemas.rows(directory, "orders", "DROP FUNCTION append_alone");
  await schemas.rows(directory, "orders", "ALTER FUNCTION append_batch COST 7");
  await schemas.rows(directory, "orders", "UPDATE store SET schema_version = 1");
  const at = schemas.at(directory, "orders");
  const told = await run(directory, "migrate", "--store", at, "--dry-run");
  expect(told.out).toMatch(
    /has tables of version 1[\s\S]*CREATE OR REPLACE FUNCTION append_batch[\s\S]*CREATE FUNCTION append_alone[\s\S]*schema_version = 4;/,
  );
  expect(told.out).not.toContain("CREATE TABLE");
  expect(await schemas.rows(directory, "orders", "SELECT schema_version FROM store")).toEqual([{ schema_version: 1 }]);
  // Two of them at once: one does it.
  const both = await Promise.all([run(directory, "migrate", "--store", at), run(directory, "migrate", "--store", at)]);
  expect(both.map(({ code }) => code)).toEqual([0, 0]);
  expect(both.filter(({ out }) => out.includes("version 4, from 1")).length).toBeGreaterThan(0);
  expect(await schemas.rows(directory, "orders", "SELECT procost FROM pg_proc WHERE oid = 'append_batch'::regproc")).toEqual([
    { procost: 100 },
  ]);
  const [event] = [{ type: "order.amended", data: {} }];
  expect(await older.append({ stream: "order/0", expected: 100, events: [event] })).toMatchObject({ kind: "appended", lastVersion: 101 });
  expect((await run(directory, "verify", "--store", at)).out).toMatch(/101 events[\s\S]*sound/);
}, 60_000);

test("commands that are about files say what to do instead", async () => {
  const directory = newDirectory();
  await fill(schemas, directory, "orders", 1);
  const at = schemas.at(directory, "orders");
  for (const [args, said] of [
    [["backup", "--store", at, "--to", "copy.db"], /pg_dump or a base backup[\s\S]*convergent copy --to FILE/],
    [["backup", "--store", "orders.db", "--to", at], /convergent copy/],
    [["restore", "--from", "copy.db", "--to", at], /pg_restore[\s\S]*convergent copy/],
    [["import", "--from", "orders.jsonl", "--store", at], /import into a new file, and copy that by convergent copy/],
    [["forget", "ada", "--store", at, "--reason", "asked"], /keys of postgres:\S+ lie outside the database; name the file/],
  ] as const) {
    const ran = await run(directory, ...args);
    expect([args[0], ran.code, ran.err]).toEqual([args[0], 1, expect.stringMatching(said)]);
    expect(ran.err).toContain("(invalid_input)");
  }
}, 60_000);

test("what is not there, cannot be reached, or lacks its driver is said in a sentence, without the password", async () => {
  const directory = newDirectory();
  const missing = await run(directory, "verify", "--store", addressAt("not-there"));
  expect([missing.code, missing.err]).toEqual([
    1,
    expect.stringMatching(/no store at postgres:\S+schema=not-there; name its schema[\s\S]*\(not_found\)/),
  ]);
  const away = await run(directory, "readers", "--store", addressAt("orders", 1));
  expect([away.code, away.err]).toEqual([1, expect.stringMatching(/cannot be reached[\s\S]*\(unavailable\)/)]);
  expect((await run(directory, "tail", "--store", addressAt("pg_catalog"))).err).toMatch(/no name for a schema/);
  expect((await run(directory, "tail", "--store", `postgres://ada:${password}@[broken/x`)).err).toMatch(
    /is no address[\s\S]*\(invalid_input\)/,
  );
  const hook =
    'import { registerHooks } from "node:module"; registerHooks({ resolve(name, context, next) { if (name === "pg") throw Object.assign(new Error("Cannot find package \'pg\'"), { code: "ERR_MODULE_NOT_FOUND" }); return next(name, context); } });';
  const without = await launch(
    directory,
    ["tail", "--store", addressAt("orders")],
    ["--import", `data:text/javascript,${encodeURIComponent(hook)}`],
  ).ran;
  expect([without.code, without.err]).toEqual([
    1,
    expect.stringMatching(/needs the package pg, which is not installed: npm install pg@[\d.]+\n\(not_found\)/),
  ]);
}, 60_000);

test("a person is forgotten by command in PostgreSQL, with the file of the keys", async () => {
  const directory = newDirectory();
  const running = await customers.start({ store: schemas.driver(directory, "customers") });
  onTestFinished(() => running.stop());
  await registered(running);
  const at = schemas.at(directory, "customers");
  const forgotten = await run(directory, "forget", "ada", "--store", at, "--keys", "customers-keys", "--reason", "she asked");
  expect([forgotten.err, forgotten.out]).toEqual(["", expect.stringMatching(/^"ada" is forgotten, as \S{22} at position 6/)]);
  await expect.poll(async () => (await running.contacts.get("ada")).value?.name, { timeout: 20_000 }).toBe("forgotten");
}, 60_000);

const cache = resolve(import.meta.dirname, "../../../.cache");

function serviceModule(): string {
  return `
import { command, entity, service, view } from "convergent";
import { z } from "zod";
const order = entity("order", { initial: () => ({}), events: { placed: z.object({ product: z.string() }) } })
  .evolve({ placed: (state) => state })
  .commands({ place: command(z.object({ product: z.string() }), (_, input, emit) => emit.placed(input)) });
const orderSummary = view("order-summary", { from: [order], document: z.object({ product: z.string() }), key: (event) => event.entityId })
  .on({ "order.placed": (_, event) => { if (event.data.product === "odd") throw new Error("odd"); return { product: event.data.product }; } });
export const orders = service("orders", { parts: { order, orderSummary } });`;
}

test("services are started on a database, each in a schema of its name; readers, parked events and views are looked after beside them", async () => {
  mkdirSync(cache, { recursive: true });
  const directory = mkdtempSync(join(cache, "cli-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const name = basename(directory)
    .toLowerCase()
    .replaceAll(/[^a-z0-9-]/g, "");
  writeFileSync(join(directory, "orders.mjs"), serviceModule().replace('service("orders"', `service("${name}"`));
  const named = await run(directory, "start", "orders.mjs", "--store", addressAt("orders"));
  expect([named.code, named.err]).toEqual([
    1,
    expect.stringMatching(/without a schema, because each service has the one of its name[\s\S]*\(invalid_input\)/),
  ]);
  const server = spawn(
    process.execPath,
    ["--conditions=convergent-source", main, "start", "orders.mjs", "--store", addressAt(undefined), "--port", "0"],
    { cwd: directory, stdio: ["ignore", "pipe", "pipe"] },
  );
  onTestFinished(() => void server.kill("SIGKILL"));
  let said = "";
  server.stderr.on("data", (chunk) => (said += String(chunk)));
  for await (const chunk of server.stdout) if (/serves/.test((said += String(chunk)))) break;
  expect(said).toMatch(new RegExp(`${name} has its store in postgres://postgres@\\S+schema=${name}\n`));
  expect(said).not.toContain(password);
  const url = /(http:\S+) serves/.exec(said)?.[1] ?? "";
  for (const [id, product] of Object.entries({ "o-1": "tea", "o-2": "odd" })) {
    const headers = { "Content-Type": "application/json", "Idempotency-Key": id };
    const answer = await fetch(`${url}/entities/order/${id}/place`, { method: "POST", headers, body: JSON.stringify({ product }) });
    expect(answer.status).toBe(200);
  }
  const at = addressAt(name);
  await expect
    .poll(async () => (await run(directory, "parked", "list", "--store", at)).out, { timeout: 30_000 })
    .toMatch(/order-summary +1 +o-2 +1/);
  expect((await run(directory, "readers", "--store", at)).out).toMatch(new RegExp(`order-summary +1 +${name} +16 `));
  expect((await run(directory, "view", "list", "--store", at)).out).toMatch(/order-summary +1 +active/);
  expect((await run(directory, "parked", "discard", "order-summary", "o-2", "--store", at, "--reason", "a test")).out).toMatch(
    /asked for 1 event/,
  );
  await expect
    .poll(async () => (await run(directory, "parked", "list", "--store", at, "--discarded")).out, { timeout: 30_000 })
    .toMatch(/o-2/);
  expect((await run(directory, "view", "reset", "order-summary", "--store", at, "--yes")).err).toMatch(
    /a process has postgres:\S+ open[\s\S]*\(store_in_use\)/,
  );
  const ended = once(server, "exit");
  server.kill("SIGTERM");
  await ended;
  expect((await run(directory, "view", "reset", "order-summary", "--store", at, "--yes")).out).toMatch(
    /^deleted the documents and checkpoint of "order-summary"/,
  );
  const beside = await run(directory, "reader", "continue", "order-summary", "--store", at, "--yes");
  expect([beside.code, beside.err]).toEqual([1, expect.stringMatching(/holds no reaction "order-summary"/)]);
  expect((await run(directory, "view", "drop", "order-summary", "--store", at, "--yes")).err).toMatch(/\(not_found\)/);
}, 120_000);
