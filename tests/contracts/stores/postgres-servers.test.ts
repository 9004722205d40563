// Servers that cannot keep a store, or let nobody in, or go away under one: each is named by a code with the way out, nothing is said
// to have failed that may have happened, and when the server is whole again all that was acknowledged is there, once.
import { spawnSync } from "node:child_process";
import { appendFileSync, chownSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { isConvergentError, Log } from "convergent";
import { postgres, type PostgresOptions } from "convergent/postgres";
import pg from "pg";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { type RunningPostgres, type Settings, startPostgres } from "../../../tools/postgres.ts";
import { TcpProxy } from "../../torture/tcp-proxy.ts";
import { appended, codeOf, soundEvents, written } from "./log-questions.ts";
import { newPlace } from "./store-kinds.ts";

const folder = mkdtempSync(join(tmpdir(), "convergent-servers-"));
let server: RunningPostgres;

beforeAll(async () => {
  server = await startPostgres(folder);
  // Before the line that trusts everybody.
  const file = join(folder, "data", "pg_hba.conf");
  writeFileSync(file, `host all locked 127.0.0.1/32 scram-sha-256\n${readFileSync(file, "utf8")}`);
  await run("SELECT pg_reload_conf()");
  await run("CREATE ROLE locked LOGIN PASSWORD 's3cret'");
});

afterAll(async () => {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function run(text: string, url: string = server.url): Promise<Array<Record<string, unknown>>> {
  const client = new pg.Client({ connectionString: url });
  client.on("error", () => undefined);
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(text)).rows;
  } finally {
    await client.end();
  }
}

/** The server's URL with something else in it. */
function urlOf(change: { database?: string; user?: string; password?: string; port?: number }): string {
  const url = new URL(server.url);
  if (change.database !== undefined) url.pathname = `/${change.database}`;
  url.username = change.user ?? url.username;
  url.password = change.password ?? "";
  if (change.port !== undefined) url.port = String(change.port);
  return url.href;
}

async function open(url: string, options: PostgresOptions & { name?: string } = {}): Promise<Log> {
  const directory = newPlace();
  const { name = "orders", ...rest } = options;
  const log = await Log.open(postgres(url, { schema: basename(directory), directory, connectLimitMs: 2_000, ...rest }), name);
  onTestFinished(() => log.close());
  return log;
}

async function refusal(url: string, options: PostgresOptions & { name?: string } = {}): Promise<{ code: string; message: string }> {
  const error = await open(url, options).then(
    () => undefined,
    (cause: unknown) => cause,
  );
  if (!isConvergentError(error)) throw new Error("it was opened, or refused without a code", { cause: error });
  expect(error.message).not.toContain("s3cret");
  return error;
}

/** Ends a transaction that went well after all. */
function rolledBack(): never {
  throw new Error("it could be written");
}

/** A file system in memory at a new place; undefined where nothing can be mounted. */
function smallDisk(megabytes: number): string | undefined {
  const place = mkdtempSync(join(tmpdir(), "convergent-small-"));
  const options = `size=${megabytes}m,mode=0777`;
  if (spawnSync("/usr/bin/env", ["mount", "-t", "tmpfs", "-o", options, "none", place]).status !== 0) return undefined;
  onTestFinished(() => {
    spawnSync("/usr/bin/env", ["umount", "-l", place]);
    rmSync(place, { recursive: true, force: true });
  });
  return place;
}

/** Leaves no byte free. Returns how to make space again. */
function fill(place: string): () => void {
  const file = join(place, "ballast");
  const block = Buffer.alloc(64 * 1024);
  try {
    for (;;) appendFileSync(file, block);
  } catch {
    return () => rmSync(file);
  }
}

const large = "x".repeat(100_000);

/** Appends until one is refused; its id and code. */
async function untilRefused(log: Log): Promise<{ appends: number; code: unknown }> {
  for (let appends = 0; appends < 500; appends++) {
    const code = await codeOf(log.append(written("order/1", large, `large-${appends}`)));
    if (code !== undefined) return { appends, code };
  }
  throw new Error("the disk does not become full");
}

/** A server of a test's own, which it may break. */
async function ownServer(
  settings: Settings = {},
  place: string = mkdtempSync(join(tmpdir(), "convergent-server-")),
): Promise<{ server: RunningPostgres; again(): Promise<RunningPostgres>; place: string }> {
  let running = await startPostgres(place, { settings });
  const port = Number(new URL(running.url).port);
  onTestFinished(async () => {
    await running.stop();
    rmSync(place, { recursive: true, force: true });
  });
  const again = async (): Promise<RunningPostgres> => (running = await startPostgres(place, { port, settings }));
  return { server: running, again, place };
}

test("a server that is not there is unavailable", async () => {
  const proxy = await TcpProxy.open(1);
  const { port } = proxy;
  await proxy.close();
  const { code, message } = await refusal(urlOf({ port }));
  expect([code, message]).toEqual(["unavailable", expect.stringContaining(`127.0.0.1:${port}`)]);
});

test.each([
  ["a wrong password", { user: "locked", password: "not-s3cret" }, /name, password/],
  ["no password where one is asked for", { user: "locked" }, /name, password/],
  ["a user that does not exist", { user: "nobody-here" }, /name, password/],
  ["a database that does not exist", { database: "nowhere" }, /createdb/],
])("%s is refused, and the message says where to look", async (_, change, hint) => {
  const { code, message } = await refusal(urlOf(change));
  expect([code, message]).toEqual(["store_unwritable", expect.stringMatching(hint)]);
});

test("a user without rights is refused: to make the schema, and to write to one that is there", async () => {
  await run("CREATE ROLE guest LOGIN");
  const guest = urlOf({ user: "guest" });
  expect(await refusal(guest)).toMatchObject({ code: "store_unwritable", message: expect.stringContaining("grant CREATE") as string });
  const schema = "guarded";
  await (await open(server.url, { schema })).append(written("order/1"));
  expect(await refusal(guest, { schema })).toMatchObject({ code: "store_unwritable" });
  await run(`GRANT USAGE ON SCHEMA ${schema} TO guest; GRANT SELECT ON ALL TABLES IN SCHEMA ${schema} TO guest`);
  const log = await open(guest, { schema });
  expect((await log.head()).position).toBe(1);
  expect(await codeOf(log.append(written("order/1")))).toBe("store_unwritable");
  expect(await codeOf(log.transact((tx) => log.append(written("order/1"), { tx })))).toBe("store_unwritable");
  expect(await soundEvents(log)).toHaveLength(1);
});

test.each(["SQL_ASCII", "LATIN1"])("a database in %s is refused, and the message says how to make another", async (encoding) => {
  const database = `as_${encoding.toLowerCase()}`;
  await run(`CREATE DATABASE ${database} ENCODING '${encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0`);
  const { code, message } = await refusal(urlOf({ database }));
  expect([code, message]).toEqual(["postgres_unsupported", expect.stringContaining("ENCODING 'UTF8'")]);
});

test.each([{ fsync: "off" }, { full_page_writes: "off" }])("a server with %o is refused", async (settings) => {
  const own = await ownServer(settings);
  const { code, message } = await refusal(own.server.url);
  expect([code, message]).toEqual(["postgres_unsupported", expect.stringContaining("set both to on")]);
});

test("a schema of something else, of another service, of a newer release, or that is damaged is refused and left as it is", async () => {
  await run("CREATE SCHEMA theirs; CREATE TABLE theirs.users (name text)");
  expect(await refusal(server.url, { schema: "theirs" })).toMatchObject({ code: "store_broken" });
  expect(await run("SELECT count(*)::integer AS count FROM pg_tables WHERE schemaname = 'theirs'")).toEqual([{ count: 1 }]);
  const schema = "ours";
  await (await open(server.url, { schema })).append(written("order/1"));
  expect(await refusal(server.url, { schema, name: "payments" })).toMatchObject({ code: "store_mismatch" });
  for (const [wrong, right, code] of [
    ["UPDATE ours.store SET schema_version = 99", "UPDATE ours.store SET schema_version = 4", "store_newer"],
    ["CREATE TABLE ours.kept AS TABLE ours.epochs; DELETE FROM ours.epochs", "INSERT INTO ours.epochs TABLE ours.kept", "store_broken"],
    ["ALTER TABLE ours.store RENAME TO hidden", "ALTER TABLE ours.hidden RENAME TO store", "store_broken"],
    ["CREATE TABLE ours.row AS TABLE ours.store; DELETE FROM ours.store", "INSERT INTO ours.store TABLE ours.row", "store_broken"],
  ] as const) {
    await run(wrong);
    expect(await refusal(server.url, { schema })).toMatchObject({ code });
    await run(right);
  }
  expect(await soundEvents(await open(server.url, { schema }))).toHaveLength(1);
});

test("a server that is set to read-only lets a store be read; writes are refused until it is set back", async () => {
  const own = await ownServer();
  const log = await open(own.server.url, { schema: "s" });
  await log.append(written("order/1", 1, "r-1"));
  await run("ALTER SYSTEM SET default_transaction_read_only = on", own.server.url);
  await run("SELECT pg_reload_conf()", own.server.url);
  const setting = async (): Promise<unknown> => (await run("SHOW default_transaction_read_only", own.server.url))[0];
  await expect.poll(setting).toEqual({ default_transaction_read_only: "on" });
  await expect.poll(() => codeOf(log.transact((tx) => log.append(written("order/1"), { tx }).then(rolledBack)))).toBe("unavailable");
  await expect(log.append(written("order/1", 2, "r-2"))).rejects.toThrow(/read-only/);
  expect(await codeOf(log.transact((tx) => log.append(written("order/1"), { tx })))).toBe("unavailable");
  expect(await soundEvents(await open(own.server.url, { schema: "s" }))).toHaveLength(1);
  expect(await refusal(own.server.url, { schema: "new" })).toMatchObject({ code: "unavailable" });
  await run("ALTER SYSTEM RESET default_transaction_read_only", own.server.url);
  await run("SELECT pg_reload_conf()", own.server.url);
  await expect.poll(() => codeOf(log.append(written("order/1", 2, "r-2")))).toBe(undefined);
  expect(await soundEvents(log)).toHaveLength(2);
});

test("a server without a free connection is unavailable, and is used again when there is one", async () => {
  const own = await ownServer({ max_connections: 8, superuser_reserved_connections: 0, max_wal_senders: 0 });
  await (await open(own.server.url, { schema: "s", listen: false })).close();
  const others = Array.from({ length: 8 }, () => new pg.Client({ connectionString: own.server.url }));
  for (const client of others) await client.connect();
  const { code, message } = await refusal(own.server.url, { schema: "s" });
  expect([code, message]).toEqual(["unavailable", expect.stringContaining("max_connections")]);
  for (const client of others.slice(0, 5)) await client.end();
  const log = await open(own.server.url, { schema: "s", listen: false });
  await log.append(written("order/1"));
  expect(await soundEvents(log)).toHaveLength(1);
  for (const client of others.slice(5)) await client.end();
});

test("when the disk of the tables is full an append is refused, and goes through when there is space", async () => {
  const own = await ownServer();
  const small = smallDisk(24);
  if (small !== undefined) {
    const { uid, gid } = statSync(join(own.place, "data"));
    chownSync(small, uid, gid);
    await run(`CREATE TABLESPACE small LOCATION '${small}'`, own.server.url);
  }
  await run(`CREATE DATABASE crowded TEMPLATE template0 ${small === undefined ? "" : "TABLESPACE small"}`, own.server.url);
  const url = new URL(own.server.url);
  url.pathname = "/crowded";
  const log = await open(url.href, { schema: "s" });
  await log.append(written("order/1"));
  // Where nothing can be mounted the server says the same by a trigger.
  if (small === undefined)
    await run(
      `CREATE FUNCTION s.full() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION USING ERRCODE = '53100'; END $$;
       CREATE TRIGGER full BEFORE INSERT ON s.events EXECUTE FUNCTION s.full()`,
      url.href,
    );
  const makeSpace: () => unknown = small === undefined ? () => run("DROP TRIGGER full ON s.events", url.href) : fill(small);
  const { appends, code } = await untilRefused(log);
  expect(code).toBe("disk_full");
  expect(await soundEvents(log)).toHaveLength(1 + appends);
  await makeSpace();
  for (const id of [appends, appends + 1]) appended(await log.append(written("order/1", large, `large-${id}`)));
  expect(await soundEvents(log)).toHaveLength(3 + appends);
}, 60_000);

test("when the disk of the WAL is full the server gives up; what it acknowledged is there when it runs again", async () => {
  const small = smallDisk(110);
  const own = await ownServer({ min_wal_size: "32MB", max_wal_size: "32MB", shared_buffers: "16MB" }, small && join(small, "server"));
  const log = await open(own.server.url, { schema: "s" });
  await log.append(written("order/1"));
  const makeSpace = small === undefined ? () => undefined : fill(small);
  // Where nothing can be mounted it is killed: what a server does that cannot write its WAL.
  if (small === undefined) await own.server.kill();
  const { appends, code } = await untilRefused(log);
  expect(["unavailable", "outcome_unknown", "disk_full"]).toContain(code);
  makeSpace();
  await own.server.kill();
  await own.again();
  await expect.poll(() => codeOf(log.append(written("order/1", large, `large-${appends}`)))).toBe(undefined);
  expect(await soundEvents(log)).toHaveLength(2 + appends);
}, 60_000);

test.each(["stopped", "killed"])(
  "a server that is %s and begun again under a running log: nothing is lost or doubled",
  async (how) => {
    const own = await ownServer();
    let present = own.server;
    const log = await open(own.server.url, { schema: "s" });
    const ended = { isOver: false };
    const codes = new Set<unknown>();
    const acknowledged: string[] = [];
    const writers = Array.from({ length: 6 }, async (_, writer) => {
      for (let turn = 0; !ended.isOver; turn++) {
        const id = `${writer}-${turn}`;
        for (;;) {
          const code = await codeOf(log.append(written(`order/${writer}`, id, id)));
          if (code === undefined) break;
          codes.add(code);
          await new Promise((resolve) => setTimeout(resolve, 10));
        }
        acknowledged.push(id);
      }
    });
    for (let round = 0; round < 2; round++) {
      await new Promise((resolve) => setTimeout(resolve, 200));
      await (how === "killed" ? present.kill() : present.stop());
      await new Promise((resolve) => setTimeout(resolve, 50));
      present = await own.again();
      const before = acknowledged.length;
      await expect.poll(() => acknowledged.length, { timeout: 20_000 }).toBeGreaterThan(before + 6);
    }
    ended.isOver = true;
    await Promise.all(writers);
    expect([...codes].filter((code) => code !== "unavailable" && code !== "outcome_unknown")).toEqual([]);
    const events = await soundEvents(log);
    expect(events.map(({ data }) => JSON.parse(data) as string).toSorted()).toEqual(acknowledged.toSorted());
  },
  90_000,
);
