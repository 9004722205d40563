// What goes wrong between a store and PostgreSQL: replies that are lost at a commit, a network that is silent, a lock that somebody
// holds, names that are too long. Nothing is said to have failed that may have happened, and nothing waits for ever.
import { basename } from "node:path";
import { Log } from "convergent";
import { postgres, type PostgresOptions } from "convergent/postgres";
import pg from "pg";
import { expect, onTestFinished, test } from "vitest";
import { TcpProxy } from "../../torture/tcp-proxy.ts";
import { appended, codeOf, positionOf, soundEvents, written } from "./log-questions.ts";
import { newPlace, openLog, storeKind, testDatabase } from "./store-kinds.ts";

/** A log whose every connection passes a proxy. */
async function behindProxy(options: PostgresOptions = {}): Promise<{ log: Log; proxy: TcpProxy; place: string }> {
  const place = newPlace();
  const url = new URL(testDatabase());
  const proxy = await TcpProxy.open(Number(url.port));
  url.port = String(proxy.port);
  const log = await Log.open(postgres(url.href, { schema: basename(place), directory: place, ...options }), "orders");
  onTestFinished(async () => {
    proxy.way = { kind: "pass" };
    await log.close();
    await proxy.close();
  });
  return { log, proxy, place };
}

async function connected(): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: testDatabase() });
  await client.connect();
  onTestFinished(() => client.end());
  return client;
}

const request = (stream: string, id: string) => written(stream, id, id);

test.each([
  ["one append", ["order/1"]],
  ["several to one stream, in one transaction", ["order/1", "order/1", "order/1"]],
])("a lost reply leaves the outcome unknown, and the same ids give one result: %s", async (_, streams) => {
  const { log, proxy, place } = await behindProxy();
  await log.append(request("order/0", "first"));
  proxy.way = { kind: "drop replies" };
  const outcomes = await Promise.all(streams.map((stream, index) => codeOf(log.append(request(stream, `r-${index}`)))));
  expect(outcomes).toEqual(streams.map(() => "outcome_unknown"));
  proxy.way = { kind: "pass" };
  for (const [index, stream] of streams.entries()) appended(await log.append(request(stream, `r-${index}`)));
  expect(await soundEvents(await openLog(storeKind("postgres"), place))).toHaveLength(1 + streams.length);
});

test("several events of one append whose reply is lost took effect once: repeated, it is answered as it would have been", async () => {
  const { log, proxy } = await behindProxy();
  appended(await log.append(request("order/0", "first"))); // so that the type is known
  const [event] = request("order/1", "r").events;
  const three = { ...request("order/1", "r"), events: [event, event, event] as never };
  proxy.way = { kind: "drop replies" };
  expect(await codeOf(log.append(three))).toBe("outcome_unknown");
  proxy.way = { kind: "pass" };
  const again = appended(await log.append(three));
  expect([again.repeated, again.firstVersion, again.lastVersion, positionOf(again)]).toEqual([true, 1, 3, 4]);
  const behind = appended(await log.append({ stream: "order/1", expected: 3, events: [event, event] as never }));
  expect(behind.events.map(({ version, position }) => [version, position])).toEqual([
    [4, 5],
    [5, 6],
  ]);
  expect(await log.append({ stream: "order/1", expected: 3, events: [event, event] as never })).toMatchObject({
    kind: "conflict",
    version: 5,
  });
  expect(await soundEvents(log)).toHaveLength(6);
});

test("a server that is silent is not waited for without an end: neither by an append nor by closing", { timeout: 60_000 }, async () => {
  const { log, proxy } = await behindProxy({ statementLimitMs: 200, lockWaitLimitMs: 200 });
  await log.append(request("order/0", "first"));
  proxy.way = { kind: "drop" };
  expect(await codeOf(log.append(request("order/1", "r-1")))).toBe("outcome_unknown");
  await log.close();
});

test("a lock that another process holds is waited for as long as was said, and nothing is written", async () => {
  const place = newPlace();
  const other = await openLog(storeKind("postgres"), place);
  const log = await Log.open(postgres(testDatabase(), { schema: basename(place), directory: place, lockWaitLimitMs: 200 }), "orders");
  onTestFinished(() => log.close());
  let release: () => void = () => undefined;
  const held = Promise.withResolvers<void>();
  const holding = other.transact(async (tx) => {
    await tx.lock();
    held.resolve();
    await new Promise<void>((resolve) => (release = resolve));
  });
  await held.promise;
  expect(await codeOf(log.append(request("order/1", "r-1")))).toBe("unavailable");
  release();
  await holding;
  expect(await soundEvents(log)).toHaveLength(0);
  appended(await log.append(request("order/1", "r-1")));
});

test("a name that is too long for an index is refused by its code, alone", async () => {
  const log = await openLog(storeKind("postgres"));
  const long = Array.from({ length: 400 }, () => log.host.random.id()).join("");
  const outcomes = await Promise.all([codeOf(log.append(written(`order/${long}`))), log.append(written("order/1"))]);
  expect(outcomes[0]).toBe("invalid_input");
  appended(outcomes[1]);
  expect(await soundEvents(log)).toHaveLength(1);
});

/** A row of a view, under a key. */
const document = (key: string) => ({ view: "summary", version: 1, key, document: '"x"', indexes: [] });

test("a write of derived rows that the server refuses is said by its code, also when its answer was not waited for; nothing of its transaction stays", async () => {
  const log = await openLog(storeKind("postgres"));
  const long = Array.from({ length: 400 }, () => log.host.random.id()).join("");
  const refused = log.transact(
    async (tx) => {
      await tx.saveDocuments([document("a")]);
      await tx.saveDocuments([document(long)]);
    },
    { derived: true },
  );
  expect(await codeOf(refused)).toBe("invalid_input");
  await log.transact((tx) => tx.saveDocuments([document("b")]), { derived: true });
  expect(await log.snapshot((tx) => tx.documents("summary", 1, ["a", "b"]))).toEqual([undefined, '"x"']);
});

test("the outcome of derived rows is unknown when the connection breaks while they and the commit are on their way", async () => {
  const { log, proxy } = await behindProxy();
  const lost = log.transact(
    async (tx) => {
      await tx.documents("summary", 1, ["a"]);
      proxy.way = { kind: "drop replies" };
      await tx.saveDocuments([document("a")]);
    },
    { derived: true },
  );
  expect(await codeOf(lost)).toBe("outcome_unknown");
  proxy.way = { kind: "pass" };
  await expect.poll(() => log.snapshot((tx) => tx.documents("summary", 1, ["a"]))).toEqual(['"x"']);
});

test("a transaction whose connection the server ended between two statements says what the server said", async () => {
  const place = newPlace();
  const log = await openLog(storeKind("postgres"), place);
  const other = await connected();
  const reading = log.snapshot(async (tx) => {
    await tx.head();
    const { rows } = await other.query<{ ended: boolean }>(
      `SELECT pg_terminate_backend(pid, 5000) AS ended FROM pg_locks
      WHERE relation = $1::regclass AND pid <> pg_backend_pid()`,
      [`"${basename(place)}".events`],
    );
    // The store looks for news now and then, on a connection of its own.
    expect(rows).toContainEqual({ ended: true });
    // The server's word is on its way.
    await new Promise((resolve) => setTimeout(resolve, 100));
    return tx.head();
  });
  await expect(reading).rejects.toMatchObject({
    code: "unavailable",
    message: expect.stringContaining("terminating connection due to administrator command") as string,
  });
  expect(await log.snapshot((tx) => tx.head())).toMatchObject({ position: 0 });
});
