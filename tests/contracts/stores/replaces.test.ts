// A definition that replaces one which replaces another: a release was skipped, and the oldest version answers until the newest is built.
import { accepted, command, entity, event, query, runtimeOf, service, type StoreDriver, view } from "convergent";
import { memory } from "convergent/memory";
import { sqlite } from "convergent/sqlite";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { newPlace, storeKinds } from "./store-kinds.ts";

const Added = z.object({ n: z.number(), by: z.string() });
const thing = entity("thing", {
  initial: () => 0,
  events: { added: event(Added, { personal: { person: ({ by }) => by, fields: { by: "forgotten" } } }) },
})
  .evolve({ added: (count) => count + 1 })
  .commands({ add: command(Added, (_, input, emit) => emit.added(input)) });

const held = { is: true };
const key = (at: { readonly entityId: string }): string => {
  if (held.is) throw new Error("held by the test");
  return at.entityId;
};

function sums1() {
  return view("sums", {
    version: 1,
    from: [thing],
    document: z.object({ sum: z.number(), by: z.string() }),
    key: (at) => at.entityId,
    indexes: ["sum"],
  }).on({ "thing.added": (document, { data }) => ({ sum: (document?.sum ?? 0) + data.n, by: data.by }) });
}

function sums2() {
  return view("sums", {
    version: 2,
    from: [thing],
    document: z.object({ total: z.number(), by: z.string() }),
    key,
    replaces: { view: sums1(), as: ({ sum, by }) => (sum === 13 ? undefined : { total: sum, by }) },
  }).on({ "thing.added": (document, { data }) => ({ total: (document?.total ?? 0) + data.n, by: data.by }) });
}

function sums3() {
  return view("sums", {
    version: 3,
    from: [thing],
    document: z.object({ total: z.number(), note: z.string() }),
    key,
    indexes: ["total"],
    replaces: { view: sums2(), as: ({ total, by }) => ({ total, note: `by ${by}` }) },
  }).on({ "thing.added": (document, { data }) => ({ total: (document?.total ?? 0) + data.n, note: `by ${data.by}` }) });
}

function parts<View>(sums: View) {
  return { thing, sums };
}

async function start(store: StoreDriver) {
  const running = await service("things", { parts: parts(sums3()) }).start({ store });
  onTestFinished(() => running.stop());
  return running;
}

/** A store with rows of version 1 only. */
async function seeded(store: StoreDriver): Promise<void> {
  const running = await service("things", { parts: parts(sums1()) }).start({ store });
  await running.thing("a").add({ n: 1, by: "ada" });
  expect(await running.waitFor(accepted(await running.thing("b").add({ n: 13, by: "bob" })).token)).toBe(true);
  await running.stop();
}

describe.each([
  ["memory", () => memory()],
  ["sqlite", () => sqlite(join(newPlace(), "things.db"))],
] as const)("%s", (_, open) => {
  test("the version before the one before answers, current and in the newest form, until the newest is built", async () => {
    const store = open();
    held.is = true;
    await seeded(store);
    const running = await start(store);
    const { token } = accepted(await running.thing("a").add({ n: 5, by: "eve" }));
    const options = { after: token, wait: "10s" } as const;
    expect(await running.sums.get("a", options)).toMatchObject({ value: { total: 6, note: "by eve" }, fresh: true });
    expect(await running.sums.get("b", options)).toMatchObject({ value: undefined, fresh: true });
    await expect(running.sums.find({ total: 6 }, options)).rejects.toMatchObject({ code: "rebuilding" });
    const { rebuild } = runtimeOf(running).view("sums");
    expect([rebuild.state, rebuild.older?.version, rebuild.previous?.version]).toEqual(["building", 1, 1]);
    held.is = false;
    await expect.poll(() => rebuild.state, { timeout: 10_000 }).toBe("active");
    expect(await running.sums.get("a", { strong: true })).toMatchObject({ value: { total: 6, note: "by eve" }, fresh: true });
  });

  test("a person is forgotten in the rows of that version, too", async () => {
    const store = open();
    held.is = true;
    await seeded(store);
    const running = await start(store);
    // The newest version cannot follow while it is held.
    await running.forget("ada", { reason: "asked for", actor: "test", wait: "50ms" });
    const stored = (): Promise<unknown> => runtimeOf(running).log.snapshot((tx) => tx.documents("sums", 1, ["a"]));
    await expect.poll(stored, { timeout: 10_000 }).toEqual([JSON.stringify({ sum: 1, by: "forgotten" })]);
  });
});

test("a view with tables answers by the queries of the version that is there", async () => {
  const store = storeKinds.find(({ name }) => name === "sqlite")!.driver(newPlace());
  held.is = true;
  const from = [thing] as const;
  const one = view
    .sql("totals", { version: 1, from, tables: { totals: "n INTEGER NOT NULL" } })
    .on({ "thing.added": ({ data }, sql) => sql.run("INSERT INTO {totals} (n) VALUES (?)", data.n) })
    .queries({ total: query(z.object({}), (sql) => sql.all("SELECT sum(n) AS total FROM {totals}")) });
  const later = (version: number, replaced: typeof one) =>
    view
      .sql("totals", {
        version,
        from,
        tables: { numbers: "n INTEGER NOT NULL" },
        key: () => key({ entityId: "all" }),
        replaces: { view: replaced },
      })
      .on({ "thing.added": ({ data }, sql) => sql.run("INSERT INTO {numbers} (n) VALUES (?)", data.n) })
      .queries({ total: query(z.object({}), (sql) => sql.all("SELECT sum(n) AS total FROM {numbers}")) });
  const first = await service("things", { parts: { thing, totals: one } }).start({ store });
  await first.thing("a").add({ n: 1, by: "ada" });
  await first.stop();
  const running = await service("things", { parts: { thing, totals: later(3, later(2, one)) } }).start({ store });
  onTestFinished(() => running.stop());
  const { token } = accepted(await running.thing("a").add({ n: 5, by: "eve" }));
  expect(await running.totals.query.total({}, { after: token, wait: "10s" })).toMatchObject({ value: [{ total: 6 }], fresh: true });
});
