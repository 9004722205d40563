// A process that writes to a store as it is told (see `Orders`), and may be killed on the way.
import { createInterface } from "node:readline";
import { type CrashPoint, isConvergentError, Log } from "convergent";
import { crashingHost } from "./odd-hosts.ts";
import { storeKind } from "./store-kinds.ts";
import { type Orders, run, say, tallyReader } from "./workload.ts";

const orders = JSON.parse(process.argv[2] ?? "") as Orders;
const stdin = createInterface({ input: process.stdin });
const line = new Promise<void>((resolve) => stdin.once("line", () => resolve()));
if (orders.powerless === true && process.getuid?.() === 0) process.setuid?.(65534);

try {
  await work();
} catch (error) {
  if (!isConvergentError(error)) throw error;
  say({ code: error.code, message: error.message });
}
stdin.close();
process.stdin.unref();

async function work(): Promise<void> {
  const host = orders.crash && crashingHost(orders.crash.point as CrashPoint, orders.crash.hit);
  const log = await Log.open(storeKind(orders.kind).driver(orders.place, host ? { host } : {}), "orders");
  say({ opened: true });
  if (orders.waits === true) await line;
  const reader = orders.reads === true ? tallyReader(log) : undefined;
  reader?.start();
  if (orders.endless === true) await runUntil(line, log);
  else await run(log, orders.load);
  if (orders.crash?.point.startsWith("archive.")) for (let stream = 0; stream < 5; stream++) await log.archive([`order/${stream}`]);
  if (orders.leavesOpen === true) return;
  await reader?.waitFor(log.headKnown.position, 20_000);
  await reader?.stop();
  await log.close();
}

async function runUntil(end: Promise<void>, log: Log): Promise<void> {
  const signal = { ended: false };
  void end.then(() => (signal.ended = true));
  for (let round = 0; !signal.ended; round++) await run(log, { ...orders.load, name: `${orders.load.name}-${round}` });
}
