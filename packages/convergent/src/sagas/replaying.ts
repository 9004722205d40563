/**
 * Runs the script of a saga against what its stream says, without effects: every step answers from history, and nothing is begun. Tells
 * the first step at which the script does something else, which would park the saga when it is taken over.
 */
import type { AnyEntity } from "../entities/entity.ts";
import { EventCodec } from "../log/codec.ts";
import type { StoredEvent } from "../log/event.ts";
import type { Log } from "../log/log.ts";
import { validated } from "../log/schema.ts";
import { hasEnded, type SagaState } from "../protocol/saga.ts";
import { messageOf } from "./attempts.ts";
import { Cancellation } from "./cancellation.ts";
import { shown, type Told } from "./facts.ts";
import { type Difference, Diverged, Journal } from "./journal.ts";
import type { AnySaga, SagaScope, StepOptions } from "./saga.ts";
import { given, Steps, type ToBegin } from "./steps.ts";
import { heardBefore, heardEvent } from "./heard.ts";

/** A script that asks for nothing so long, and has not ended, waits for something that is no step. */
const silentMs = 2_000;

/** Why a script does not go with a history. */
export interface SagaDifference extends Difference {
  readonly message: string;
}

/** What there is to compare with. */
export interface Replay {
  readonly definition: AnySaga;
  readonly id: string;
  readonly history: readonly Told[];
}

/** Undefined when the script does what history says, as far as that goes. */
export async function replaySaga(log: Log, { definition, id, history }: Replay): Promise<SagaDifference | undefined> {
  const replay = new Replaying(log, { definition, id, history }, await heardBefore(log, history));
  return replay.run();
}

type End = { readonly kind: "rests" | "returned" | "silent" } | { readonly kind: "threw"; readonly error: unknown };

class Replaying {
  readonly #log: Log;
  readonly #replay: Replay;
  readonly #heard: ReadonlyMap<string, StoredEvent>;
  readonly #journal: Journal;
  readonly #steps: Steps;
  readonly #state: SagaState;
  readonly #rests = Promise.withResolvers<End>();
  /** The first one; a script may catch what it is thrown. */
  #diverged: Diverged | undefined;
  /** What it asks for that has not ended in history, or is new. */
  #open: string | undefined;
  #asked = 0;

  constructor(log: Log, replay: Replay, heard: ReadonlyMap<string, StoredEvent>) {
    this.#log = log;
    this.#replay = replay;
    this.#heard = heard;
    const { definition, id, history } = replay;
    this.#journal = new Journal(log.host.timers, definition.version);
    this.#journal.read(history);
    let state: SagaState | undefined;
    for (const fact of history) state = shown(state, fact);
    this.#state = state as SagaState;
    const cancelled = new Cancellation();
    if (this.#journal.cancelled !== undefined) cancelled.cancel(new Error(this.#journal.cancelled));
    this.#steps = new Steps({
      host: log.host,
      journal: this.#journal,
      // Nothing is begun: what is new waits for ever.
      writer: { record: (fact) => this.#isNew("step" in fact.data ? (fact.data.step ?? "") : "") },
      cancelled,
      left: new Cancellation(),
      saga: definition.name,
      id,
    });
  }

  async run(): Promise<SagaDifference | undefined> {
    const { definition, id } = this.#replay;
    const script = async (): Promise<End> => {
      try {
        await definition.run(this.#scope, await validated(definition.input, this.#state.input, `the input of ${definition.name} ${id}`));
        return { kind: "returned" };
      } catch (error) {
        return { kind: "threw", error };
      }
    };
    const over = new Cancellation();
    const silence = this.#silence(over);
    try {
      return this.#judged(await Promise.race([script(), this.#rests.promise, silence]));
    } finally {
      over.cancel(new Error("the replay is over"));
    }
  }

  #judged(end: End): SagaDifference | undefined {
    const { begunCount, isReverted, undoing } = this.#journal;
    const hasCompleted = this.#state.status === "completed" || isReverted;
    const said = end.kind === "threw" && !(end.error instanceof Diverged) ? `; the code throws: ${messageOf(end.error)}` : "";
    try {
      if (end.kind === "threw" && end.error instanceof Diverged) throw end.error;
      if (this.#diverged) throw this.#diverged;
      if (end.kind === "returned" || end.kind === "threw") this.#journal.requireSpent();
    } catch (error) {
      if (!(error instanceof Diverged)) throw error;
      return { ...(error.difference ?? { step: begunCount + 1 }), message: sentenceOf(error) + said };
    }
    const step = begunCount + 1;
    const after = `after ${begunCount} ${begunCount === 1 ? "step" : "steps"}`;
    if (end.kind === "silent") return { step, message: `the code waits ${after} for something that is no step` };
    if (end.kind === "rests" && hasCompleted)
      return {
        step,
        ...(this.#open === undefined ? {} : { asks: this.#open }),
        message: `it completed ${after}, the code asks for '${this.#open}'`,
      };
    if (end.kind === "threw" && hasCompleted) return { step, message: `it completed ${after}${said}` };
    if (end.kind === "returned" && undoing !== undefined && !isReverted)
      return { step, message: `it was undone ${after}, the code completes` };
    return undefined;
  }

  get #scope(): SagaScope {
    const journal = this.#journal;
    return {
      id: this.#replay.id,
      version: journal.version,
      now: () => journal.at,
      step: (name, _, options = {}) => {
        const undo = options.undo === undefined ? undefined : (options as StepOptions<unknown>);
        return this.#ask(name, { kind: "step", undo }) as Promise<never>;
      },
      sleep: async (name) => void (await this.#ask(name, { kind: "timer" })),
      until: async (name) => void (await this.#ask(name, { kind: "timer" })),
      signal: (name) => this.#ask(name, { kind: "signal", signal: name }) as Promise<never>,
      waitFor: ((entity: AnyEntity, type: string) => this.#event(entity, type)) as unknown as SagaScope["waitFor"],
      run: (child, _, { name = child.name } = {}) =>
        this.#ask(name, { kind: "saga", child: { saga: child.name, id: "" }, undo: {} }) as Promise<never>,
    };
  }

  async #event(entity: AnyEntity, type: string): Promise<unknown> {
    const step = this.#steps.named(type);
    const place = await this.#answer(step, { kind: "event", event: type });
    return heardEvent(step, place, { heard: this.#heard, decode: new EventCodec([entity], this.#log).decode });
  }

  #ask(name: string, begins: ToBegin): Promise<unknown> {
    return this.#answer(this.#steps.named(name), begins);
  }

  async #answer(step: string, begins: ToBegin): Promise<unknown> {
    this.#asked++;
    try {
      const { end } = await this.#steps.begin(step, begins);
      this.#asked++;
      void this.#restsPerhaps();
      return await (end ? given(step, end) : this.#isNew(step));
    } catch (error) {
      if (error instanceof Diverged) this.#diverged ??= error;
      throw error;
    }
  }

  #isNew(step: string): Promise<never> {
    this.#open ??= step;
    void this.#restsPerhaps();
    return new Promise(() => undefined);
  }

  /** It rests when it was given all that history has, and asks for nothing more without being given more. */
  async #restsPerhaps(): Promise<void> {
    const asked = this.#asked;
    const { timers } = this.#log.host;
    for (let turn = 0; turn < 2; turn++) await timers.turn();
    if (this.#asked === asked && this.#open !== undefined && this.#journal.isSpent) this.#rests.resolve({ kind: "rests" });
  }

  async #silence(over: Cancellation): Promise<End> {
    const { timers } = this.#log.host;
    for (let asked = -1; asked !== this.#asked && !over.aborted; ) {
      asked = this.#asked;
      await timers.sleep(silentMs, over).catch(() => undefined);
    }
    return { kind: "silent" };
  }
}

function sentenceOf({ difference, message }: Diverged): string {
  if (difference?.was === undefined) return message;
  const { step, was, asks } = difference;
  return `step ${step} was '${was}', the code asks for ${asks === undefined ? "nothing more" : `'${asks}'`}`;
}

/** Whether a saga goes on by itself, or waits for somebody. */
export function isUnfinished(history: readonly Told[]): boolean {
  let state: SagaState | undefined;
  for (const fact of history) state = shown(state, fact);
  return state !== undefined && (!hasEnded(state.status) || state.status === "parked");
}
