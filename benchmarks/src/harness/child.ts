// Entry point of the child process that runs one step of one subject: `child.ts BENCH SUBJECT prepare|sample DIRECTORY BOX_MS`.
// Answers one message to its parent and exits; what the subject prints goes to stdout and stderr, which the parent keeps
// only to explain a failure (emmett prints each error it rolls back).
import assert from "node:assert";
import { NotWired, type Sample } from "../bench.ts";
import { findBench } from "../benches/index.ts";

/** What a child tells its parent. */
export type Answer =
  | { readonly kind: "prepared"; readonly seeded: boolean }
  | { readonly kind: "sampled"; readonly sample: Sample }
  | { readonly kind: "not-wired"; readonly reason: string }
  | { readonly kind: "failed"; readonly reason: string };

const [benchName, subjectName, step, directory, boxMs] = process.argv.slice(2);
assert(benchName && subjectName && directory && boxMs, "usage: child.ts BENCH SUBJECT prepare|sample DIRECTORY BOX_MS");

async function run(bench: string, name: string, context: { directory: string; boxMs: number }): Promise<Answer> {
  const subject = findBench(bench)
    ?.groups.flatMap((group) => group.subjects)
    .find((candidate) => candidate.name === name);
  assert(subject, `bench ${bench} has no subject ${name}`);
  const code = await subject.load();
  if (step === "prepare") {
    await code.prepare?.(context.directory);
    return { kind: "prepared", seeded: code.prepare !== undefined };
  }
  return { kind: "sampled", sample: await code.sample(context) };
}

let answer: Answer;
try {
  answer = await run(benchName, subjectName, { directory, boxMs: Number(boxMs) });
} catch (error) {
  if (error instanceof NotWired) answer = { kind: "not-wired", reason: error.message };
  else answer = { kind: "failed", reason: error instanceof Error ? (error.stack ?? error.message) : String(error) };
}
// A subject may leave handles open; the answer is out once the callback runs, and then nothing is worth waiting for.
process.send?.(answer, () => process.exit());
