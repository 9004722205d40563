// Starts a writing process and gathers what it says.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { onTestFinished } from "vitest";
import type { Acknowledged, Orders } from "./workload.ts";

export interface Writer {
  readonly acknowledged: readonly Acknowledged[];
  /** Failures that ended it, by code. */
  readonly failed: ReadonlyArray<{ readonly code: string; readonly message: string }>;
  /** Names of the crash points it said it had reached. */
  readonly reached: readonly string[];
  /** The store is open. */
  readonly opened: Promise<void>;
  /** It has ended: by itself with a code, or killed by a signal. */
  readonly ended: Promise<{ readonly code: number | null; readonly signal: string | null; readonly complaint: string }>;
  /** Sends a line: what it was waiting for. */
  tell(): void;
}

/** Starts one. With `fileBlocksMax`, no file it writes may grow beyond so many blocks of 512 bytes: writes past it are I/O errors. */
export function startWriter(orders: Orders, limits: { fileBlocksMax?: number } = {}): Writer {
  const program = join(import.meta.dirname, "writer-process.ts");
  const command = [process.execPath, "--conditions=convergent-source", program, JSON.stringify(orders)];
  const limited =
    limits.fileBlocksMax === undefined ? [] : ["sh", "-c", `trap '' XFSZ; ulimit -f ${limits.fileBlocksMax}; exec "$@"`, "sh"];
  const [file = "", ...args] = [...limited, ...command];
  const child = spawn(file, args, { stdio: "pipe" });
  onTestFinished(() => void child.kill("SIGKILL"));
  const acknowledged: Acknowledged[] = [];
  const reached: string[] = [];
  const failed: Array<{ code: string; message: string }> = [];
  let complaint = "";
  child.stderr.on("data", (text: Buffer) => (complaint += text.toString()));
  let isOpen: () => void;
  const opened = new Promise<void>((resolve, reject) => {
    isOpen = resolve;
    child.on("close", () => reject(new Error(`the process ended before it had opened the store: ${complaint}${JSON.stringify(failed)}`)));
  });
  opened.catch(() => undefined);
  createInterface({ input: child.stdout }).on("line", (text) => {
    const line = JSON.parse(text) as Acknowledged | { reached: string } | { opened: true } | { code: string; message: string };
    if ("opened" in line) isOpen();
    else if ("reached" in line) reached.push(line.reached);
    else if ("code" in line) failed.push(line);
    else acknowledged.push(line);
  });
  const ended = new Promise<{ code: number | null; signal: string | null; complaint: string }>((resolve) =>
    child.on("close", (code, signal) => resolve({ code, signal, complaint })),
  );
  child.stdin.on("error", () => undefined); // it may be gone when it is told something
  return { acknowledged, reached, failed, opened, ended, tell: () => child.stdin.write("\n") };
}
