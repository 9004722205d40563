/** What a saga looks like from outside: in this process, to a client, and to the gateway in between. */
import type { Token } from "../position/token.ts";

export type StepKind = "step" | "timer" | "signal" | "event" | "saga";

/** A saga that another one has started, and waits for. */
export interface ChildSaga {
  readonly saga: string;
  readonly id: string;
}

/** One step or wait of a saga, as it is shown. */
export interface SagaStep {
  readonly name: string;
  readonly kind: StepKind;
  readonly state: "begun" | "done" | "failed" | "undoing" | "undone" | "void" | "resolved" | "stuck";
  /** Failed attempts so far, of the step or of its undo. */
  readonly retries: number;
  readonly begunAt: number;
  readonly endedAt?: number;
  /** Of a wait for an event: the stream and version of the one that came. */
  readonly result?: unknown;
  /** Of the last attempt that failed; of a step that runs a saga, why that is parked. */
  readonly error?: string;
  /** Of a step that runs a saga. */
  readonly child?: ChildSaga;
  /** When the next attempt, or the end of a wait, is due. */
  readonly dueAt?: number;
}

/** Where a saga stands. */
export type SagaStatus = "running" | "undoing" | "completed" | "compensated" | "parked";

/** A saga as people see it. */
export interface SagaState {
  readonly status: SagaStatus;
  readonly input: unknown;
  readonly steps: readonly SagaStep[];
  readonly result?: unknown;
  /** Why it is undone, or parked. */
  readonly error?: string;
  readonly cancelled?: string;
  readonly startedAt: number;
  readonly endedAt?: number;
}

/** A saga as it is now, or as it ended. */
export interface SagaView<Input, Result> extends Omit<SagaState, "input" | "result"> {
  readonly id: string;
  readonly input: Input;
  /** Of one that has completed. */
  readonly result?: Result;
  readonly steps: readonly SagaStep[];
  /** Events in its stream. */
  readonly version: number;
  readonly token: Token;
}

/** How a start, a signal or a cancellation went. */
export interface SagaAccepted {
  readonly id: string;
  readonly token: Token;
  /** It was started with the same input, or told this under the same id, before. */
  readonly repeated: boolean;
}

/** Whether nothing more is done for it by itself. */
export function hasEnded(status: SagaStatus): boolean {
  return status === "completed" || status === "compensated" || status === "parked";
}
