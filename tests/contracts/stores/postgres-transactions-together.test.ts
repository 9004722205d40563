// Transactions of users beside everything else that happens to a store: appends and readers that go on meanwhile, strong views, persons
// who are forgotten, archives, roles and search paths of the user's own.
import { setTimeout as sleep } from "node:timers/promises";
import { EventCodec, event, forgetPerson, Log, position } from "convergent";
import { commitFailure, postgres } from "convergent/postgres";
import pg from "pg";
import { expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { startPostgres } from "../../../tools/postgres.ts";
import { TcpProxy } from "../../torture/tcp-proxy.ts";
import { allEvents, appended, codeOf, soundEvents, written } from "./log-questions.ts";
import { newPlace, openLog, storeKind, testDatabase } from "./store-kinds.ts";
import { type Beside, besideLog, inTransaction, staged } from "./user-transactions.ts";
import { tallyReader } from "./workload.ts";

const insert = (client: pg.Client, { table }: Beside, name: string): Promise<unknown> =>
  client.query(`INSERT INTO ${table} VALUES ($1)`, [name]);

test("a transaction that stays open delays neither appends nor readers, and its events come after theirs", async () => {
  const beside = await besideLog();
  const { log } = beside;
  const reader = tallyReader(log);
  reader.start();
  onTestFinished(() => reader.stop());
  const client = await beside.connect();
  const latency = async (count: number): Promise<number> => {
    const times: number[] = [];
    for (let index = 0; index < count; index++) {
      const begun = performance.now();
      const { token } = appended(await log.append(written(`order/${index}`)));
      expect(await reader.waitFor(position(token.entries[0]?.position ?? 0), 2_000)).toBe(true);
      times.push(performance.now() - begun);
    }
    return times.sort((a, b) => a - b)[Math.floor(count / 2)] as number;
  };
  const alone = await latency(40);
  const [open, beside40] = await inTransaction(client, async () => {
    await insert(client, beside, "ann");
    return [await staged(log, client, "order/late"), await latency(40)] as const;
  });
  const late = await open.result();
  expect(late.token.entries[0]?.position).toBe(81);
  const events = await soundEvents(log);
  expect(events.at(-1)?.stream).toBe("order/late");
  // As a lock that is held until the COMMIT would not let any of them end.
  expect(beside40).toBeLessThan(10 * alone + 100);
});

test("positions are dense under 8 users with rollbacks, savepoints and appends beside them", { timeout: 60_000 }, async () => {
  const beside = await besideLog();
  const { log } = beside;
  const kept: string[] = [];
  const user = async (number: number): Promise<void> => {
    const client = await beside.connect();
    for (let turn = 0; turn < 25; turn++) {
      const name = `u${number}-${String(turn).padStart(2, "0")}`;
      await client.query("BEGIN");
      await insert(client, beside, name);
      const first = await staged(log, client, `order/${turn % 3}`, name);
      const second = await staged(log, client, `order/${number}`);
      const isKept = (number + turn) % 5 !== 0;
      await client.query(isKept ? "COMMIT" : "ROLLBACK");
      if (!isKept) {
        expect(await codeOf(first.result())).toBe("rolled_back");
        continue;
      }
      kept.push(name);
      const [before, after] = [await first.result(), await second.result()];
      expect(after.events[0]?.position).toBe((before.events[0]?.position ?? 0) + 1);
    }
  };
  const other = async (number: number): Promise<void> => {
    for (let turn = 0; turn < 60; turn++) appended(await log.append(written(`order/${turn % 3}`, `o${number}-${turn}`)));
  };
  await Promise.all([...Array.from({ length: 8 }, (_, number) => user(number)), other(1), other(2)]);
  const events = await soundEvents(log);
  expect(kept).toHaveLength(160);
  expect(events).toHaveLength(2 * 160 + 120);
  expect(await beside.names()).toEqual(kept.toSorted());
  const texts = events.map(({ data }) => JSON.parse(data) as string | null);
  expect(new Set(texts.filter((text) => text?.startsWith("u")))).toEqual(new Set(kept));
});

test("readers of other processes are woken by the commit, and the token is honoured", async () => {
  const beside = await besideLog();
  const other = await openLog(storeKind("postgres"), beside.place);
  const reader = tallyReader(other);
  reader.start();
  onTestFinished(() => reader.stop());
  await beside.log.append(written("order/0"));
  expect(await reader.waitFor(position(1), 3_000)).toBe(true);
  const client = await beside.connect();
  const times: number[] = [];
  for (let turn = 0; turn < 15; turn++) {
    const one = await inTransaction(client, () => staged(beside.log, client, "order/1"));
    const begun = performance.now();
    expect(await reader.waitFor(position(2 + turn), 3_000)).toBe(true);
    times.push(performance.now() - begun);
    const demand = await other.demand((await one.result()).token);
    expect(demand.position).toBe(2 + turn);
  }
  // Heads are looked at every 500 ms: the median of those would be 250.
  expect(times.sort((a, b) => a - b)[7]).toBeLessThan(100);
});

test("a strong view refuses an append at once, and one that comes later refuses it at the commit", async () => {
  const beside = await besideLog();
  const { log } = beside;
  const client = await beside.connect();
  const row = { kind: "strong-view", name: "balance", version: 1, fingerprint: "{}", state: "active", reason: "" } as const;
  const late = inTransaction(client, async () => {
    await insert(client, beside, "ann");
    await staged(log, client, "order/1");
    await log.transact((tx) => tx.saveDefinition(row));
  });
  expect(await codeOf(late)).toBe("definitions_outdated");
  await inTransaction(client, async () => {
    await insert(client, beside, "bob");
    await expect(staged(log, client, "order/1")).rejects.toMatchObject({ code: "transaction_unsupported", details: { view: "balance" } });
  });
  expect(await beside.names()).toEqual(["bob"]);
  expect(await allEvents(log)).toEqual([]);
});

const registered = event(z.object({ name: z.string() }), { personal: { person: () => "p-1", fields: { name: "forgotten" } } });

test("sealed data is staged sealed, and once its person is forgotten it is refused at the commit", async () => {
  const place = newPlace();
  const beside = await besideLog({ keys: `${place}/keys` });
  const { log } = beside;
  const codec = new EventCodec([{ name: "customer", events: { registered }, retired: [] }], log);
  const sealed = async (tx: pg.Client): Promise<unknown> => {
    const one = await codec.encode("customer/c-1", "customer.registered", { name: "Ann" });
    return log.append({ stream: "customer/c-1", expected: "any", events: [one] }, { tx });
  };
  const client = await beside.connect();
  await inTransaction(client, () => sealed(client));
  const [stored] = await soundEvents(log);
  expect(stored?.data).not.toContain("Ann");
  expect(codec.data(stored as never)).toEqual({ name: "Ann" });
  const late = inTransaction(client, async () => {
    await insert(client, beside, "ann");
    await sealed(client);
    await forgetPerson(log, "p-1", { reason: "asked" });
  });
  expect(await codeOf(late)).toBe("person_forgotten");
  expect(await codeOf(inTransaction(client, () => sealed(client)))).toBe("person_forgotten");
  expect(await beside.names()).toEqual([]);
  expect((await soundEvents(log)).map(({ type }) => type)).toEqual(["customer.registered", "$person.forgotten"]);
  expect(codec.data(stored as never)).toEqual({ name: "forgotten" });
});

test("streams that were archived meanwhile go on at their version", async () => {
  const beside = await besideLog();
  const { log } = beside;
  for (let index = 0; index < 3; index++) await log.append(written("order/1"));
  const client = await beside.connect();
  const one = await inTransaction(client, async () => {
    const waiting = await log.append({ ...written("order/1"), expected: 3 }, { tx: client });
    expect(await log.archive(["order/1"])).toBe(2);
    return waiting;
  });
  expect(await one.result()).toMatchObject({ firstVersion: 4 });
  await log.append(written("order/1"));
  await log.archive(["order/1"]);
  expect(await one.result()).toMatchObject({ firstVersion: 4, repeated: false });
});

test("a user's role, search path, and temporary tables of the store's names change nothing", async () => {
  const beside = await besideLog();
  const { log, schema } = beside;
  const owner = await beside.connect();
  const role = `"${schema}-role"`;
  await owner.query(
    `CREATE ROLE ${role}; GRANT USAGE ON SCHEMA "${schema}", "${schema}-user" TO ${role}; GRANT INSERT ON ${beside.table} TO ${role}`,
  );
  onTestFinished(async () => void (await owner.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`)));
  const client = await beside.connect();
  await client.query(`SET search_path = "${schema}-user", pg_catalog; SET ROLE ${role}`);
  expect(await codeOf(inTransaction(client, () => staged(log, client, "order/1")))).toBe("store_unwritable");
  await owner.query(`GRANT EXECUTE ON FUNCTION "${schema}".staging_place, "${schema}".stage_append TO ${role}`);
  for (const name of ["events", "ids", "store", "definitions", "event_types", "staged_appends", "person_events", "forgettings"])
    await client.query(`CREATE TEMPORARY TABLE ${name} (nothing integer)`);
  const one = await inTransaction(client, async () => {
    await client.query("INSERT INTO names VALUES ('ann')");
    return staged(log, client, "order/1", "r-1");
  });
  expect(await one.result()).toMatchObject({ firstVersion: 1 });
  expect(await codeOf(client.query(`DELETE FROM "${schema}".events`))).toBe("42501");
  expect(await soundEvents(log)).toHaveLength(1);
});

test("the commit waits for the disk also where the user's transaction does not, and the user's settings stay", async () => {
  const beside = await besideLog();
  const client = await beside.connect();
  await client.query("SET synchronous_commit = off; SET lock_timeout = '7s'");
  await client.query("CREATE TEMPORARY TABLE seen (setting text)");
  await client.query(`CREATE FUNCTION pg_temp.see() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN INSERT INTO seen VALUES (current_setting('synchronous_commit')), (current_setting('lock_timeout')); RETURN NULL; END $$`);
  await client.query(`CREATE TEMPORARY TABLE after_all (name text)`);
  await client.query(
    `CREATE CONSTRAINT TRIGGER see AFTER INSERT ON after_all DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION pg_temp.see()`,
  );
  await inTransaction(client, async () => {
    await staged(beside.log, client, "order/1");
    await client.query("INSERT INTO after_all VALUES ('later')");
  });
  const { rows } = await client.query<{ setting: string }>("SELECT setting FROM seen");
  expect(rows.map(({ setting }) => setting)).toEqual(["on", "7s"]);
  expect((await client.query<{ synchronous_commit: string }>("SHOW synchronous_commit")).rows[0]?.synchronous_commit).toBe("off");
});

test("with its constraints made immediate an append happens there, and others wait for the commit", async () => {
  const beside = await besideLog();
  const { log } = beside;
  const client = await beside.connect();
  let isDone = false;
  const [one, other] = await inTransaction(client, async () => {
    const waiting = await staged(log, client, "order/1");
    await client.query("SET CONSTRAINTS ALL IMMEDIATE");
    const behind = log.append(written("order/2")).finally(() => (isDone = true));
    await sleep(200);
    expect(isDone).toBe(false);
    return [waiting, behind] as const;
  });
  expect((await one.result()).token.entries[0]?.position).toBe(1);
  expect(appended(await other).token.entries[0]?.position).toBe(2);
});

test("the times of staged appends are those of their commits, and never decrease", async () => {
  const beside = await besideLog();
  const client = await beside.connect();
  const stagedAt = Date.now();
  const one = await inTransaction(client, async () => {
    const waiting = await staged(beside.log, client, "order/1");
    await sleep(300);
    return waiting;
  });
  expect((await one.result()).at).toBeGreaterThanOrEqual(stagedAt + 299);
  await beside.log.append(written("order/2"));
  await soundEvents(beside.log);
});

test("a COMMIT whose answer was lost is told by the append: it happened", async () => {
  const beside = await besideLog();
  const url = new URL(testDatabase());
  const proxy = await TcpProxy.open(Number(url.port));
  onTestFinished(() => proxy.close());
  url.port = String(proxy.port);
  const client = new pg.Client({ connectionString: url.href });
  client.on("error", () => undefined);
  await client.connect();
  await client.query("BEGIN");
  await insert(client, beside, "ann");
  const one = await staged(beside.log, client, "order/1");
  proxy.way = { kind: "drop replies" };
  expect(await client.query("COMMIT").catch(commitFailure)).toMatchObject({ code: "outcome_unknown" });
  expect(await one.result()).toMatchObject({ firstVersion: 1, repeated: false });
  expect(await beside.names()).toEqual(["ann"]);
  expect(await soundEvents(beside.log)).toHaveLength(1);
});

test("a server that is killed keeps what was committed, and nothing of what was staged", { timeout: 60_000 }, async () => {
  const folder = newPlace();
  const first = await startPostgres(folder);
  const port = Number(new URL(first.url).port);
  const log = await Log.open(postgres(first.url, { directory: folder, listen: false }), "orders");
  const [kept, lost] = [new pg.Client({ connectionString: first.url }), new pg.Client({ connectionString: first.url })];
  for (const client of [kept, lost]) {
    client.on("error", () => undefined);
    await client.connect();
  }
  const done = await inTransaction(kept, () => staged(log, kept, "order/1", "r-1"));
  await lost.query("BEGIN");
  const gone = await staged(log, lost, "order/1", "r-2");
  await first.kill();
  const second = await startPostgres(folder, { port });
  onTestFinished(() => second.stop());
  onTestFinished(() => log.close());
  expect(await done.result()).toMatchObject({ firstVersion: 1 });
  expect(await codeOf(gone.result())).toBe("rolled_back");
  const client = new pg.Client({ connectionString: second.url });
  await client.connect();
  onTestFinished(() => client.end());
  const again = await inTransaction(client, () => staged(log, client, "order/1", "r-2"));
  expect(await again.result()).toMatchObject({ firstVersion: 2 });
  expect(await soundEvents(log)).toHaveLength(2);
});

test("two-phase commit is refused: a prepared transaction would hold the log's lock", { timeout: 60_000 }, async () => {
  const folder = newPlace();
  const server = await startPostgres(folder, { settings: { max_prepared_transactions: 2 } });
  onTestFinished(() => server.stop());
  const log = await Log.open(postgres(server.url, { directory: folder }), "orders");
  onTestFinished(() => log.close());
  const client = new pg.Client({ connectionString: server.url });
  await client.connect();
  onTestFinished(() => client.end());
  await client.query("BEGIN");
  await staged(log, client, "order/1");
  const failure = await client.query("PREPARE TRANSACTION 'one'").catch(commitFailure);
  expect(failure).toMatchObject({ code: "0A000" });
  await client.query("ROLLBACK");
  appended(await log.append(written("order/1")));
  expect(await soundEvents(log)).toHaveLength(1);
});
