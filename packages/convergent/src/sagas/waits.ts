/** What a script waits for: a time, a signal, an event. Each wait is a fact in the stream, and so is what ended it. */
import { ConvergentError } from "../errors/error.ts";
import { EventCodec, isDropped } from "../log/codec.ts";
import type { Envelope, StoredEvent } from "../log/event.ts";
import type { Log } from "../log/log.ts";
import type { Position } from "../position/position.ts";
import type { AnyEntity } from "../entities/entity.ts";
import { messageOf, waitUntil } from "./attempts.ts";
import type { EventWaits } from "./event-waits.ts";
import { placeOf } from "./facts.ts";
import { heardEvent } from "./heard.ts";
import { given, isOfRun, type Steps } from "./steps.ts";

/** A time of day, or `waitMs` from the moment at which the wait begins. */
export async function waitForTime(steps: Steps, name: string, { waitMs = 0, at }: { waitMs?: number; at?: number }): Promise<void> {
  const step = steps.named(name);
  if (at !== undefined && !Number.isFinite(at))
    throw new ConvergentError("invalid_input", `the saga ${steps.id} waits at "${name}" until ${at}, which is no time in milliseconds`);
  const { host } = steps;
  const begun = await steps.begin(step, { kind: "timer", until: () => Math.ceil(at ?? host.clock.now() + waitMs) });
  if (begun.end) return void given(step, begun.end);
  try {
    await waitUntil(host, begun.until ?? 0, steps.cancelled);
  } catch (error) {
    if (isOfRun(error)) throw error;
    steps.end(step, { kind: "failed", error: messageOf(error), outcome: "refused" });
  }
  steps.end(step, { kind: "done", result: undefined });
}

/** The next signal of a name; `undefined` when none came in time. */
export async function waitForSignal(steps: Steps, name: string, timeoutMs: number | undefined): Promise<unknown> {
  const step = steps.named(name);
  const { host, left, cancelled, journal } = steps;
  const until = (): number | undefined => (timeoutMs === undefined ? undefined : Math.ceil(host.clock.now() + timeoutMs));
  const begun = await steps.begin(step, { kind: "signal", signal: name, until });
  if (begun.end) return given(step, begun.end);
  for (;;) {
    if (left.aborted) throw left.reason;
    if (cancelled.aborted) return steps.end(step, { kind: "failed", error: messageOf(cancelled.reason), outcome: "refused" });
    const signal = journal.takeSignal(name);
    if (signal) return steps.end(step, { kind: "done", result: signal.data ?? null });
    if (begun.until !== undefined && host.clock.now() >= begun.until) return steps.end(step, { kind: "done", result: undefined });
    await steps.newsUntil(begun.until);
  }
}

/** What a wait for an event needs of the service. */
export interface EventSource {
  readonly log: Log;
  readonly waits: EventWaits;
  /** Whether an entity is one of the service's own. */
  readonly hasEntity: (name: string) => boolean;
  /** Events that history has as answers, by step. */
  readonly heard: ReadonlyMap<string, StoredEvent>;
  /** Position of the saga's first event. */
  readonly startedAt: () => Position;
}

/** Which event is waited for. */
export interface EventWish {
  readonly entity: AnyEntity;
  readonly type: string;
  readonly entityId: string | undefined;
  readonly match: ((event: Envelope) => boolean) | undefined;
  readonly after: number | undefined;
  readonly timeoutMs: number | undefined;
}

/**
 * The first event that is wished for, of those after the saga's start that no wait of the saga was given; `undefined` when none came in
 * time. History keeps where the event lies and not what it says: of a person who is forgotten nothing stays behind here.
 */
export async function waitForEvent(steps: Steps, source: EventSource, wish: EventWish): Promise<Envelope | undefined> {
  const { entity, type, entityId, timeoutMs, after } = wish;
  if (!source.hasEntity(entity.name))
    throw new ConvergentError(
      "definition_invalid",
      `the saga ${steps.id} waits for ${type}, and "${entity.name}" is no part of its service; have a reaction to it signal the saga`,
    );
  if (!type.startsWith(`${entity.name}.`) || !Object.hasOwn(entity.events as object, type.slice(entity.name.length + 1)))
    throw new ConvergentError("definition_invalid", `the saga ${steps.id} waits for ${type}, and "${entity.name}" has no such event`);
  const step = steps.named(type);
  const codec = new EventCodec([entity], source.log);
  const begun = await steps.begin(step, {
    kind: "event",
    event: type,
    ...(entityId === undefined ? {} : { entityId }),
    ...(after === undefined ? {} : { after }),
    ...(timeoutMs === undefined ? {} : { timeout: Math.ceil(timeoutMs) }),
  });
  if (begun.end) return heardEvent(step, given(step, begun.end), { heard: source.heard, decode: codec.decode });
  const { after: position = source.startedAt(), until, timeout } = begun;
  // The clock of this process may be behind that of the one which has written the newest event.
  const due = until === undefined ? undefined : Math.min(until, steps.host.clock.now() + (timeout ?? 0));
  // An append that began in time may be on its way. Behind this fact none can come to lie that was in time.
  const timeUp = (): Promise<unknown> => steps.writer.record({ name: "due", data: { step } });
  let found: StoredEvent | undefined;
  try {
    const takes = (event: StoredEvent): boolean => {
      const envelope = codec.decode(event);
      return !isDropped(envelope) && (wish.match?.(envelope) ?? true) && steps.journal.takeEvent(placeOf(event));
    };
    found = await source.waits.next({ type, entityId, after: position as Position, until, due, timeUp, takes }, steps.cancelled);
  } catch (error) {
    if (isOfRun(error)) throw error;
    return steps.end(step, { kind: "failed", error: messageOf(error), outcome: "refused" }) as undefined;
  }
  steps.end(step, { kind: "done", result: found && placeOf(found) });
  return found && codec.decode(found);
}
