// docs/http.md against the gateway: its addresses and headers both ways, and the conflict that it shows.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createGateway, type Gateway } from "@convergent/server";
import { command, entity, merge, service, wire } from "convergent";
import { memory } from "convergent/memory";
import { expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { blocksOf, isShown } from "./page-blocks.ts";

const path = join(import.meta.dirname, "..", "..", "docs", "http.md");
const page = readFileSync(path, "utf8");

const Order = z.object({ quantity: z.int(), note: z.string() });
const order = entity("order", { initial: (): z.infer<typeof Order> => ({ quantity: 0, note: "" }), events: { saved: Order } })
  .evolve({ saved: (_, data) => data })
  .commands({ save: command(Order, (_, input, emit) => emit.saved(input), { onConflict: merge({ of: (state) => state }) }) });

async function gatewayOfOrders(): Promise<Gateway> {
  const running = await service("orders", { parts: { order } }).start({ store: memory() });
  onTestFinished(() => running.stop());
  return createGateway([running]);
}

/** The words in code style that begin the rows of the tables. */
function firstCells(pattern: RegExp): string[] {
  return [...page.matchAll(/^\| `([^`]+)`/gm)].flatMap(([, cell = ""]) => (pattern.test(cell) ? [cell] : []));
}

test("the page names every address of the gateway, and no other", async () => {
  const answer = await (await gatewayOfOrders()).fetch(new Request("http://localhost/nowhere"));
  const { known } = (await answer.json()) as { readonly known: readonly string[] };
  expect(firstCells(/^(?:GET|POST) /).toSorted()).toEqual(known.toSorted());
});

test("the page names every header of the protocol, and no other", () => {
  const named = new Set(firstCells(/^[\w-]+$/).map((header) => header.toLowerCase()));
  for (const policy of ["reject", "retry", "merge"]) named.delete(policy);
  expect([...named].toSorted()).toEqual(Object.values(wire.headers).toSorted());
});

test("a conflict is as the page shows it", async () => {
  const gateway = await gatewayOfOrders();
  const save = (input: z.infer<typeof Order>, headers: Record<string, string> = {}): Promise<Response> =>
    gateway.fetch(new Request("http://localhost/entities/order/o-1/save", { method: "POST", body: JSON.stringify(input), headers }));
  const tag = (await save({ quantity: 1, note: "" })).headers.get("etag")!;
  await save({ quantity: 3, note: "ring twice" });
  const answer = await save({ quantity: 2, note: "" }, { "If-Match": tag });
  const text = await answer.text();
  const [shown] = blocksOf(path);
  expect({ text, isShown: isShown(shown!, text) }).toEqual({ text, isShown: true });
});
