// Appends in a transaction of the user's own: its rows and the events are there together or not at all, whatever refuses or interrupts it,
// and a transaction that stays open holds up nobody.
import { expect, test } from "vitest";
import type pg from "pg";
import { commitFailure } from "convergent/postgres";
import { allEvents, appended, codeOf, soundEvents, written } from "./log-questions.ts";
import { newPlace, openLog, storeKind } from "./store-kinds.ts";
import { besideLog, inTransaction, staged } from "./user-transactions.ts";

const insert = (client: pg.Client, table: string, name: string): Promise<unknown> =>
  client.query(`INSERT INTO ${table} VALUES ($1)`, [name]);

test("rows and events are committed together, and the append then says versions, positions and a token", async () => {
  const { log, table, connect, names } = await besideLog();
  appended(await log.append(written("order/0")));
  const client = await connect();
  const waiting = await inTransaction(client, async () => {
    await insert(client, table, "ann");
    const first = await log.append({ ...written("order/1"), expected: "none", metadata: { actor: "ann" } }, { tx: client });
    const second = await staged(log, client, "order/1");
    const third = await staged(log, client, "order/2", "r-1");
    expect(await allEvents(log)).toHaveLength(1);
    return [first, second, third];
  });
  const results = await Promise.all(waiting.map((one) => one.result()));
  expect(results.map(({ stream, firstVersion, repeated }) => [stream, firstVersion, repeated])).toEqual([
    ["order/1", 1, false],
    ["order/1", 2, false],
    ["order/2", 1, false],
  ]);
  const events = await soundEvents(log);
  expect(results.flatMap((result) => result.events)).toEqual(events.slice(1));
  expect(results.map(({ token }) => token.entries[0]?.position)).toEqual([2, 3, 4]);
  expect(events[1]?.metadata).toBe('{"actor":"ann"}');
  expect(await names()).toEqual(["ann"]);
  expect((await client.query(`SELECT FROM ${table.replace("-user", "").replace("names", "staged_appends")}`)).rowCount).toBe(0);
});

test("several events of one append keep their order, and texts are kept as they are", async () => {
  const { log, connect } = await besideLog();
  const client = await connect();
  const texts = ["a \"quoted\" \\ 'text'", "two\nlines\ttab", "nul \u0000 and \u0001", "{NULL}", "ü𝄞"];
  const request = { ...written("order/ü 'q' \\"), events: texts.map((text, index) => ({ type: `note.n${index}`, data: { text } })) };
  const one = await inTransaction(client, () => log.append({ ...request, id: { scope: "s\u0001", id: 'i"d' } }, { tx: client }));
  const events = await soundEvents(log);
  expect((await one.result()).events).toEqual(events);
  expect(events.map(({ data }) => (JSON.parse(data) as { text: string }).text)).toEqual(texts);
  expect(await log.eventTypes()).toEqual(texts.map((_, index) => `note.n${index}`));
  expect(await log.append({ ...request, id: { scope: "s\u0001", id: 'i"d' } })).toMatchObject({ repeated: true, lastVersion: 5 });
});

test("what was rolled back left nothing, and the append says so", async () => {
  const { log, table, connect, names } = await besideLog();
  const client = await connect();
  await client.query("BEGIN");
  await insert(client, table, "ann");
  const one = await staged(log, client, "order/1", "r-1");
  expect(await codeOf(one.result())).toBe("outcome_unknown");
  await client.query("ROLLBACK");
  expect(await codeOf(one.result())).toBe("rolled_back");
  expect(await names()).toEqual([]);
  expect(await allEvents(log)).toEqual([]);
  expect(await log.append(written("order/1", "r-1", "r-1"))).toMatchObject({ repeated: false });
});

test("what was rolled back to a savepoint is not appended, and the rest of its transaction is", async () => {
  const { log, connect } = await besideLog();
  const client = await connect();
  const [first, lost, last] = await inTransaction(client, async () => {
    const before = await staged(log, client, "order/1");
    await client.query("SAVEPOINT here");
    const within = await staged(log, client, "order/1");
    await client.query("ROLLBACK TO here");
    return [before, within, await staged(log, client, "order/1")] as const;
  });
  expect([(await first.result()).lastVersion, (await last.result()).lastVersion]).toEqual([1, 2]);
  expect(await codeOf(lost.result())).toBe("rolled_back");
  expect(await soundEvents(log)).toHaveLength(2);
});

test("a conflict at the commit takes the user's rows back", async () => {
  const { log, table, connect, names } = await besideLog();
  const client = await connect();
  const commit = inTransaction(client, async () => {
    await insert(client, table, "ann");
    await log.append({ ...written("order/1"), expected: "none" }, { tx: client });
    appended(await log.append(written("order/1")));
  });
  await expect(commit).rejects.toMatchObject({ code: "version_conflict", details: { stream: "order/1", version: 1 } });
  expect(await names()).toEqual([]);
  expect(await soundEvents(log)).toHaveLength(1);
});

test.each([
  ["a number", 2, 1],
  ["some", "some", 0],
  ["none", "none", 1],
] as const)("expected is compared at the commit: %s", async (_, expected, before) => {
  const { log, connect } = await besideLog();
  for (let index = 0; index < before; index++) await log.append(written("order/1"));
  const client = await connect();
  const once = (): Promise<unknown> => inTransaction(client, () => log.append({ ...written("order/1"), expected }, { tx: client }));
  expect(await codeOf(once())).toBe("version_conflict");
  await inTransaction(client, async () => {
    // Met by what the same transaction has staged before.
    if (expected !== "none") await staged(log, client, "order/1");
    await log.append({ ...written(expected === "none" ? "order/2" : "order/1"), expected }, { tx: client });
  });
  expect(await soundEvents(log)).toHaveLength(before + (expected === "none" ? 1 : 2));
});

test("a repeated id takes the user's rows back and tells the first result", async () => {
  const { log, table, connect, names } = await besideLog();
  await log.append(written("order/0"));
  const first = appended(await log.append(written("order/1", "r-1", "r-1")));
  const client = await connect();
  await client.query("BEGIN");
  await insert(client, table, "ann");
  const again = await staged(log, client, "order/1", "r-1");
  const refused = await client.query("COMMIT").catch(commitFailure);
  const result = { scope: "caller", id: "r-1", stream: "order/1", firstVersion: 1, lastVersion: 1, position: 2, at: first.at };
  expect(refused).toMatchObject({ code: "already_done", details: result });
  await expect(again.result()).rejects.toMatchObject({ code: "already_done", details: { ...result, token: first.token.toString() } });
  expect(await names()).toEqual([]);
  expect(await allEvents(log)).toHaveLength(2);
});

test("an id is remembered: of two transactions at once one takes effect, and other content or a voided id is refused", async () => {
  const { log, table, connect, names } = await besideLog();
  const [one, other] = [await connect(), await connect()];
  const run = async (client: pg.Client, name: string): Promise<unknown> =>
    codeOf(
      inTransaction(client, async () => {
        await insert(client, table, name);
        await staged(log, client, "order/1", "r-1");
      }),
    );
  const codes = await Promise.all([run(one, "ann"), run(other, "bob")]);
  expect(codes.toSorted()).toEqual(["already_done", undefined]);
  expect(await names()).toHaveLength(1);
  const reuse = inTransaction(one, () => log.append(written("order/1", "other", "r-1"), { tx: one }));
  expect(await codeOf(reuse)).toBe("idempotency_key_reused");
  await log.void({ scope: "caller", id: "r-2" });
  expect(await codeOf(inTransaction(one, () => staged(log, one, "order/1", "r-2")))).toBe("id_voided");
  expect(await log.append(written("order/1", "r-1", "r-1"))).toMatchObject({ repeated: true });
  expect(await soundEvents(log)).toHaveLength(1);
});

test("an append after another one's rollback with the same id says that the other one is in the log", async () => {
  const { log, connect } = await besideLog();
  const client = await connect();
  await client.query("BEGIN");
  const one = await staged(log, client, "order/1", "r-1");
  await client.query("ROLLBACK");
  await log.append(written("order/1", "r-1", "r-1"));
  expect(await codeOf(one.result())).toBe("already_done");
});

test("a connection that is ended before the commit leaves nothing, and the append knows", async () => {
  const { log, table, connect, names } = await besideLog();
  const client = await connect();
  await client.query("BEGIN");
  await insert(client, table, "ann");
  const one = await staged(log, client, "order/1", "r-1");
  const { rows } = await client.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
  await (await connect()).query("SELECT pg_terminate_backend($1, 5000)", [rows[0]?.pid]);
  const failure = await client.query("COMMIT").catch(commitFailure);
  expect(failure).toMatchObject({ code: "outcome_unknown" });
  expect(await codeOf(one.result())).toBe("rolled_back");
  expect(await names()).toEqual([]);
  expect(await allEvents(log)).toEqual([]);
});

test.each(["REPEATABLE READ", "SERIALIZABLE"])("%s is refused, and its transaction can still be used", async (level) => {
  const { log, table, connect, names } = await besideLog();
  const client = await connect();
  await inTransaction(
    client,
    async () => {
      expect(await codeOf(staged(log, client, "order/1"))).toBe("isolation_unsupported");
      await insert(client, table, "ann");
    },
    `BEGIN ISOLATION LEVEL ${level}`,
  );
  expect(await names()).toEqual(["ann"]);
});

test("a connection that is in no transaction is refused, and so is what is no transaction of anybody", async () => {
  const { log, connect } = await besideLog();
  const client = await connect();
  expect(await codeOf(staged(log, client, "order/1"))).toBe("invalid_input");
  expect(await codeOf(log.append(written("order/1"), { tx: {} as never }))).toBe("invalid_input");
  expect(await allEvents(log)).toEqual([]);
});

test("an append to several streams is refused before anything is sent; several to one stream each are committed together", async () => {
  const { log, table, connect, names } = await besideLog();
  const client = await connect();
  const parts = [written("order/1", "one"), written("order/2", "two")];
  await inTransaction(client, async () => {
    await insert(client, table, "ann");
    await expect(log.appendAll(parts, { tx: client as never })).rejects.toMatchObject({ code: "transaction_unsupported" });
    for (const part of parts) await log.append(part, { tx: client });
  });
  expect(await names()).toEqual(["ann"]);
  expect((await allEvents(log)).map(({ stream }) => stream)).toEqual(["order/1", "order/2"]);
});

test.each(["memory", "sqlite"])("a store that takes part in no transactions of others says so: %s", async (name) => {
  const log = await openLog(storeKind(name), newPlace());
  expect(await codeOf(log.append(written("order/1"), { tx: { query: async () => ({ rows: [] }) } }))).toBe("transaction_unsupported");
});

test("an error of the user's own, and one of a statement of theirs, are theirs", async () => {
  const { table, connect } = await besideLog();
  const client = await connect();
  const own = new Error("out of stock");
  expect(await inTransaction(client, () => Promise.reject(own)).catch((error: unknown) => error)).toBe(own);
  await insert(client, table, "ann");
  expect(await codeOf(inTransaction(client, () => insert(client, table, "ann")))).toBe("23505");
});
