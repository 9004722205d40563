// One of two writers: `writer.ts orders|nothing DIRECTORY NAME BOX_MS`. Warms up, then writes and watches its own event loop.
import { setImmediate as turn } from "node:timers/promises";
import { accepted } from "convergent";
import { type Parent, serveParent } from "../harness/fork-worker.ts";
import { watchLoop } from "../harness/loop-delay.ts";
import { closedLoop } from "../harness/loops.ts";
import { orderPlaced } from "../workload.ts";
import { orders } from "./order.ts";
import { sqliteStore } from "./store.ts";
import type { Written } from "./two-writers.ts";

const inFlight = 64;
const warmUpMs = 1_000;
/** Far above any number the warm-up reaches, so that no order is placed twice. */
const warmedUp = 1e9;

const [work, directory = "", name, boxMs] = process.argv.slice(2);

await serveParent(async (parent: Parent) => {
  const operation = work === "orders" ? await placing() : busy;
  parent.say("open");
  await parent.hear<"go">();
  await closedLoop({ inFlight, warmUpMs: 0, boxMs: warmUpMs, operation });
  const stop = watchLoop();
  const rate = await closedLoop({ inFlight, warmUpMs: 0, boxMs: Number(boxMs), operation: (index) => operation(warmedUp + index) });
  const written: Written = { rate, ...stop() };
  parent.say(written);
});

async function placing(): Promise<(index: number) => Promise<unknown>> {
  const running = await orders.start({ store: sqliteStore(directory) });
  return async (index) =>
    accepted(await running.order(`${name}-${index}`).place(orderPlaced(index), { id: `${name}-${index}`, expected: "none" }));
}

async function busy(index: number): Promise<void> {
  JSON.parse(JSON.stringify(orderPlaced(index)));
  await turn();
}
