/**
 * Something to look at on the first start. Each step names the version it builds on, so that it happens once: at the
 * next start the version is past it, the step is a conflict, and nothing is added.
 */
import { accepted, type CommandOptions } from "convergent";
import { catalogue } from "./catalogue.ts";
import type { Shop } from "./shop.ts";
import type { Line } from "./values.ts";

const first: CommandOptions = { expected: "none" };
const second: CommandOptions = { expected: 1, onConflict: "reject" };

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
  await Promise.all(others.map((customer, index) => placeOther(orders, { customer, index })));

  // What follows in the other services builds on what the orders caused there.
  const { token } = accepted(last);
  await Promise.all([payments.waitFor(token, "5s"), shipping.waitFor(token, "5s")]);
  await payments.payment("demo-1").capture({ amount: 7300 }, second);
  await shipping.shipment("demo-1").update({ order: "demo-1", address: "Mina Sato, 12 Harbour Lane, Lisbon" }, second);
}

// Enough for an agent to search and to page through.
async function placeOther(orders: Shop["orders"], { customer, index }: { customer: string; index: number }): Promise<void> {
  const [one = "", other = ""] = [0, 1].map((step) => catalogue[(index + step * (1 + (index % 3))) % 4]?.product);
  const lines = [line(one, 1 + (index % 3)), ...(index % 2 === 0 && other !== one ? [line(other, 1)] : [])];
  const address = `${3 + index * 2} ${streets[index % streets.length]}`;
  await orders.order(`demo-${index + 5}`).place({ customer, lines, address }, first);
}

const streets = ["Harbour Lane", "Mill Street", "Orchard Road", "Station Square", "Old Bridge Row"];

const others = [
  ...["Aiko", "Lena", "Tomas", "Priya", "Samuel", "Nour", "Ines", "Aiko", "Lena", "Viktor", "Priya", "Mina", "Ruth"],
  ...["Jonas", "Nour", "Tomas", "Ines", "Samuel", "Viktor", "Ruth", "Aiko", "Mina", "Lena", "Jonas"],
];

function line(product: string, quantity: number): Line {
  const price = catalogue.find((candidate) => candidate.product === product)?.price ?? 0;
  return { product, quantity, price };
}
