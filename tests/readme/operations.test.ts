// The page for operators: its blocks run one after another on a store, and every command there is stands on it.
import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { command, entity, inProcess, Log, reaction, service } from "convergent";
import { sqlite } from "convergent/sqlite";
import { expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { testDatabase } from "../contracts/stores/store-kinds.ts";

const root = join(import.meta.dirname, "../..");
const page = readFileSync(join(root, "docs/operations.md"), "utf8");
const blocks = [...page.matchAll(/^```sh\n([\s\S]*?)^```/gm)].map((match) => match[1] as string);
const main = join(root, "packages/server/src/cli/main.ts");

/** The database that the page names. */
const pageDatabase = "postgres://orders@db.internal/orders?schema=orders";

const Placed = z.object({ by: z.string() });
const order = entity("order", { initial: () => 0, events: { placed: Placed, shipped: Placed } })
  .evolve({ placed: () => 1, shipped: () => 2 })
  .commands({});
const stock = entity("stock", { initial: () => 0, events: { reserved: Placed } })
  .evolve({ reserved: (count) => count + 1 })
  .commands({ reserve: command(Placed, (_, input, emit) => emit.reserved(input)) });
const reserveStock = reaction("reserve-stock", { from: [order], to: { stock } }).on({
  "order.placed": (event, { commands }) => commands.stock("tea").reserve(event.data),
});

/** The module that the page names: the service with a saga. */
const ordersModule = `import { entity, saga, service } from "convergent";
import { z } from "zod";
const Placed = z.object({ by: z.string() });
const order = entity("order", { initial: () => 0, events: { placed: Placed, shipped: Placed } })
  .evolve({ placed: () => 1, shipped: () => 2 })
  .commands({});
const amendOrder = saga("amend-order", { input: z.object({}) }, async (s) => s.step("capture", () => "captured"));
export const orders = service("orders", { parts: { order, amendOrder } });
`;

/** Another service, whose reaction has reacted to the orders there are. */
async function letInventoryFollow(directory: string): Promise<void> {
  const orders = await service("orders", { parts: { order } }).start({ store: sqlite(join(directory, "data/orders.db")) });
  const inventory = await service("inventory", { parts: { stock, reserveStock } }).start({
    store: sqlite(join(directory, "data/inventory.db")),
    channels: [inProcess(orders)],
  });
  await expect.poll(async () => (await inventory.stock.state("tea").catch(() => undefined))?.state, { timeout: 20_000 }).toBe(2);
  await inventory.stop();
  await orders.stop();
}

test("the blocks of the page run in its order on one store", async () => {
  const directory = mkdtempSync(join(tmpdir(), "convergent-page-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const log = await Log.open(sqlite(join(directory, "data/orders.db")), "orders");
  for (const [stream, type] of [
    ["order/1", "order.placed"],
    ["order/2", "order.placed"],
    ["order/1", "order.shipped"],
  ] as const)
    await log.append({ stream, expected: "any", events: [{ type, data: { by: "ada" } }], id: { scope: "page", id: `${stream} ${type}` } });
  await log.close();
  await letInventoryFollow(directory);
  const command = join(directory, "convergent");
  writeFileSync(command, `#!/bin/sh\nexec "${process.execPath}" --conditions=convergent-source "${main}" "$@"\n`);
  chmodSync(command, 0o755);
  writeFileSync(join(directory, "orders.ts"), ordersModule);
  symlinkSync(join(root, "node_modules"), join(directory, "node_modules"));
  expect(blocks.length).toBeGreaterThan(5);
  for (const block of blocks) {
    const here = block.replaceAll(pageDatabase, `${testDatabase()}?schema=${basename(directory)}`);
    const ran = spawnSync("sh", ["-e", "-c", here], {
      cwd: directory,
      encoding: "utf8",
      env: { ...process.env, PATH: `${directory}:${process.env["PATH"]}` },
    });
    expect([block, ran.status, ran.stderr]).toEqual([block, 0, expect.not.stringMatching(/^convergent: /m)]);
  }
}, 180_000);

test("every command that looks after a store is on the page", () => {
  const source = readFileSync(join(root, "packages/server/src/cli/maintenance.ts"), "utf8");
  const names = [...source.matchAll(/\.command\("([a-z]+)"\)/g)].map((match) => match[1] as string);
  expect(names.toSorted()).toEqual(["archive", "backup", "copy", "export", "import", "migrate", "restore", "verify"]);
  for (const name of names) expect(page).toContain(`convergent ${name} `);
});
