// What a process holds, in MB. `heap` is what is left after a collection, so it shows what grows with the work; `rss` is what
// the system gave it, in which V8's room for young objects counts, and that grows in steps up to a limit of its own.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

export interface Memory {
  readonly heap: number;
  readonly rss: number;
}

export function memoryHeld(): Memory {
  collect();
  const { heapUsed, rss } = process.memoryUsage();
  return { heap: heapUsed / 1e6, rss: rss / 1e6 };
}
