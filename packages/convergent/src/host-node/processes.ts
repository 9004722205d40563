/**
 * Processes of this machine, each named by its id and the moment it began, so that an id that was given again is not
 * mistaken for its earlier bearer. A place is a host's name and a process namespace: containers that share a volume do
 * not see each other's processes and never judge each other.
 */
import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";
import type { Processes } from "../host/host.ts";

const place = `${hostname()} ${textOf(() => readlinkSync("/proc/self/ns/pid"))}`;
const boot = textOf(() => readFileSync("/proc/sys/kernel/random/boot_id", "utf8")).trim();

export const nodeProcesses: Processes = {
  self: { place, process: `${boot} ${process.pid} ${begunAt("self")}` },
  isGone: (elsewhere, other) => {
    if (elsewhere !== place) return false;
    const [itsBoot, pid = "", begun] = other.split(" ");
    if (itsBoot !== boot || !isRunning(Number(pid))) return true;
    return begun !== "" && begun !== begunAt(pid);
  },
};

/** Clock ticks from the machine's start to the process's; empty where the system does not say. A zombie has ended. */
function begunAt(pid: string): string {
  const stat = textOf(() => readFileSync(`/proc/${pid}/stat`, "utf8"));
  // The second field, the program's name in brackets, may itself hold spaces and brackets.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields[0] === "Z" || fields[0] === "X" ? "ended" : (fields[19] ?? "");
}

function isRunning(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid < 1) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (cause) {
    return cause instanceof Error && "code" in cause && cause.code === "EPERM";
  }
}

function textOf(read: () => string): string {
  try {
    return read();
  } catch {
    return ""; // No Linux, or a /proc that hides it: then ids alone must do.
  }
}
