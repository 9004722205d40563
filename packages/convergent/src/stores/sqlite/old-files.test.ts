// A store file as the release with tables of version 1 wrote it: a view, a reaction's checkpoint, remembered ids, a voided id. It
// opens, is brought up to date in one transaction, and reads as it did.
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { command, entity, reject } from "../../entities/entity.ts";
import { Log } from "../../log/log.ts";
import { position } from "../../position/position.ts";
import { reaction } from "../../reactions/reaction.ts";
import { service } from "../../service/service.ts";
import { verifyStore } from "../../transfer/verify.ts";
import { view } from "../../views/view.ts";
import { sqlite } from "./index.ts";
import { schemaVersion } from "./schema.ts";

const fixture = join(import.meta.dirname, "../../../../../tests/contracts/stores/fixtures/orders-version-1.db");

function oldFile(): string {
  const directory = mkdtempSync(join(tmpdir(), "convergent-old-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  copyFileSync(fixture, join(directory, "orders.db"));
  return join(directory, "orders.db");
}

function query(file: string, sql: string): unknown[] {
  const database = new DatabaseSync(file);
  try {
    return database.prepare(sql).all();
  } finally {
    database.close();
  }
}

const whole = { after: position(0), upTo: position(5), limit: 100 };

/** What the release that wrote the file had in it. */
async function checkContents(file: string): Promise<void> {
  const log = await Log.open(sqlite(file), "orders");
  const events = await log.snapshot((tx) => tx.events(whole));
  expect(events.map(({ stream, version, type }) => `${stream}@${version} ${type}`)).toEqual([
    "order/o-1@1 order.placed",
    "stock/tea@1 stock.reserved",
    "order/o-2@1 order.placed",
    "order/o-1@2 order.amended",
    "stock/tea@2 stock.reserved",
  ]);
  expect(events[3]).toMatchObject({ data: '{"note":"ö 😀"}', digest: "yGTUDTOG-FXOWPdIxYaU0j4TeX0PQSLfPmHt9K3XMzA" });
  expect(await log.snapshot((tx) => tx.documents("order-summary", 1, ["o-1", "o-2"]))).toEqual([
    '{"customer":"ada"}',
    '{"customer":"grace"}',
  ]);
  const checkpoints = await log.snapshot((tx) => tx.checkpoints({ reader: "reserve-stock", version: 1, source: "orders" }));
  expect(checkpoints.map((row) => row.position)).toEqual(Array.from({ length: 16 }, () => 5));
  const ids = [
    { scope: "", id: "place-o-2" },
    { scope: "caller", id: "never" },
  ];
  expect(await log.snapshot((tx) => tx.ids(ids))).toMatchObject([
    { state: "done", stream: "order/o-2", firstVersion: 1, lastVersion: 1, position: 3 },
    { state: "void", position: 5 },
  ]);
  expect(await log.eventTypes()).toEqual(["order.placed", "stock.reserved", "order.amended"]);
  await log.close();
  const store = await sqlite(file).open({ name: "orders" });
  expect(await verifyStore(store)).toMatchObject({ events: 5, ids: 4, problems: [] });
  await store.close();
}

test("a file of version 1 is brought up to date when it is opened, and reads as it did", async () => {
  const file = oldFile();
  expect(query(file, "SELECT schema_version AS v FROM convergent_store")).toEqual([{ v: 1 }]);
  await checkContents(file);
  expect(query(file, "SELECT schema_version AS v FROM convergent_store")).toEqual([{ v: schemaVersion }]);
  await checkContents(file);
});

test("an older file and a new one have the same tables", async () => {
  const file = oldFile();
  const made = `${file}-made`;
  for (const path of [file, made]) await (await sqlite(path).open({ name: "orders" })).close();
  const columns = `SELECT m.name AS holder, c.name, c.type, c."notnull", c.pk FROM sqlite_schema m, pragma_table_info(m.name) c ORDER BY 1, 2`;
  expect(query(file, columns)).toEqual(query(made, columns));
});

test("a process killed while it brings a file up to date leaves the old file, which the next one brings up to date", async () => {
  const file = oldFile();
  const dying = `
    const { DatabaseSync } = await import("node:sqlite");
    const { migrations } = await import(${JSON.stringify(join(import.meta.dirname, "schema.ts"))});
    const database = new DatabaseSync(${JSON.stringify(file)});
    database.exec("PRAGMA cache_size = 1; BEGIN IMMEDIATE");
    for (const { script } of migrations) database.exec(script);
    database.exec("UPDATE convergent_store SET schema_version = ${schemaVersion}");
    process.kill(process.pid, "SIGKILL");`;
  const { signal } = spawnSync(process.execPath, ["--conditions=convergent-source", "--input-type=module", "-e", dying]);
  expect(signal).toBe("SIGKILL");
  expect(query(file, "SELECT schema_version AS v FROM convergent_store")).toEqual([{ v: 1 }]);
  await checkContents(file);
});

test("the service that wrote a file of version 1 goes on where it was: nothing is applied again and ids are remembered", async () => {
  const order = entity("order", {
    initial: () => ({ placed: false }),
    events: { placed: z.object({ customer: z.string() }), amended: z.object({ note: z.string() }) },
  })
    .evolve({ placed: () => ({ placed: true }), amended: (state) => state })
    .commands({
      place: command(z.object({ customer: z.string() }), (state, input, emit) =>
        state.placed ? reject("already placed") : emit.placed(input),
      ),
    });
  const summary = view("order-summary", {
    from: [order],
    document: z.object({ customer: z.string() }),
    key: (event) => event.entityId,
    indexes: ["customer"],
  }).on({ "order.placed": (_, event) => ({ customer: event.data.customer }) });
  const stock = entity("stock", { initial: () => ({ reserved: 0 }), events: { reserved: z.object({ order: z.string() }) } })
    .evolve({ reserved: (state) => ({ reserved: state.reserved + 1 }) })
    .commands({ reserve: command(z.object({ order: z.string() }), (_, input, emit) => emit.reserved(input)) });
  const reserve = reaction("reserve-stock", { from: [order], to: { stock } }).on({
    "order.placed": (event, { commands }) => [commands.stock("tea").reserve({ order: event.entityId })],
  });
  const orders = await service("orders", { parts: { order, summary, stock, reserve } }).start({ store: sqlite(oldFile()) });
  onTestFinished(() => orders.stop());
  const again = await orders.order("o-1").place({ customer: "ada" }, { id: "place-o-1", expected: "none" });
  expect(again).toMatchObject({ kind: "accepted", repeated: true });
  const placed = await orders.order("o-3").place({ customer: "ada" });
  if (placed.kind !== "accepted") throw new Error("not accepted");
  const found = await orders.summary.find({ customer: "ada" }, { after: String(placed.token), wait: "10s" });
  expect(found.value.map((hit) => hit.key)).toEqual(["o-1", "o-3"]);
  await expect.poll(async () => (await orders.stock.state("tea")).state, { timeout: 10_000 }).toEqual({ reserved: 3 });
});
