/**
 * What the stream of a saga says: the events of its life, and the picture that people are shown of it. Who runs it stands in the stream as
 * well: whoever takes a saga over writes so, and the former owner's next append meets a version that it does not expect (R3).
 */
import { type AnyEntity, entity } from "../entities/entity.ts";
import type { Envelope } from "../log/event.ts";
import type { Schema } from "../log/schema.ts";
import type { Position } from "../position/position.ts";
import type { ChildSaga, SagaState, SagaStep, StepKind } from "../protocol/saga.ts";

/** Of a step that failed for good: it had no effect; its effect is anybody's guess but over; it may yet have one. */
export type Outcome = "refused" | "failed" | "unknown";

export type { SagaState, StepKind };

/** What a script has begun, and what it waits for: a signal of a name, an event, the end of another saga. */
export interface Begins {
  readonly step: string;
  readonly kind: StepKind;
  readonly undo: boolean;
  readonly signal?: string;
  readonly until?: number;
  /** In milliseconds from this fact on, by the time of the log: which events are in time is not for the clock of one process to say. */
  readonly timeout?: number;
  readonly event?: string;
  readonly entityId?: string;
  /** Position behind which the event lies; the saga's start when absent. */
  readonly after?: number;
  readonly child?: ChildSaga;
}

/** Events by their names, and what each holds. `run` names one execution of the script. */
export interface Facts {
  started: { readonly input: unknown; readonly version: number; readonly owner: string; readonly run: string };
  /** Nobody runs it yet: whoever it falls to takes it. */
  offered: Readonly<Record<string, never>>;
  taken: { readonly owner: string; readonly run: string };
  signalled: { readonly signal: string; readonly data?: unknown };
  cancelled: { readonly reason: string };
  begun: Begins;
  retried: Retried;
  /** What a step waits for is parked, or is not any more. */
  held: { readonly step: string; readonly error?: string };
  /** The time of a wait for an event is up: what lies before this in the log, and was in time, still answers it. */
  due: { readonly step: string };
  done: { readonly step: string; readonly result?: unknown };
  failed: { readonly step: string; readonly error: string; readonly outcome: Outcome };
  undoing: { readonly error: string };
  "undo-begun": { readonly step: string };
  "undo-retried": Retried;
  undone: { readonly step: string; readonly how: "undone" | "void" | "resolved"; readonly reason?: string; readonly by?: string };
  completed: { readonly result?: unknown };
  compensated: { readonly error: string };
  parked: { readonly step?: string; readonly error: string };
  resumed: { readonly owner: string; readonly run: string; readonly reason: string; readonly by: string };
  /** It had completed, and is to be undone nevertheless. */
  reverted: { readonly owner: string; readonly run: string; readonly reason: string };
}

/** An attempt that failed, and when the next one is due. */
interface Retried {
  readonly step: string;
  readonly attempt: number;
  readonly error: string;
  readonly next: number;
}

export type FactName = keyof Facts;

/** A fact that is to be written. */
export type Fact = { readonly [Name in FactName]: { readonly name: Name; readonly data: Facts[Name] } }[FactName];

/** A fact as it was read. */
export type Told = Fact & { readonly version: number; readonly at: number; readonly position: Position };

/** Where the event lies that a wait was answered with. */
export interface EventPlace {
  readonly stream: string;
  readonly version: number;
}

export function placeOf({ stream, version }: EventPlace): EventPlace {
  return { stream, version };
}

const names: Readonly<Record<FactName, true>> = {
  started: true,
  offered: true,
  taken: true,
  signalled: true,
  cancelled: true,
  begun: true,
  retried: true,
  held: true,
  due: true,
  done: true,
  failed: true,
  undoing: true,
  "undo-begun": true,
  "undo-retried": true,
  undone: true,
  completed: true,
  compensated: true,
  parked: true,
  resumed: true,
  reverted: true,
};

/** What this module writes it need not check when it is read. */
const anything: Schema = { "~standard": { version: 1, vendor: "convergent", validate: (value) => ({ value }) } };

/** The events of a saga as an entity's. */
export function entityOf(saga: string): AnyEntity {
  const all = Object.keys(names);
  const events = Object.fromEntries(all.map((name) => [name, anything]));
  const evolve = Object.fromEntries(all.map((name) => [name, (state: null): null => state]));
  return entity(saga, { initial: () => null, events })
    .evolve(evolve)
    .commands({}) as AnyEntity;
}

/** The fact in an event of a saga's stream. */
export function factOf({ entity: saga, type, data, version, at, position }: Envelope): Told {
  return { name: type.slice(saga.length + 1), data, version, at, position } as Told;
}

/** Whether it says that another execution has the saga from here on. */
export function isClaim(fact: Told): fact is Extract<Told, { readonly name: "taken" | "resumed" | "reverted" }> {
  return fact.name === "taken" || fact.name === "resumed" || fact.name === "reverted";
}

/** The picture of a saga after one more fact; `undefined` before the first one. */
export function shown(state: SagaState | undefined, fact: Told): SagaState {
  if (fact.name === "started") return { status: "running", input: fact.data.input, steps: [], startedAt: fact.at };
  const known = state as SagaState;
  const changed = (name: string, change: (step: SagaStep) => SagaStep): SagaState => ({
    ...known,
    steps: known.steps.map((each) => (each.name === name ? change(each) : each)),
  });
  const step = (name: string, change: Partial<SagaStep>): SagaState => changed(name, (each) => ({ ...each, ...change }));
  // Nothing of it is due any more.
  const ended = (name: string, change: Partial<SagaStep>): SagaState =>
    changed(name, (each) => {
      const { dueAt, ...rest } = each;
      return dueAt === undefined ? { ...each, ...change } : { ...rest, ...change };
    });
  const { at } = fact;
  switch (fact.name) {
    case "due":
    case "offered":
    case "taken":
    case "signalled":
      return known;
    case "cancelled":
      return { ...known, cancelled: fact.data.reason };
    case "begun": {
      const { step: name, kind, child, timeout } = fact.data;
      const until = timeout === undefined ? fact.data.until : at + timeout;
      const also = { ...(until === undefined ? {} : { dueAt: until }), ...(child === undefined ? {} : { child }) };
      const begun: SagaStep = { name, kind, state: "begun", retries: 0, begunAt: at, ...also };
      return { ...known, steps: [...known.steps, begun] };
    }
    case "retried":
    case "undo-retried":
      return step(fact.data.step, { retries: fact.data.attempt, error: fact.data.error, dueAt: fact.data.next });
    case "held": {
      const { step: name, error } = fact.data;
      return changed(name, (each) => {
        const { error: _before, ...rest } = each;
        return error === undefined ? rest : { ...rest, error };
      });
    }
    case "done": {
      const { result } = fact.data;
      return ended(fact.data.step, { state: "done", endedAt: at, ...(result === undefined ? {} : { result }) });
    }
    case "failed":
      return ended(fact.data.step, { state: "failed", endedAt: at, error: fact.data.error });
    case "undoing":
      return { ...known, status: "undoing", error: fact.data.error };
    case "undo-begun":
      return step(fact.data.step, { state: "undoing", retries: 0 });
    case "undone":
      return ended(fact.data.step, { state: fact.data.how, endedAt: at });
    case "completed":
      return { ...known, status: "completed", endedAt: at, ...(fact.data.result === undefined ? {} : { result: fact.data.result }) };
    case "compensated":
      return { ...known, status: "compensated", endedAt: at, error: fact.data.error };
    case "parked": {
      const parked = fact.data.step === undefined ? known : ended(fact.data.step, { state: "stuck", error: fact.data.error });
      return { ...parked, status: "parked", error: fact.data.error };
    }
    case "reverted": {
      const { input, steps, startedAt, cancelled } = known;
      const also = cancelled === undefined ? {} : { cancelled };
      return { status: "undoing", input, steps, startedAt, ...also, error: fact.data.reason };
    }
    case "resumed":
      return { ...known, status: known.steps.some(({ state: each }) => takenBack.has(each)) ? "undoing" : "running" };
  }
}

const takenBack: ReadonlySet<SagaStep["state"]> = new Set<SagaStep["state"]>(["undoing", "undone", "void", "resolved", "stuck"]);
