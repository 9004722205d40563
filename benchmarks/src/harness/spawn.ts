// Starts one step of a subject in a fresh Node process, and waits for its answer under a time limit.
import { fork, type ChildProcess } from "node:child_process";
import { join } from "node:path";
import type { Answer } from "./child.ts";

/** Far beyond any healthy step: a child that hangs must not hang the bench. */
const sampleLimitMs = 60_000;
const prepareLimitMs = 240_000;
/** Of a child's output only the end is kept, to explain a failure. */
const outputTailChars = 2_000;

const running = new Set<ChildProcess>();

export interface Step {
  readonly bench: string;
  readonly subject: string;
  readonly step: "prepare" | "sample";
  readonly directory: string;
  readonly boxMs: number;
}

export async function runStep({ bench, subject, step, directory, boxMs }: Step): Promise<Answer> {
  const child = fork(join(import.meta.dirname, "child.ts"), [bench, subject, step, directory, String(boxMs)], {
    // Inherits `--conditions=convergent-source` from the parent's execArgv.
    stdio: ["ignore", "pipe", "pipe", "ipc"],
  });
  running.add(child);
  let output = "";
  const keep = (chunk: Buffer): void => {
    output = (output + chunk.toString()).slice(-outputTailChars);
  };
  child.stdout?.on("data", keep);
  child.stderr?.on("data", keep);
  const limitMs = step === "prepare" ? prepareLimitMs : sampleLimitMs;
  const limit = setTimeout(() => child.kill("SIGKILL"), limitMs);
  try {
    return await new Promise<Answer>((resolve) => {
      let answer: Answer | undefined;
      child.on("message", (message) => {
        answer = message as Answer;
      });
      child.on("error", (error) => resolve({ kind: "failed", reason: error.message }));
      child.on("close", (code, signal) => {
        if (answer !== undefined && answer.kind !== "failed") return resolve(answer);
        const limited = signal === "SIGKILL" ? `, after at most ${limitMs / 1_000} s` : "";
        const reason = answer?.reason ?? `the child ended without an answer (${signal ?? `exit code ${code}`}${limited})`;
        return resolve({ kind: "failed", reason: `${reason}\n${output}`.trimEnd() });
      });
    });
  } finally {
    clearTimeout(limit);
    running.delete(child);
  }
}

/** Ends whatever still runs; for an interrupted bench. */
export function killRunning(): void {
  for (const child of running) child.kill("SIGKILL");
}
