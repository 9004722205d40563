// What clients do with orders: they start them, some under one id, watch them, approve, cancel, and see to those that are parked.
import type { Actor } from "convergent/simulator";
import { hasEnded } from "convergent";
import { townWork } from "./notary.ts";
import { type Amendment, type OrderHamlet, type OrderTown, products, purses } from "./orders.ts";

/** How a run's clients are: in a slow one there is time for processes to stand still, and for others to take over from them. */
export interface Pace {
  readonly isSlow: boolean;
}

type Work = Actor<OrderHamlet, Pace>;

const slowMs = 900;

/** Few, so that clients meet at one order. */
const orders = 9;

/** What one client of the town does next: a part of it is what it did before there were orders. */
export async function orderTownWork(actor: Actor<OrderTown, Pace>): Promise<void> {
  if (actor.random.chance(0.4)) return townWork({ ...actor, outside: undefined });
  return orderWork(actor as never); // whose client has all that the hamlet's has
}

/** What one client does next with orders. */
export async function orderWork(actor: Work): Promise<void> {
  const { client, random, outside, sleep } = actor;
  if (outside.isSlow) await sleep(random.exponential(slowMs));
  const id = `o-${random.below(orders)}`;
  switch (random.below(9)) {
    case 0:
      await client.amend.signal(id, "approved", true);
      break;
    case 1:
      await client.amend.cancel(id, { reason: "changed their mind" });
      break;
    case 2:
      return look(actor, id);
    default:
      return begin(actor, id);
  }
}

/** The same order is the same amendment, but for a slip now and then. */
function amendment(id: string, { random }: Work): Amendment {
  const number = Number(id.slice(2)) + (random.chance(0.05) ? 1 : 0);
  const pick = <Item>(items: readonly Item[]): Item => items[number % items.length] as Item;
  return {
    purse: pick(purses),
    product: pick(products),
    quantity: 2 + number * 2,
    way: pick(["one by one", "when approved", "together"] as const),
    fate: pick(["stuck", "ships", "hangs", "loses its reply", "is refused", "ships", "hangs, then refuses", "ships", "breaks"] as const),
  };
}

async function begin(actor: Work, id: string): Promise<void> {
  const { client, random, sleep } = actor;
  const { repeated } = await client.amend.start(id, amendment(id, actor));
  if (repeated) return look(actor, id);
  await sleep(random.exponential(40));
  switch (random.below(5)) {
    case 0:
      await client.amend.cancel(id, { reason: "changed their mind" });
      break;
    case 1:
    case 2:
      await client.amend.signal(id, "approved", true);
      break;
    default:
      await watch(actor, id);
  }
}

/** Watches for a while, is cut, and watches again up to the end. */
async function watch(actor: Work, id: string): Promise<void> {
  const { client, random, sleep, mark } = actor;
  let left = 1 + random.below(4);
  for await (const { status } of client.amend.watch(id)) if (hasEnded(status) || --left === 0) break;
  await sleep(random.exponential(60));
  let last = "nothing";
  for await (const { status } of client.amend.watch(id)) last = status;
  if (last !== "completed" && last !== "compensated" && last !== "parked") throw new Error(`the last that was seen of ${id} is ${last}`);
  mark("a saga was watched to its end");
  if (last === "parked") await seeTo(actor, id);
}

/** An operator looks at an order, and sees to it when it is parked. */
async function look(actor: Work, id: string): Promise<void> {
  const { status } = await actor.client.amend.get(id);
  if (status === "parked") await seeTo(actor, id);
}

async function seeTo({ client, random }: Work, id: string): Promise<void> {
  if (random.chance(0.6)) await client.amend.retry(id, { reason: "the till is mended" });
  else await client.amend.resolve(id, { reason: "it was paid back by hand" });
}
