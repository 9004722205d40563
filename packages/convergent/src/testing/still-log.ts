/** A log of its own for one check: the real one over the memory store, in a world that stands still and is always the same. */
import type { Host } from "../host/host.ts";
import { Log } from "../log/log.ts";
import { SeededRandom } from "../simulator/random.ts";
import { memoryDisk } from "../stores/memory/memory-disk.ts";
import { MemoryStore } from "../stores/memory/memory-store.ts";
import { memoryVault } from "../stores/memory/memory-vault.ts";

/** When the first event happens, unless its test says when: 2026-01-01. Each further one comes a second later. */
const beginning = 1_767_225_600_000;

export interface StillLog {
  readonly log: Log;
  /** What the clock shows from now on. */
  setTime(ms: number): void;
}

export async function stillLog(): Promise<StillLog> {
  let now = beginning;
  const random = new SeededRandom(0, "given");
  const host: Host = {
    clock: { now: () => now, elapsed: () => 0 },
    random,
    timers: { after: () => ({ cancel: () => undefined }), sleep: () => Promise.resolve(), turn: () => Promise.resolve() },
    disk: memoryDisk(),
    network: { request: () => Promise.reject(new Error("nothing is asked of the network here")) },
    processes: { self: { place: "here", process: "this" }, isGone: () => false },
    reached: () => undefined,
  };
  const log = await Log.open(
    { host, open: ({ name }) => MemoryStore.open({ host, name, path: `${name}.journal`, vault: memoryVault(random) }) },
    "given",
  );
  return { log, setTime: (ms) => (now = ms) };
}

/** The time of the event with this number, counted from 0, when nobody says when it happened. */
export function usualTime(number: number): number {
  return beginning + number * 1000;
}
