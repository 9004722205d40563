/** The real host in a browser, and for clients on any platform with web globals. It has no disk. */
import { ConvergentError } from "../errors/error.ts";
import type { Host } from "../host/host.ts";
import { webNetwork } from "./network.ts";
import { webTimers } from "./timers.ts";

function noDisk(): never {
  throw new ConvergentError("definition_invalid", "this host has no disk; open stores on a server");
}

// A page sees no other process; each one is a place of its own.
const self = { place: `page-${Math.random().toString(36).slice(2)}`, process: "page" };

/** The host of this page or process. */
export function webHost(): Host {
  return {
    clock: { now: () => Date.now(), elapsed: () => performance.now() },
    random: { fraction: () => Math.random(), id: () => crypto.randomUUID().replaceAll("-", "") },
    timers: webTimers,
    disk: { read: noDisk, open: noDisk, replace: noDisk },
    network: webNetwork,
    processes: { self, isGone: () => false },
    reached: () => undefined,
  };
}
