// A standby that is promoted without the last acknowledged appends, as asynchronous replication allows: it is an older copy of the store.
// Processes that run notice it and do nothing more, those that start begin a new epoch, and tokens past the fork are told apart (L5).
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Fork, Log, Reader, type StoredEvent } from "convergent";
import { postgres } from "convergent/postgres";
import pg from "pg";
import { expect, onTestFinished, test } from "vitest";
import { type RunningPostgres, startPostgres } from "../../../tools/postgres.ts";
import { TcpProxy } from "../../torture/tcp-proxy.ts";
import { tokenOf } from "./epochs.ts";
import { codeOf, soundEvents, written } from "./log-questions.ts";
import { newPlace } from "./store-kinds.ts";

async function asked(server: RunningPostgres, text: string): Promise<Record<string, unknown> | undefined> {
  const client = new pg.Client({ connectionString: server.url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(text)).rows[0];
  } finally {
    await client.end();
  }
}

/** A server and its standby, which follows by streaming; clients reach one of them at a place that stays. */
async function pair(): Promise<{
  primary: RunningPostgres;
  stopStandby: () => Promise<void>;
  proxy: TcpProxy;
  url: string;
  startStandby: () => Promise<RunningPostgres>;
}> {
  const folder = mkdtempSync(join(tmpdir(), "convergent-failover-"));
  const places = { primary: join(folder, "primary"), standby: join(folder, "standby") };
  const running = new Set<RunningPostgres>();
  const start = async (place: string, port?: number): Promise<RunningPostgres> => {
    const server = await startPostgres(place, port === undefined ? {} : { port });
    running.add(server);
    return server;
  };
  const stop = async (server: RunningPostgres): Promise<void> => {
    running.delete(server);
    await server.stop();
  };
  onTestFinished(async () => {
    for (const server of running) await server.kill();
    rmSync(folder, { recursive: true, force: true });
  });
  // A copy that is made while nobody runs needs no program for it.
  const first = await start(places.primary);
  const port = Number(new URL(first.url).port);
  await stop(first);
  expect(spawnSync("cp", ["-a", places.primary, places.standby]).status).toBe(0); // with its owners
  writeFileSync(join(places.standby, "data", "standby.signal"), "");
  writeFileSync(join(places.standby, "data", "postgresql.auto.conf"), `primary_conninfo = 'host=127.0.0.1 port=${port} user=postgres'\n`);
  const primary = await start(places.primary, port);
  const standby = await start(places.standby);
  const standbyPort = Number(new URL(standby.url).port);
  const proxy = await TcpProxy.open(port);
  onTestFinished(() => proxy.close());
  const url = new URL(primary.url);
  url.port = String(proxy.port);
  const startStandby = (): Promise<RunningPostgres> => start(places.standby, standbyPort);
  return { primary, stopStandby: () => stop(standby), proxy, url: url.href, startStandby };
}

function follower(log: Log): Reader {
  return new Reader<StoredEvent>({
    name: "follower",
    version: 1,
    source: log,
    effects: log,
    prepare: (event) => event,
    orderKey: "stream",
    apply: async () => undefined,
  });
}

test("a promoted standby without the last appends: running processes stop, new ones begin an epoch, tokens and readers are told", async () => {
  const { primary, stopStandby, startStandby, proxy, url } = await pair();
  const directory = newPlace();
  const forks: Fork[] = [];
  const open = (at = directory): Promise<Log> =>
    Log.open(postgres(url, { schema: "s", directory: at, connectLimitMs: 2_000 }), "orders", { onFork: (fork) => forks.push(fork) });
  const log = await open();
  onTestFinished(() => log.close());
  const kept = await tokenOf(log, "order/1");
  await tokenOf(log, "order/2");
  const { lsn } = (await asked(primary, "SELECT pg_current_wal_flush_lsn()::text AS lsn")) as { lsn: string };
  const replayed = `SELECT count(*)::integer AS count FROM pg_stat_replication WHERE replay_lsn >= '${lsn}'`;
  await expect.poll(() => asked(primary, replayed), { timeout: 20_000 }).toEqual({ count: 1 });
  await stopStandby();

  const lost = await tokenOf(log, "order/1");
  await tokenOf(log, "order/2");
  const reader = follower(log);
  reader.start();
  expect(await reader.waitFor(log.headKnown.position, 10_000)).toBe(true);
  // The witness is at most a second behind.
  const witness = (): string => {
    const name = readdirSync(directory).find((each) => each.endsWith("witness"));
    return name === undefined ? "" : readFileSync(join(directory, name), "utf8");
  };
  await expect.poll(witness).toContain("\n4\n");
  await primary.kill();
  const promoted = await startStandby();
  expect(await asked(promoted, "SELECT pg_is_in_recovery() AS is_standby")).toEqual({ is_standby: true });
  proxy.target = Number(new URL(promoted.url).port);

  // A standby can be read, by a process that knows no more than it has, and takes no writes.
  const elsewhere = newPlace();
  const reading = await open(elsewhere);
  expect((await soundEvents(reading)).map(({ position }) => position)).toEqual([1, 2]);
  expect(await codeOf(reading.append(written("order/3")))).toBe("unavailable");
  expect(await codeOf(reading.transact((tx) => reading.append(written("order/3"), { tx })))).toBe("unavailable");
  await reading.close();

  await asked(promoted, "SELECT pg_promote()");
  // The first connection that is made again tells, and from then on nothing is read or written.
  await expect.poll(() => codeOf(log.append(written("order/1"))), { timeout: 20_000 }).toBe("store_restored");
  expect(await codeOf(log.append(written("order/1")))).toBe("store_restored");
  expect(await codeOf(log.transact((tx) => log.append(written("order/1"), { tx })))).toBe("store_restored");
  expect(await codeOf(log.snapshot((tx) => tx.head()))).toBe("store_restored");
  await expect.poll(() => reader.state, { timeout: 10_000 }).toBe("stuck");
  await reader.stop();
  await log.close();
  expect(forks).toEqual([]);

  const again = await open();
  onTestFinished(() => again.close());
  expect(forks).toMatchObject([{ store: "orders", by: "witness", fork: 2, lost: 4, epoch: { first: 3 } }]);
  const next = await tokenOf(again, "order/1");
  expect(next.entries[0]).toMatchObject({ position: 3, epoch: forks[0]?.epoch.id });
  await expect(again.demand(lost)).rejects.toMatchObject({ code: "token_epoch", details: { position: 3, fork: 2 } });
  expect(await again.demand(kept)).toMatchObject({ position: 1 });
  const present = follower(again);
  present.start();
  expect(await present.waitFor(again.headKnown.position, 20_000)).toBe(true);
  await present.stop();
  expect(await soundEvents(again)).toHaveLength(3);
}, 120_000);
