// `convergent copy` between SQLite and PostgreSQL, as a process: what it keeps, how it goes on, and what it refuses.
import { Log, parseToken } from "convergent";
import { describe, expect, test } from "vitest";
import { TcpProxy } from "../../torture/tcp-proxy.ts";
import { testDatabase } from "../stores/store-kinds.ts";
import {
  addressAt,
  append,
  convergent,
  files,
  fill,
  launch,
  newDirectory,
  openLog,
  password,
  type Place,
  schemaOf,
  schemas,
} from "./runs.ts";

const pairs: ReadonlyArray<{ readonly from: Place; readonly to: Place; readonly name: string }> = [
  { from: files, to: schemas, name: "SQLite to PostgreSQL" },
  { from: schemas, to: files, name: "PostgreSQL to SQLite" },
];

interface Verified {
  readonly digest: string;
  readonly events: number;
  readonly ids: number;
  readonly problemCount: number;
  readonly ranges: readonly unknown[];
}

async function verified(directory: string, at: string): Promise<Verified> {
  return JSON.parse((await convergent(directory, "verify", "--store", at, "--json")).out) as Verified;
}

/** How many events a target has; 0 as long as there is none. */
async function copied(place: Place, directory: string, name: string): Promise<number> {
  return place.rows(directory, name, "SELECT count(*) AS n FROM events").then(
    ([row]) => Number(row?.["n"]),
    () => 0,
  );
}

test("from SQLite to PostgreSQL and back the same digest, ids and ranges come out, and no password is said", async () => {
  const directory = newDirectory();
  await fill(files, directory, "orders", 130);
  const before = await verified(directory, "orders.db");
  const database = schemas.at(directory, "orders");
  const there = await convergent(directory, "copy", "--from", "orders.db", "--to", database);
  expect([there.err, there.code]).toEqual([expect.stringMatching(/copying orders\.db to postgres:[\s\S]*13,000 events are the same/), 0]);
  expect(there.out).toMatch(/is now the store of orders up to position 13000; this run brought 13,000 events and 130 ids/);
  const back = await convergent(directory, "copy", "--from", database, "--to", "back.db", "--json");
  expect([back.code, JSON.parse(back.out)]).toEqual([
    0,
    expect.objectContaining({ store: "orders", events: 13_000, ids: 130, position: 13_000 }),
  ]);
  for (const at of [database, "back.db"]) expect(await verified(directory, at)).toEqual(before);
  const same = await convergent(directory, "verify", "--store", database, "--against", "orders.db");
  expect([same.code, same.out]).toEqual([0, expect.stringContaining("both hold the same events")]);
  for (const { out, err } of [there, back, same]) expect(out + err).not.toContain(password);

  const log = await openLog(schemas, directory, "orders");
  expect(
    await log.append({ stream: "order/2", expected: "any", events: await eventsOf(log, 201, 300), id: { scope: "caller", id: "id-2" } }),
  ).toMatchObject({
    repeated: true,
  });
}, 120_000);

/** What was appended at these positions, as it was given. */
async function eventsOf(log: Log, first: number, last: number) {
  const { events } = await log.read({ after: (first - 1) as never, limit: last - first + 1 });
  return events.map(({ type, data }) => ({ type, data: JSON.parse(data) as unknown }));
}

describe.each(pairs)("$name", ({ from, to }) => {
  test("a copy that is killed in the middle goes on when it is run again, and nothing opens it meanwhile", async () => {
    const directory = newDirectory();
    await fill(from, directory, "source", 300);
    const [source, target] = [from.at(directory, "source"), to.at(directory, "target")];
    const { child, ran } = launch(directory, ["copy", "--from", source, "--to", target]);
    while ((await copied(to, directory, "target")) === 0) expect(child.exitCode).toBeNull();
    child.kill("SIGKILL");
    await ran;
    const part = await copied(to, directory, "target");
    expect(part).toBeGreaterThan(0);
    expect(part).toBeLessThan(30_000);
    await expect(to.driver(directory, "target").open({ name: "orders" })).rejects.toMatchObject({
      code: "store_mismatch",
      message: expect.stringMatching(/unfinished copy of the store of "orders"; run the same convergent copy again/) as string,
    });
    const again = await convergent(directory, "copy", "--from", source, "--to", target, "--json");
    expect(again.code).toBe(0);
    const { events, position } = JSON.parse(again.out) as { events: number; position: number };
    expect([events, position]).toEqual([30_000 - part, 30_000]);
    expect(await verified(directory, target)).toEqual(await verified(directory, source));
  }, 120_000);

  test("beside a server that writes, a copy is not finished; with --switch the server's next write is refused, and none is lost", async () => {
    const directory = newDirectory();
    await fill(from, directory, "source", 30);
    const [source, target] = [from.at(directory, "source"), to.at(directory, "target")];
    const log = await openLog(from, directory, "source");
    const first = await convergent(directory, "copy", "--from", source, "--to", target);
    expect([first.code, first.err]).toEqual([1, expect.stringMatching(/up to position 3000 and is not finished[\s\S]*\(store_in_use\)/)]);
    const acknowledged = { count: 0, token: "", refused: undefined as unknown };
    const writing = (async () => {
      for (;;) {
        acknowledged.token = await append(log, 3, "order/live");
        acknowledged.count += 3;
      }
    })().catch((error: unknown) => (acknowledged.refused = error));
    const second = await convergent(directory, "copy", "--from", source, "--to", target, "--switch", "--json");
    await writing;
    expect([second.err, second.code]).toEqual([expect.stringContaining("takes no more writes"), 0]);
    expect(acknowledged.refused).toMatchObject({ code: "store_moved", retry: "later" });
    expect(acknowledged.count).toBeGreaterThan(0);
    expect(JSON.parse(second.out)).toMatchObject({ position: 3000 + acknowledged.count });
    expect(await verified(directory, target)).toEqual(await verified(directory, source));
    const moved = await openLog(to, directory, "target");
    expect(await moved.demand(parseToken(acknowledged.token))).toMatchObject({ position: 3000 + acknowledged.count });
    await append(moved, 1);
    await log.close();

    const late = await convergent(directory, "copy", "--from", source, "--to", target, "--cancel");
    expect([late.code, late.err]).toEqual([1, expect.stringMatching(/is finished and may have gone on[\s\S]*invalid_input/)]);
  }, 120_000);

  test("what is written to the old store past the copy is answered with token_epoch by the new one", async () => {
    const directory = newDirectory();
    await fill(from, directory, "source", 2);
    const [source, target] = [from.at(directory, "source"), to.at(directory, "target")];
    expect((await convergent(directory, "copy", "--from", source, "--to", target)).code).toBe(0);
    const old = await openLog(from, directory, "source");
    const lost = await append(old, 1);
    const log = await openLog(to, directory, "target");
    await expect(log.demand(parseToken(lost))).rejects.toMatchObject({ code: "token_epoch", details: { fork: 200 } });
  }, 60_000);

  test("a byte that was flipped in the source stops the copy before it; one in the copy is found by the comparison", async () => {
    const directory = newDirectory();
    await fill(from, directory, "source", 50);
    const [source, target] = [from.at(directory, "source"), to.at(directory, "target")];
    await from.rows(directory, "source", "UPDATE events SET data = replace(data, 'xxxx', 'xxxy') WHERE position = 4321");
    const damaged = await convergent(directory, "copy", "--from", source, "--to", target);
    expect([damaged.code, damaged.err]).toEqual([
      1,
      expect.stringMatching(/position 4321 of the source is damaged: its content does not fit its digest[\s\S]*\(store_broken\)/),
    ]);
    expect(await copied(to, directory, "target")).toBe(4000);
    await from.rows(directory, "source", "UPDATE events SET data = replace(data, 'xxxy', 'xxxx') WHERE position = 4321");
    await to.rows(directory, "target", "UPDATE events SET data = replace(data, 'xxxx', 'xxxy') WHERE position = 123");
    const differing = await convergent(directory, "copy", "--from", source, "--to", target);
    expect([differing.code, differing.err]).toEqual([1, expect.stringMatching(/differ at position 123[\s\S]*\(store_broken\)/)]);
  }, 60_000);

  test("a target that holds something else is refused and stays as it was; an empty store of the service is taken", async () => {
    const directory = newDirectory();
    await fill(from, directory, "source", 2);
    await fill(to, directory, "other", 3);
    await (await openLog(to, directory, "empty")).close();
    const stranger = await Log.open(to.driver(directory, "stranger"), "catalogue");
    await stranger.close();
    const source = from.at(directory, "source");
    const copy = (name: string) => convergent(directory, "copy", "--from", source, "--to", to.at(directory, name));
    const other = await copy("other");
    expect([other.code, other.err]).toEqual([
      1,
      expect.stringMatching(/holds 300 events of orders and is no unfinished copy[\s\S]*\(invalid_input\)/),
    ]);
    expect(await copied(to, directory, "other")).toBe(300);
    expect((await copy("stranger")).err).toMatch(/belongs to "catalogue", and the source is the store of "orders"\n\(store_mismatch\)/);
    expect((await copy("empty")).code).toBe(0);
    expect((await copy("empty")).err).toMatch(/holds 200 events of orders/);
    expect((await convergent(directory, "copy", "--from", from.at(directory, "missing"), "--to", to.at(directory, "new"))).err).toMatch(
      /\(not_found\)/,
    );
  }, 60_000);

  test("a switch that was killed before it was finished is taken back by --cancel", async () => {
    const directory = newDirectory();
    await fill(from, directory, "source", 2);
    const [source, target] = [from.at(directory, "source"), to.at(directory, "target")];
    // What a run leaves that is killed right after it closed the source.
    const store = await from.driver(directory, "source").open({ name: "orders" });
    await store.write((tx) => tx.saveMove("elsewhere"));
    await store.close();
    const log = await openLog(from, directory, "source");
    await expect(append(log, 1)).rejects.toMatchObject({ code: "store_moved" });
    const taken = await convergent(directory, "copy", "--from", source, "--to", target, "--cancel");
    expect([taken.code, taken.out]).toEqual([0, expect.stringContaining("takes writes again")]);
    await append(log, 1);
  }, 60_000);
});

test("a copy whose connection is lost says so without a password, and goes on when it is run again", async () => {
  const directory = newDirectory();
  await fill(files, directory, "orders", 300);
  const proxy = await TcpProxy.open(Number(new URL(testDatabase()).port || 5432));
  const target = addressAt(schemaOf(directory, "target"), proxy.port);
  const run = launch(directory, ["copy", "--from", "orders.db", "--to", target]);
  while ((await copied(schemas, directory, "target")) === 0) expect(run.child.exitCode).toBeNull();
  proxy.way = { kind: "reset" };
  const lost = await run.ran;
  expect([lost.code, lost.err]).toEqual([1, expect.stringMatching(/\((?:unavailable|outcome_unknown)\)/)]);
  expect(lost.out + lost.err).not.toContain(password);
  proxy.way = { kind: "pass" };
  const part = await copied(schemas, directory, "target");
  const again = await convergent(directory, "copy", "--from", "orders.db", "--to", target, "--json");
  expect([again.code, JSON.parse(again.out)]).toEqual([0, expect.objectContaining({ events: 30_000 - part, position: 30_000 })]);
  await proxy.close();
}, 120_000);
