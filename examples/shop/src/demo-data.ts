/**
 * Something to look at on the first start. Each step names the version it builds on, so that it happens once: at the
 * next start the version is past it, the step is a conflict, and nothing is added.
 */
import { accepted, type Expected } from "convergent";
import { catalogue } from "./catalogue.ts";
import type { Shop } from "./shop.ts";
import type { Line } from "./values.ts";

const first: { readonly expected: Expected } = { expected: "none" };
const second: { readonly expected: Expected } = { expected: 1 };

/** Adds stock and a few orders, as far as they are not there. */
export async function addDemoData({ orders, inventory, payments, shipping }: Shop): Promise<void> {
  for (const { product, stock } of catalogue) await inventory.stock(product).receive({ quantity: stock }, first);

  await orders.order("demo-1").place({ customer: "Mina", lines: [line("sencha-100g", 2), line("clay-teapot", 1)] }, first);
  await orders.order("demo-2").place({ customer: "Mina", lines: [line("lime-honey", 1)] }, first);
  await orders.order("demo-2").amend({ lines: [line("lime-honey", 3)] }, second);
  await orders.order("demo-3").place({ customer: "Jonas", lines: [line("walnut-tray", 2)] }, first);
  await orders.order("demo-3").cancel({ reason: "ordered twice" }, second);
  // More blankets than there are: a backorder.
  const last = await orders.order("demo-4").place({ customer: "Jonas", lines: [line("wool-blanket", 5)] }, first);
  if (last.kind !== "accepted") return;

  // What follows in the other services builds on what the orders caused there.
  const { token } = accepted(last);
  await Promise.all([payments.waitFor(token, "5s"), shipping.waitFor(token, "5s")]);
  await payments.payment("demo-1").capture({ amount: 7300 }, second);
  await shipping.shipment("demo-1").update({ order: "demo-1", address: "Mina Sato, 12 Harbour Lane, Lisbon" }, second);
}

function line(product: string, quantity: number): Line {
  const price = catalogue.find((candidate) => candidate.product === product)?.price ?? 0;
  return { product, quantity, price };
}
