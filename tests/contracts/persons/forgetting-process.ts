// A process that registers customers, forgets one of them, and dies at the crash point it was given.
import type { CrashPoint } from "convergent";
import { sqlite } from "convergent/sqlite";
import { crashingHost } from "../stores/odd-hosts.ts";
import { customers, registered } from "./customers.ts";

const [path, point] = process.argv.slice(2) as [string, CrashPoint];
const running = await customers.start({ store: sqlite(path, { host: crashingHost(point, 1) }) });
await registered(running);
await running.forget("ada", { reason: "she asked", actor: "clerk" });
await running.stop();
