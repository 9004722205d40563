/**
 * Takes a saga back: each step that can be, in reverse order. A step of which nobody knows whether it took effect is voided first; an undo
 * that fails for good, or a step that nobody can say anything of, parks the saga.
 */
import { attempted, dueAt, messageOf, policyOf, waitUntil } from "./attempts.ts";
import type { Outcome } from "./facts.ts";
import type { Attempt } from "./saga.ts";
import { isOfRun, type Steps, Stuck, type Undo } from "./steps.ts";

/** Undoes what `steps` have begun, because of `error`, up to the end. Throws `Stuck`. */
export async function compensate(steps: Steps, error: string): Promise<void> {
  const { journal, writer } = steps;
  journal.requireSpent();
  if (journal.undoing === undefined) await writer.record({ name: "undoing", data: { error } });
  journal.undoing ??= error;
  for (const undo of steps.undos.toReversed()) if (!journal.isUndone(undo.step)) await takeBack(steps, undo);
  await writer.record({ name: "compensated", data: { error: journal.undoing } });
}

async function takeBack(steps: Steps, { step, options }: Undo): Promise<void> {
  const { writer } = steps;
  const end = steps.ends.get(step);
  const outcome: Outcome | "done" = end?.kind === "done" ? "done" : (end?.outcome ?? "unknown");
  if (outcome === "refused") return;
  const id = steps.idOf(step);
  await writer.record({ name: "undo-begun", data: { step } });
  let done = outcome === "done";
  if (outcome === "unknown") {
    const { void: voids } = options;
    if (!voids)
      throw new Stuck(step, `nobody knows whether "${step}" will still take effect: give the step a \`void\`, or see to it and say so`);
    if (await persist(steps, { step, options }, () => voids(id))) {
      await writer.record({ name: "undone", data: { step, how: "void" } });
      return;
    }
    done = true;
  }
  const result = end?.kind === "done" ? end.result : undefined;
  await persist(steps, { step, options }, (about) => options.undo?.(`${id}/undo`, { ...about, stepId: id, done, result }));
  await writer.record({ name: "undone", data: { step, how: "undone" } });
}

/** Shielded from being cancelled. Throws `Stuck` when it fails for good. */
async function persist<T>(steps: Steps, { step, options }: Undo, work: (about: Attempt) => Promise<T> | T): Promise<T> {
  const { host, journal, writer, left } = steps;
  const { attempts, backoff } = policyOf(options.retry, 10);
  for (let attempt = journal.undoRetries(step) + 1; ; attempt++) {
    try {
      return await attempted(host, options, (about) => work({ ...about, attempt }), left);
    } catch (error) {
      if (isOfRun(error)) throw error;
      const message = messageOf(error);
      if (attempt >= attempts) throw new Stuck(step, message);
      const next = dueAt(host, backoff, attempt);
      await writer.record({ name: "undo-retried", data: { step, attempt, error: message, next } });
      await waitUntil(host, next, left);
    }
  }
}
