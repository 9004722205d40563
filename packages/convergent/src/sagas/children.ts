/**
 * A saga as a step of another one: started once under an id made of its parent's, and waited for until it has completed or is undone. It runs
 * wherever it runs; its parent knows it by its stream. The parent waits on while it is parked, and says so.
 *
 * - When the parent is cancelled, so is the child; the step ends with it.
 * - To take the step back, a child that has completed is undone as a whole: its undos run, in reverse order.
 */
import { type Backoff, backoffMs } from "../host/backoff.ts";
import { ConvergentError, isConvergentError } from "../errors/error.ts";
import type { CancelSignal } from "../host/host.ts";
import { canonicalJson, digestOf } from "../log/digest.ts";
import type { Metadata } from "../log/event.ts";
import type { SagaStatus } from "../protocol/saga.ts";
import { messageOf } from "./attempts.ts";
import type { Cancellation } from "./cancellation.ts";
import type { AnySaga } from "./saga.ts";
import { given, isOfRun, type Steps } from "./steps.ts";
import type { SagaCallOptions, SagaTellOptions } from "./telling.ts";
import type { SagaReading } from "./watching.ts";
import { Abandoned } from "./writer.ts";

const again: Backoff = { firstMs: 20, maxMs: 2_000, factor: 2 };

/** The longest id that a saga may have. */
const idCharactersMax = 256;

/** Sagas of one definition, as their parents know them. */
export interface ChildSagas {
  begin(id: string, input: unknown, options?: SagaCallOptions): Promise<unknown>;
  /** As it becomes, the present state first, until it has completed or is undone; also while it is parked. */
  follow(id: string, signal: CancelSignal): AsyncGenerator<SagaReading, void, undefined>;
  cancel(id: string, reason: string, options?: SagaTellOptions): Promise<unknown>;
  /** Has one that has completed undo itself. */
  revert(id: string, reason: string): Promise<void>;
}

export interface ChildSource {
  /** Undefined for a saga that is no part of the service. */
  readonly sagaOf: (name: string) => ChildSagas | undefined;
  /** Of the parent. */
  readonly metadata: Metadata;
}

interface Child {
  readonly step: string;
  readonly saga: string;
  readonly id: string;
  readonly sagas: ChildSagas;
}

/** Runs a saga as a step called `name`. */
export async function runChild(
  steps: Steps,
  { sagaOf, metadata }: ChildSource,
  { definition, input, name }: { readonly definition: AnySaga; readonly input: unknown; readonly name: string },
): Promise<unknown> {
  const saga = definition.name;
  const sagas = sagaOf(saga);
  if (!sagas)
    throw new ConvergentError(
      "definition_invalid",
      `the saga ${steps.id} runs "${saga}", which is no part of its service; add it to the parts`,
    );
  const step = steps.named(name);
  const child: Child = { step, saga, id: childIdOf(steps, step), sagas };
  const undo = { undo: (_: string, { signal }: { readonly signal: CancelSignal }) => undone(steps, child, signal) };
  const { end, isResumed } = await steps.begin(step, { kind: "saga", child: { saga, id: child.id }, undo });
  if (end) return given(step, end);
  // Nobody has started it, and nobody will.
  if (!isResumed && steps.cancelled.aborted) return refused(steps, step, steps.cancelled.reason);
  try {
    await started(steps, child, input, { correlation: metadata.correlation ?? steps.id, cause: steps.idOf(step) });
  } catch (error) {
    if (isOfRun(error)) throw error;
    return refused(steps, step, error);
  }
  const last = await followed(steps, child, { until: hasEnd, signal: steps.left, wakes: steps.cancelled });
  if (last.state.status === "completed") return steps.end(step, { kind: "done", result: last.state.result });
  return refused(steps, step, new Error(`${saga} ${child.id} was undone: ${last.state.error ?? "no reason is known"}`));
}

/** It had no effect, or has undone what it did: either way there is nothing to undo. */
function refused(steps: Steps, step: string, error: unknown): unknown {
  if (isOfRun(error)) throw error;
  return steps.end(step, { kind: "failed", error: messageOf(error), outcome: "refused" });
}

function childIdOf(steps: Steps, step: string): string {
  const id = steps.idOf(step);
  return id.length <= idCharactersMax ? id : `${steps.saga}/${digestOf(canonicalJson([steps.saga, steps.id, step]))}`;
}

async function undone(steps: Steps, child: Child, signal: CancelSignal): Promise<void> {
  const { step, id, sagas } = child;
  await untilAnswered(steps, () => sagas.revert(id, `the step "${step}" of ${steps.saga} ${steps.id} is undone`));
  await followed(steps, child, { until: (status) => status === "compensated", signal });
}

/** Once an id, however often it is asked for. Throws what says that it never will be. */
function started(steps: Steps, { id, sagas }: Child, input: unknown, metadata: Metadata): Promise<unknown> {
  return untilAnswered(steps, () => sagas.begin(id, input, { metadata }));
}

function hasEnd(status: SagaStatus): boolean {
  return status === "completed" || status === "compensated";
}

interface Following {
  readonly until: (status: SagaStatus) => boolean;
  readonly signal: CancelSignal;
  /** The child is cancelled when this is. */
  readonly wakes?: Cancellation;
}

/** The child as it ended. Asks a store that does not answer again. */
async function followed(steps: Steps, child: Child, how: Following): Promise<SagaReading> {
  const held = { is: undefined as string | undefined };
  return untilAnswered(steps, async () => {
    const readings = child.sagas.follow(child.id, how.signal);
    const cancelled = how.wakes?.rejection();
    // What is said twice: that it is cancelled is told once, and again when the child goes on after it was parked.
    let isTold = false;
    try {
      for (let next = readings.next(), newest: SagaReading | undefined; ; ) {
        if (steps.left.aborted) throw steps.left.reason;
        const isAsked = how.wakes?.aborted === true;
        if (isAsked && !isTold && newest?.state.status === "running") isTold = await told(steps, child, how.wakes?.reason);
        const answer = await (cancelled && !isAsked ? Promise.race([next, cancelled.promise.catch(() => undefined)]) : next);
        if (!answer) continue;
        if (answer.done) throw new Abandoned(`nobody waits for ${child.id} any more`);
        newest = answer.value;
        next = readings.next();
        void next.catch(() => undefined); // met at the next turn
        const { status, error } = newest.state;
        if (how.until(status)) return newest;
        if (status === "parked") isTold = false;
        hold(steps, child, held, status === "parked" ? `${child.saga} ${child.id} is parked: ${error}` : undefined);
      }
    } finally {
      cancelled?.stop();
      void readings.return();
    }
  });
}

/** Says in the parent's stream that the child is parked, or is not any more. */
function hold(steps: Steps, { step }: Child, held: { is: string | undefined }, error: string | undefined): void {
  if (held.is === error) return;
  held.is = error;
  void steps.writer.record({ name: "held", data: { step, ...(error === undefined ? {} : { error }) } }).catch(() => undefined);
}

/** Cancels the child. One that has ended meanwhile hears of nothing; its end says what there is to do. */
async function told(steps: Steps, { step, id, sagas }: Child, reason: unknown): Promise<boolean> {
  try {
    await sagas.cancel(id, messageOf(reason), { id: `${steps.idOf(step)}/cancel`, scope: steps.saga });
    return true;
  } catch (error) {
    if (isConvergentError(error, "saga_ended")) return false;
    throw error;
  }
}

async function untilAnswered<T>(steps: Steps, ask: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await ask();
    } catch (error) {
      if (steps.left.aborted) throw steps.left.reason;
      if (isConvergentError(error, "closed")) throw new Abandoned(error.message);
      if (!isConvergentError(error) || error.retry === "never") throw error;
      await steps.host.timers.sleep(backoffMs(again, attempt, steps.host.random), steps.left);
    }
  }
}
