// Personal data: readable until its person is forgotten, then found nowhere, in no file and no answer, while the log stays as it was.
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { accepted, eventDigest, type Host, Log, query, runtimeOf, service, type StoredEvent, type StoreDriver, view } from "convergent";
import { memory } from "convergent/memory";
import { nodeHost } from "convergent/node";
import { sqlite } from "convergent/sqlite";
import { describe, expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { contacts, customer, type Customers, customers, everybody, registered, secrets } from "./customers.ts";

interface Kind {
  readonly name: string;
  driver(): { readonly driver: StoreDriver; readonly place: string | undefined };
}

const kinds: readonly Kind[] = [
  { name: "memory", driver: () => ({ driver: memory(), place: undefined }) },
  {
    name: "sqlite",
    driver: () => {
      const place = mkdtempSync(join(tmpdir(), "convergent-persons-"));
      onTestFinished(() => rmSync(place, { recursive: true, force: true }));
      return { driver: sqlite(join(place, "store.db")), place };
    },
  },
];

async function started(driver: StoreDriver): Promise<Customers> {
  const running = await customers.start({ store: driver });
  onTestFinished(() => running.stop());
  return running;
}

function eventsOf(running: Customers): Promise<StoredEvent[]> {
  return runtimeOf(running).log.snapshot((tx) => tx.events({ after: 0 as never, upTo: 1000 as never, limit: 1000 }));
}

/** Which of the secrets the files of a directory hold. */
function found(place: string): string[] {
  return readdirSync(place).flatMap((file) => {
    const bytes = readFileSync(join(place, file));
    return secrets.filter((secret) => bytes.includes(secret)).map((secret) => `${file}: ${secret}`);
  });
}

describe.each(kinds)("$name", (kind) => {
  test("sealed fields are read as they were written, by states, views, answers and the audit trail, and not in the log", async () => {
    const { driver } = kind.driver();
    const running = await started(driver);
    await registered(running);
    expect((await running.customer.state("ada")).state).toEqual({ name: secrets[0], street: secrets[3], notes: 2 });
    expect((await running.contacts.get("ada")).value).toEqual({ name: secrets[0], street: secrets[3], notes: 2 });
    expect((await running.customer.events("ada"))[0]?.data).toMatchObject({ name: secrets[0], birthday: secrets[2] });
    const stored = await eventsOf(running);
    for (const secret of secrets) expect(JSON.stringify(stored)).not.toContain(secret);
    expect(JSON.parse(stored[0]?.data ?? "")).toMatchObject({ customer: "ada" });
    await running.stop();
    const again = await started(driver);
    expect((await again.customer.state("ada")).state).toEqual({ name: secrets[0], street: secrets[3], notes: 2 });
  });

  test("a forgotten person is in no answer any more, everybody else is, and the log is byte for byte what it was", async () => {
    const { driver, place } = kind.driver();
    const running = await started(driver);
    await registered(running);
    const before = await eventsOf(running);
    const forgotten = await running.forget("ada", { reason: "she asked", actor: "clerk" });
    expect(forgotten.repeated).toBe(false);
    expect((await running.customer.state("ada")).state).toEqual({ name: "forgotten", street: "forgotten", notes: 2 });
    expect((await running.customer.state("ada", { version: 1 })).state).toEqual({ name: "forgotten", street: "forgotten", notes: 0 });
    expect(await running.contacts.get("ada", { after: forgotten.token })).toMatchObject({
      value: { name: "forgotten", street: "forgotten", notes: 2 },
      fresh: true,
    });
    expect((await running.contacts.find({ name: secrets[0] ?? "" })).value).toEqual([]);
    expect((await running.contacts.find({ name: "forgotten" })).value).toHaveLength(1);
    expect((await running.contacts.get("bob")).value).toEqual({ name: "Bob", street: "Main Street", notes: 0 });
    expect((await running.everybody.get("all")).value).toEqual({ names: ["forgotten", "Bob"] });
    expect((await running.customer.events("ada"))[0]?.data).toEqual({
      customer: "ada",
      name: "forgotten",
      address: { street: "forgotten" },
      birthday: null,
    });
    const after = await eventsOf(running);
    expect(after.slice(0, before.length)).toEqual(before);
    for (const event of after) expect(event.digest).toBe(eventDigest(event));
    expect(after.at(-1)).toMatchObject({ type: "$person.forgotten", data: '{"reason":"she asked"}', metadata: '{"actor":"clerk"}' });
    expect(after.at(-1)?.stream).toBe(`$person/${forgotten.pseudonym}`);
    expect(forgotten.pseudonym).not.toContain("ada");
    if (place) expect(found(place)).toEqual([]);
    await running.stop();
    if (place) expect(found(place)).toEqual([]);
    const again = await started(driver);
    expect((await again.customer.state("ada")).state).toEqual({ name: "forgotten", street: "forgotten", notes: 2 });
  });

  test("before anybody is forgotten the search for plaintext does find it where it is allowed to be", async () => {
    const { driver, place } = kind.driver();
    const running = await started(driver);
    await registered(running);
    await running.stop();
    if (place) expect(found(place)).not.toEqual([]);
    const log = await Log.open(driver, "customers");
    onTestFinished(() => log.close());
    expect(await log.snapshot((tx) => tx.snapshots.of("customer/ada", 1))).toMatchObject({
      state: expect.stringContaining(secrets[0] ?? "?"),
    });
  });

  test("forgetting again answers with the first time, and nothing more is kept of the person", async () => {
    const running = await started(kind.driver().driver);
    await registered(running);
    const first = await running.forget("ada", { reason: "she asked" });
    const second = await running.forget("ada", { reason: "again" });
    expect(second).toMatchObject({ pseudonym: first.pseudonym, repeated: true });
    expect(String(second.token)).toBe(String(first.token));
    await expect(running.customer("ada").move({ customer: "ada", address: { street: "here" } })).rejects.toMatchObject({
      code: "person_forgotten",
    });
    accepted(await running.customer("ada").note({ note: "about no person" }));
    accepted(await running.customer("bob").move({ customer: "bob", address: { street: "Side Street" } }));
  });

  test("a person of whom nothing was ever sealed is forgotten by force only, and then nothing is sealed", async () => {
    const running = await started(kind.driver().driver);
    await registered(running);
    const before = await eventsOf(running);
    await expect(running.forget("eve", { reason: "in advance" })).rejects.toMatchObject({
      code: "not_found",
      message: expect.stringContaining('no data of "eve" was ever sealed') as string,
    });
    expect(await eventsOf(running)).toEqual(before);
    expect((await running.forget("eve", { reason: "in advance", force: true })).repeated).toBe(false);
    expect((await running.forget("eve", { reason: "again" })).repeated).toBe(true);
    const eve = { customer: "eve", name: "Eve", address: { street: "x" }, birthday: null };
    await expect(running.customer("eve").register(eve)).rejects.toMatchObject({ code: "person_forgotten" });
    await expect(running.customer.state("eve")).rejects.toMatchObject({ code: "entity_not_found" });
  });

  test("a view that is built after the forgetting equals one that was there before", async () => {
    const { driver } = kind.driver();
    const running = await started(driver);
    await registered(running);
    await running.forget("ada", { reason: "she asked" });
    const before = [(await running.contacts.find({})).value, (await running.everybody.get("all")).value];
    await running.stop();
    const log = await Log.open(driver, "customers");
    await log.transact(async (tx) => {
      await tx.dropView("contacts");
      await tx.dropView("everybody");
    });
    await log.close();
    const again = await started(driver);
    const head = (await runtimeOf(again).log.head()).position;
    await runtimeOf(again).waitFor(await runtimeOf(again).log.tokenAt(head), 20_000);
    expect([(await again.contacts.find({})).value, (await again.everybody.get("all")).value]).toEqual(before);
  });
});

test("keys lie beside the store in a file that only its owner reads, and without them the store reads as forgotten", async () => {
  const [, kind] = kinds;
  const { driver, place = "" } = (kind as Kind).driver();
  const running = await started(driver);
  expect(readdirSync(place)).not.toContain("store.db-keys");
  await registered(running);
  await running.stop();
  const keys = join(place, "store.db-keys");
  expect(statSync(keys).mode & 0o777).toBe(0o600);
  rmSync(keys);
  const robbed = await started(driver);
  expect((await robbed.customer.state("ada", { version: 1 })).state).toMatchObject({ name: "forgotten" });
});

test("another process that holds a person in memory holds nothing of them once they are forgotten", async () => {
  const [, kind] = kinds;
  const { place = "" } = (kind as Kind).driver();
  const one = await started(sqlite(join(place, "store.db")));
  await registered(one);
  const other = await started(sqlite(join(place, "store.db")));
  expect((await other.customer.state("ada")).state).toMatchObject({ name: secrets[0] });
  await one.forget("ada", { reason: "she asked" });
  expect((await other.customer.state("ada")).state).toMatchObject({ name: "forgotten" });
  expect(accepted(await other.customer("ada").note({ note: "more" })).state).toEqual({ name: "forgotten", street: "forgotten", notes: 3 });
});

test("while a person is being forgotten another process does not take them out of a snapshot, and keeps nothing of them", async () => {
  const [, kind] = kinds;
  const { place = "" } = (kind as Kind).driver();
  const host: Host = { ...nodeHost(), reached: (point) => (point === "forget.destroyed" ? fail() : undefined) };
  const fail = (): never => {
    throw new Error("it got no further");
  };
  const one = await started(sqlite(join(place, "store.db"), { host }));
  await registered(one);
  const other = await started(sqlite(join(place, "store.db")));
  await runtimeOf(one).entities.get("customer")?.settled();
  await expect(one.forget("ada", { reason: "she asked" })).rejects.toThrow("it got no further");
  expect((await other.customer.state("ada")).state).toEqual({ name: "forgotten", street: "forgotten", notes: 2 });
  await other.forget("ada", { reason: "she asked" });
  accepted(await other.customer("ada").note({ note: "third" }));
  await runtimeOf(other).entities.get("customer")?.settled();
  for (const running of [one, other]) await running.stop();
  expect(found(place)).toEqual([]);
});

test("an older copy of the keys brings no forgotten person back", async () => {
  const [, kind] = kinds;
  const { driver, place = "" } = (kind as Kind).driver();
  const keys = join(place, "store.db-keys");
  const running = await started(driver);
  await registered(running);
  copyFileSync(keys, `${keys}.copy`);
  await running.forget("ada", { reason: "she asked" });
  await running.stop();
  renameSync(`${keys}.copy`, keys);
  const again = await started(driver);
  expect((await again.customer.state("ada", { version: 1 })).state).toMatchObject({ name: "forgotten" });
  expect((await again.customer.events("ada"))[0]?.data).toMatchObject({ name: "forgotten" });
  expect((await again.customer.state("bob")).state).toMatchObject({ name: "Bob" });
});

test("what a reader elsewhere keeps in the WAL for now is gone soon after it ends", async () => {
  const [, kind] = kinds;
  const { driver, place = "" } = (kind as Kind).driver();
  const running = await started(driver);
  await registered(running);
  const reader = new DatabaseSync(join(place, "store.db"));
  reader.exec("BEGIN; SELECT count(*) FROM convergent_documents");
  await running.forget("ada", { reason: "she asked" });
  expect(found(place)).not.toEqual([]);
  reader.close();
  await expect.poll(() => found(place), { timeout: 20_000 }).toEqual([]);
});

test("what went wrong with an event of a forgotten person is told no more, in its parked form and as a discard", async () => {
  const [, kind] = kinds;
  const { driver, place = "" } = (kind as Kind).driver();
  const refusing = view("refusing", { from: [customer], document: z.object({}), key: ({ entityId }) => entityId }).on({
    "customer.registered": (_, { data }) => {
      throw new Error(`there is no room for ${data.name}`);
    },
  });
  const running = await service("customers", { parts: { customer, contacts, everybody, refusing } }).start({ store: driver });
  onTestFinished(() => running.stop());
  const [name = "", street = ""] = secrets;
  const ada = { customer: "ada", name, address: { street }, birthday: null };
  for (const [id, data] of [
    ["ada", ada],
    ["lovelace", ada],
    ["bob", { ...ada, customer: "bob", name: "Bob", address: { street: "Main Street" } }],
  ] as const)
    accepted(await running.customer(id).register(data));
  const { log } = runtimeOf(running);
  const errors = (): Promise<string[]> =>
    log.snapshot(async (tx) => [...(await tx.parking.keys()), ...(await tx.parking.discards())].map(({ error }) => error).sort());
  await expect.poll(errors, { timeout: 20_000 }).toHaveLength(3);
  await expect
    .poll(async () => (await log.snapshot((tx) => tx.parking.keys())).every(({ state }) => state === "parked"), { timeout: 20_000 })
    .toBe(true);
  await runtimeOf(running).discard({ reader: "refusing", key: "lovelace" }, { reason: "there is nothing to place", by: "clerk" });
  await expect.poll(() => log.snapshot((tx) => tx.parking.discarded()), { timeout: 20_000 }).toBe(1);
  expect(await errors()).toEqual([name, name, "Bob"].map((each) => expect.stringContaining(each) as string));
  await running.forget("ada", { reason: "she asked" });
  expect(await errors()).toEqual(["there is no room for Bob", expect.stringMatching(/^withheld/), expect.stringMatching(/^withheld/)]);
  expect(found(place)).toEqual([]);
});

test("a view with tables of its own is built again without the person", async () => {
  const [, kind] = kinds;
  const { driver, place = "" } = (kind as Kind).driver();
  const streets = view
    .sql("streets", { from: [customer], tables: { streets: "street TEXT PRIMARY KEY, people INTEGER NOT NULL" } })
    .on({
      "customer.registered": ({ data }, sql) =>
        sql.run("INSERT INTO {streets} VALUES (?, 1) ON CONFLICT (street) DO UPDATE SET people = people + 1", data.address.street),
    })
    .queries({ all: query(z.object({}), (sql) => sql.all("SELECT street FROM {streets} ORDER BY street")) });
  const running = await service("customers", { parts: { customer, contacts, everybody, streets } }).start({ store: driver });
  onTestFinished(() => running.stop());
  await registered(running);
  expect((await running.streets.query.all({}, { strong: true, wait: "20s" })).value).toEqual([
    { street: secrets[1] },
    { street: "Main Street" },
  ]);
  const { token } = await running.forget("ada", { reason: "she asked" });
  const without = { value: [{ street: "Main Street" }, { street: "forgotten" }] };
  expect(await running.streets.query.all({})).toMatchObject(without);
  expect(await running.streets.query.all({}, { after: token })).toMatchObject({ ...without, fresh: true });
  await running.stop();
  expect(found(place)).toEqual([]);
});

test("a store with a journal refuses events with personal data", async () => {
  const place = mkdtempSync(join(tmpdir(), "convergent-persons-"));
  onTestFinished(() => rmSync(place, { recursive: true, force: true }));
  await expect(customers.start({ store: memory({ directory: place }) })).rejects.toMatchObject({ code: "definition_invalid" });
});
