// After a restore of one service, a reaction of another one that had gone further is let go on by command.
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { accepted, command, entity, inProcess, reaction, type Running, service } from "convergent";
import { sqlite } from "convergent/sqlite";
import { expect, onTestFinished, test } from "vitest";
import { z } from "zod";

const main = join(import.meta.dirname, "main.ts");

const order = entity("order", { initial: () => 0, events: { placed: z.object({ product: z.string() }) } })
  .evolve({ placed: (count) => count + 1 })
  .commands({ place: command(z.object({ product: z.string() }), (_, input, emit) => emit.placed(input)) });
const stock = entity("stock", { initial: () => [] as string[], events: { reserved: z.object({ order: z.string() }) } })
  .evolve({ reserved: (orders, data) => [...orders, data.order] })
  .commands({ reserve: command(z.object({ order: z.string() }), (_, input, emit) => emit.reserved(input)) });
const reserve = reaction("reserve-stock", { from: [order], to: { stock } }).on({
  "order.placed": (event, { commands }) => commands.stock(event.data.product).reserve({ order: event.entityId }),
});
const orders = service("orders", { parts: { order } });
const inventory = service("inventory", { parts: { stock, reserve } });

function convergent(directory: string, ...args: readonly string[]): Promise<{ readonly said: string; readonly failed: boolean }> {
  return new Promise((done) =>
    execFile(process.execPath, ["--conditions=convergent-source", main, ...args], { cwd: directory }, (error, out, complaint) =>
      done({ said: out + complaint, failed: error !== null }),
    ),
  );
}

async function running(directory: string) {
  const stuck: string[] = [];
  const source = await orders.start({ store: sqlite(join(directory, "orders.db")) });
  const follower = await inventory.start({
    store: sqlite(join(directory, "inventory.db")),
    channels: [inProcess(source)],
    onStuck: ({ message }) => stuck.push(message),
  });
  const stop = async (): Promise<void> => {
    for (const each of [follower, source] satisfies Running[]) await each.stop();
  };
  onTestFinished(stop);
  const place = async (...ids: readonly string[]): Promise<void> => {
    for (const id of ids) accepted(await source.order(id).place({ product: "tea" }));
  };
  const reserved = async (): Promise<readonly string[]> => (await follower.stock.state("tea").catch(() => undefined))?.state ?? [];
  return { stuck, stop, place, reserved };
}

test("a reaction that had gone past a restore is stuck until it is continued; then it goes on at the fork, and nothing is caused twice", async () => {
  const directory = mkdtempSync(join(tmpdir(), "convergent-cli-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const slow = { timeout: 20_000 };
  const first = await running(directory);
  await first.place("o-1", "o-2");
  expect((await convergent(directory, "backup", "--store", "orders.db", "--to", "copy.db")).failed).toBe(false);
  await first.place("lost-1", "lost-2", "lost-3");
  await expect.poll(() => first.reserved(), slow).toHaveLength(5);
  const args = ["reader", "continue", "reserve-stock", "--store", "inventory.db", "--yes"];
  const early = await convergent(directory, ...args);
  expect([early.failed, early.said]).toEqual([true, expect.stringMatching(/inventory\.db open; stop its server[^]*\(store_in_use\)/)]);
  await first.stop();
  expect((await convergent(directory, ...args)).said).toMatch(/only what is in the present history of orders; nothing was changed/);
  expect((await convergent(directory, "restore", "--from", "copy.db", "--to", "orders.db", "--force")).failed).toBe(false);

  const second = await running(directory);
  await second.place("o-3");
  await expect.poll(() => second.stuck, slow).not.toEqual([]);
  expect(second.stuck[0]).toContain("convergent reader continue reserve-stock --store FILE");
  await second.stop();
  const { said, failed } = await convergent(directory, ...args);
  expect([failed, said]).toEqual([
    false,
    expect.stringMatching(/goes on behind position 2 of orders; it had applied up to 5[^]*stays in inventory/),
  ]);

  const third = await running(directory);
  const all = ["o-1", "o-2", "lost-1", "lost-2", "lost-3", "o-3"];
  await expect.poll(() => third.reserved(), slow).toEqual(all);
  await third.stop();
  expect((await convergent(directory, ...args, "--from", "0")).said).toMatch(/goes on behind position 0/);
  const fourth = await running(directory);
  await fourth.place("o-4");
  await expect.poll(() => fourth.reserved(), slow).toEqual([...all, "o-4"]);
  await fourth.stop();
  expect((await convergent(directory, ...args, "--from", "99")).said).toMatch(/orders ends at position 4/);
  expect((await convergent(directory, "reader", "continue", "reserve", "--store", "inventory.db")).said).toMatch(/it holds reserve-stock/);
  expect(fourth.stuck).toEqual([]);
}, 120_000);
