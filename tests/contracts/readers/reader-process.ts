// A process that runs readers of a store until it is told to stop, or is killed or stopped on the way.
import { writeSync } from "node:fs";
import { createInterface } from "node:readline";
import { type CrashPoint, Log } from "convergent";
import { signallingHost } from "../stores/odd-hosts.ts";
import { storeKind } from "../stores/store-kinds.ts";
import { tallyReader } from "../stores/workload.ts";

/** What it is told, as JSON in its first argument. */
export interface ReaderOrders {
  readonly kind: string;
  readonly place: string;
  /** A signal that it sends itself when this point is reached for the n-th time. */
  readonly signal?: { readonly name: "SIGKILL" | "SIGSTOP"; readonly point: CrashPoint; readonly hit: number };
}

const sayEveryMs = 50;

const { kind, place, signal } = JSON.parse(process.argv[2] ?? "") as ReaderOrders;
const host = signal && signallingHost(signal.point, signal.hit, signal.name);
const log = await Log.open(storeKind(kind).driver(place, host ? { host } : {}), "orders");
const reader = tallyReader(log);
reader.start();
let said = "";
const saying = setInterval(() => {
  void reader.slots().then(({ owned, total, unowned }) => {
    const line = JSON.stringify({ owned, total, unowned, state: reader.state, position: reader.position });
    if (line !== said) writeSync(1, `${line}\n`);
    said = line;
  });
}, sayEveryMs);
const stdin = createInterface({ input: process.stdin });
await new Promise((told) => stdin.once("line", told));
clearInterval(saying);
await reader.stop();
await log.close();
stdin.close();
process.stdin.unref();
