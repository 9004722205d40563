/**
 * Sagas: an operation of many steps, each of which may fail, written as a script. A saga ends as `completed`, `compensated` or
 * `parked`, never in between: what was done is undone in reverse order when a later step fails (Garcia-Molina and Salem, 1987).
 * The script runs again from the beginning after a crash; what history says of a step is given back instead of doing it again, so
 * between steps it must do nothing but compute.
 */
import type { AnyEntity, EventOf } from "../entities/entity.ts";
import { ConvergentError } from "../errors/error.ts";
import type { Duration } from "../host/duration.ts";
import type { CancelSignal } from "../host/host.ts";
import type { InputOf, OutputOf, Schema } from "../log/schema.ts";
import type { Position } from "../position/position.ts";
import { entityOf } from "./facts.ts";

/** How often a step or an undo is tried, and how long is waited in between. */
export interface RetryPolicy {
  /** Tries in all. Default 5 for steps, 10 for undos. */
  readonly attempts?: number;
  /** Before the second try; each later wait is twice as long. Default "100ms". */
  readonly first?: Duration;
  /** The longest wait. Default "10s". */
  readonly longest?: Duration;
}

/** What a step is told while it runs. */
export interface Attempt {
  /** From 1 on. */
  readonly attempt: number;
  /** Cancelled when the attempt has run out of time, its heartbeat is missing, or the saga was cancelled. */
  readonly signal: CancelSignal;
  /** Says that the step is at work: to be called within every `heartbeat`. */
  beat(): void;
}

/** What an undo is told of the step it takes back. */
export interface Undoing<T> extends Attempt {
  /** The id that the step was given. */
  readonly stepId: string;
  /** Whether the step is known to have succeeded. Without it the step may have had its effect, or a part of it, or none. */
  readonly done: boolean;
  /** What the step answered, when it is known to have succeeded. */
  readonly result: T | undefined;
}

/** How a step is taken back, and how long and how often it is tried. */
export interface StepOptions<T> {
  /**
   * Takes the step back. It is given an id of its own, which stays the same however often it is tried, and must do what it says also when
   * the step had no effect. When it fails for good the saga is parked.
   */
  readonly undo?: (id: string, undoing: Undoing<T>) => unknown;
  /**
   * Sees to it that a step with this id can never take effect any more, and answers whether that was in time: true, it never took effect;
   * false, it did. Asked before an undo when nobody knows what became of the step; without it such a saga is parked.
   */
  readonly void?: (id: string) => Promise<boolean> | boolean;
  /** How often it, or its undo, is tried. */
  readonly retry?: RetryPolicy;
  /** Of one attempt. Default: none. What became of an attempt that ran out of time is unknown, so it is tried again under the same id. */
  readonly timeout?: Duration;
  /** Longest silence of an attempt that says that it is at work. */
  readonly heartbeat?: Duration;
}

/** Which event is waited for, and how long. */
export interface WaitForOptions<Event> {
  /** Of this entity only. */
  readonly entityId?: string;
  /** Whether it is this one: a function of the event, without effects. Asked of each in the order of the log. */
  readonly match?: (event: Event) => boolean;
  /** Default: none, it waits for ever. */
  readonly timeout?: Duration;
  /** Only what lies behind this event in the log. Default: behind the start of the saga. */
  readonly after?: { readonly position: Position };
}

/** What the script of a saga is given. Names of steps, timers and signals are shown to the people who watch. */
export interface SagaScope {
  /** Of the saga. */
  readonly id: string;
  /** Of the definition that the saga was started with: a script that was changed branches on it. */
  readonly version: number;
  /** The time of the newest event that the script knows of, in milliseconds: the same when it runs again. */
  now(): number;
  /**
   * Does something in the world, once in effect: `run` is given a stable id, to be sent on as the id of the command. Its intent is durable before
   * it runs, its result (a JSON value) before the saga goes on. Throws `saga_step_failed` when it failed for good, and `saga_cancelled`.
   */
  step<T>(name: string, run: (id: string, attempt: Attempt) => Promise<T> | T, options?: StepOptions<T>): Promise<T>;
  /** Waits, also through restarts. */
  sleep(name: string, wait: Duration): Promise<void>;
  /** Waits for a time of day, in milliseconds since 1970. */
  until(name: string, at: number): Promise<void>;
  /** The data of the next signal of this name; `undefined` when none came in time. Signals that came before are kept. */
  signal<T = unknown>(name: string, options?: { readonly timeout?: Duration }): Promise<T | undefined>;
  /**
   * The first event of a type, such as `"order.placed"`, of an entity of the same service, that was appended after the saga was started and
   * that no wait of this saga was given; `undefined` when none was appended in time.
   */
  waitFor<Source extends AnyEntity, Type extends EventOf<Source>["type"]>(
    entity: Source,
    type: Type,
    options?: WaitForOptions<Extract<EventOf<Source>, { readonly type: Type }>>,
  ): Promise<Extract<EventOf<Source>, { readonly type: Type }> | undefined>;
  /**
   * Runs another saga of the same service, as a step: started once, under an id made of this one's, and waited for until it has completed.
   * Its result is the step's. To take the step back it is undone as a whole. Throws `saga_step_failed` when it was compensated, and
   * `saga_cancelled`, which it is then, too.
   */
  run<Child extends AnySaga>(child: Child, input: SagaInput<Child>, options?: { readonly name?: string }): Promise<SagaResult<Child>>;
}

/** A saga: its name, what it is started with, and its script. */
export interface Saga<Name extends string, Input extends Schema, Result> {
  readonly kind: "saga";
  readonly name: Name;
  readonly version: number;
  readonly input: Input;
  readonly run: (s: SagaScope, input: OutputOf<Input>) => Promise<Result>;
  /** Its events, as those of an entity of the same name: for views and channels. */
  readonly entity: AnyEntity;
}

/** A saga of any types. */
// biome-ignore lint/suspicious/noExplicitAny: input and result appear as parameters and as results
// oxlint-disable-next-line typescript/no-explicit-any -- input and result appear as parameters and as results, so no narrower bound accepts every saga
export type AnySaga = Saga<string, any, any>;

/** What a saga is started with. */
export type SagaInput<S> = S extends Saga<string, infer Input, infer _Result> ? InputOf<Input> : never;
/** What a saga that completes answers. */
export type SagaResult<S> = S extends Saga<string, infer _Input, infer Result> ? Result : never;

/** Defines a saga. Throws `definition_invalid` for a name or version that cannot be. */
export function saga<const Name extends string, Input extends Schema, Result>(
  name: Name,
  shape: { readonly input: Input; readonly version?: number },
  run: (s: SagaScope, input: OutputOf<Input>) => Promise<Result>,
): Saga<Name, Input, Result> {
  if (!/^[a-z][a-z0-9-]{0,50}$/.test(name))
    throw new ConvergentError(
      "definition_invalid",
      `"${name}" is no name for a saga: use lower case letters, digits and dashes, for example "amend-order"`,
    );
  const version = shape.version ?? 1;
  if (!Number.isSafeInteger(version) || version < 1)
    throw new ConvergentError("definition_invalid", `the version of the saga "${name}" is a whole number from 1 on, not ${version}`);
  return { kind: "saga", name, version, input: shape.input, run, entity: entityOf(name) };
}
