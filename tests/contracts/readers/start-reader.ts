// Starts a process that runs readers, and keeps what it says last.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { onTestFinished } from "vitest";
import type { ReaderOrders } from "./reader-process.ts";

export interface Standing {
  readonly owned: number;
  readonly total: number;
  readonly unowned: number;
  readonly state: string;
  readonly position: number;
}

export interface ReaderProcess {
  /** What it said last. */
  readonly standing: Standing;
  /** Crash points it said it had reached. */
  readonly reached: readonly string[];
  readonly ended: Promise<{ readonly code: number | null; readonly signal: string | null; readonly complaint: string }>;
  kill(signal: "SIGKILL" | "SIGSTOP" | "SIGCONT"): void;
  /** Tells it to stop its readers and end. */
  tell(): void;
}

export function startReader(orders: ReaderOrders): ReaderProcess {
  const program = join(import.meta.dirname, "reader-process.ts");
  const child = spawn(process.execPath, ["--conditions=convergent-source", program, JSON.stringify(orders)], { stdio: "pipe" });
  onTestFinished(() => void child.kill("SIGKILL"));
  const reached: string[] = [];
  let standing: Standing = { owned: 0, total: 0, unowned: 0, state: "starting", position: 0 };
  let complaint = "";
  child.stderr.on("data", (text: Buffer) => (complaint += text.toString()));
  child.stdin.on("error", () => undefined); // it may be gone when it is told something
  createInterface({ input: child.stdout }).on("line", (text) => {
    const line = JSON.parse(text) as Standing | { reached: string };
    if ("reached" in line) reached.push(line.reached);
    else standing = line;
  });
  const ended = new Promise<{ code: number | null; signal: string | null; complaint: string }>((resolve) =>
    child.on("close", (code, signal) => resolve({ code, signal, complaint })),
  );
  return {
    get standing() {
      return standing;
    },
    reached,
    ended,
    kill: (signal) => void child.kill(signal),
    tell: () => void child.stdin.write("\n"),
  };
}
