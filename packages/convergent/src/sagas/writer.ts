/**
 * The stream of one running saga, written by the one who runs it. Every append names the version that it follows: whoever has taken the
 * saga over has written in between, and the append of the one before is refused (R3). What is recorded in one turn is one append.
 */
import type { Backoff } from "../host/backoff.ts";
import { backoffMs } from "../host/backoff.ts";
import { isConvergentError } from "../errors/error.ts";
import type { Expected } from "../log/append.ts";
import type { Metadata, NewEvent, StoredEvent } from "../log/event.ts";
import { toEnvelope } from "../log/event.ts";
import type { Log } from "../log/log.ts";
import type { Position } from "../position/position.ts";
import type { Token } from "../position/token.ts";
import { type Fact, factOf, type Told } from "./facts.ts";

const again: Backoff = { firstMs: 20, maxMs: 2_000, factor: 2 };

/** The saga is somebody else's by now, or this process stops: nothing more is done here. With a cause, the store refused what was to be written. */
export class Abandoned extends Error {}

/** The stream was there before the saga was to be started. */
export class Exists extends Error {}

export interface WriterOptions {
  readonly log: Log;
  readonly saga: string;
  readonly stream: string;
  readonly metadata: Metadata;
  /** Version of the stream as it was read; 0 for one that is to begin. */
  readonly version: number;
  /** Told of what others have written: signals, and the wish to cancel. */
  readonly told: (fact: Told) => void;
  /** Whether a fact that waits to be written is still true after what others have written meanwhile; one that is not is left out. */
  readonly holds?: (fact: Fact) => boolean;
  /** Told, once, that nothing can be written any more. */
  readonly abandoned: (why: Abandoned) => void;
  /** Told of what was written here. */
  readonly wrote: (facts: readonly Told[]) => void;
  readonly isStopped: () => boolean;
}

function abandonedBy(error: unknown): Abandoned {
  if (error instanceof Abandoned) return error;
  if (error instanceof Exists || isConvergentError(error, "closed")) return new Abandoned(error.message);
  return new Abandoned("nothing can be written any more", { cause: error });
}

interface Waiting {
  readonly facts: readonly Fact[];
  readonly resolve: (at: number) => void;
  readonly reject: (error: unknown) => void;
}

export class Writer {
  readonly #options: WriterOptions;
  #version: number;
  #waiting: Waiting[] = [];
  #flushing: Promise<void> | undefined;
  #abandoned: Abandoned | undefined;
  /** The highest version that somebody told of. */
  #heard = 0;
  /** Of the newest append. */
  token: Token | undefined;
  /** Of the newest event that is known, whoever wrote it; undefined before the first that was appended or heard of here. */
  position: Position | undefined;

  constructor(options: WriterOptions) {
    this.#options = options;
    this.#version = options.version;
  }

  get version(): number {
    return this.#version;
  }

  /** Resolves, to the time that they were given, when the facts are durable. Throws `Abandoned`, and `Exists` for the first ones of a saga that is there already. */
  record(...facts: readonly Fact[]): Promise<number> {
    if (this.#abandoned) return Promise.reject(this.#abandoned);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ facts, resolve, reject });
      this.#flushing ??= this.#flush();
    });
  }

  /** Resolves when nothing is on its way any more. */
  async settled(): Promise<void> {
    await this.#flushing;
  }

  async #flush(): Promise<void> {
    await this.#options.log.host.timers.turn();
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0);
      try {
        const at = await this.#append(batch.flatMap(({ facts }) => facts));
        for (const each of batch) each.resolve(at);
      } catch (error) {
        // Whatever the reason: what follows must not be written without what is missing now.
        this.#abandon(abandonedBy(error));
        for (const each of batch) each.reject(error);
      }
      // What follows from it right away is one append, too.
      if (this.#waiting.length === 0) await this.#options.log.host.timers.turn();
    }
    await this.#hearOut();
    this.#flushing = undefined;
    if (this.#waiting.length > 0) this.#flushing = this.#flush();
  }

  // Somebody may wait for what was told of; nobody tells it again.
  async #hearOut(): Promise<void> {
    const { log, isStopped } = this.#options;
    for (let attempt = 1; this.#heard > this.#version && !this.#abandoned && !isStopped(); attempt++) {
      try {
        await this.#caughtUp([], []);
      } catch (error) {
        if (error instanceof Abandoned) return this.#abandon(error);
        await log.host.timers.sleep(backoffMs(again, attempt, log.host.random));
      }
      if (this.#waiting.length > 0) return; // what is to be written reads it, too
    }
  }

  // Tried until the outcome is known: a saga does not end because its store is away for a while.
  async #append(waiting: readonly Fact[]): Promise<number> {
    const { log, saga, stream, metadata, isStopped, holds = () => true } = this.#options;
    let isUncertain = false;
    for (let attempt = 1; ; attempt++) {
      if (isStopped()) throw new Abandoned("the service stops");
      // Nothing that is there already is left out: what others wrote stands where an append whose answer was lost would.
      const facts = waiting.filter(holds);
      if (facts.length === 0) return 0;
      const events = facts.map(({ name, data }): NewEvent => ({ type: `${saga}.${name}`, data }));
      try {
        const expected: Expected = this.#version === 0 ? "none" : this.#version;
        const outcome = await log.append({ stream, expected, events, metadata });
        if (outcome.kind === "appended") return this.#wrote(facts, outcome.events, outcome.token);
        if (outcome.kind === "refused") throw outcome.reason;
        const at = await this.#caughtUp(isUncertain ? facts : [], events);
        if (at !== undefined) return at;
      } catch (error) {
        if (!isConvergentError(error) || error.retry === "never" || error.code === "closed") throw error;
        isUncertain ||= error.code === "outcome_unknown";
        await log.host.timers.sleep(backoffMs(again, attempt, log.host.random));
      }
    }
  }

  /** Reads what others have written meanwhile. The time of the append of `lost`, whose answer was lost, when it is there. */
  async #caughtUp(lost: readonly Fact[], events: readonly NewEvent[]): Promise<number | undefined> {
    const { log, stream } = this.#options;
    const since = await log.stream(stream, { after: this.#version });
    if (
      lost.length > 0 &&
      events.every(({ type, data }, index) => since[index]?.type === type && since[index].data === JSON.stringify(data))
    ) {
      const own = since.slice(0, events.length);
      return this.#wrote(lost, own, await log.tokenAt((own.at(-1) as StoredEvent).position));
    }
    if (this.#version === 0) throw new Exists(`${stream} is there already`);
    for (const event of since) {
      const fact = factOf(toEnvelope(event));
      if (fact.name !== "signalled" && fact.name !== "cancelled") throw new Abandoned(`${stream} was taken over`);
      this.hear(event.version, fact);
    }
    return undefined;
  }

  /** Something that others have written; what is known already is passed over. */
  hear(version: number, fact: Told): void {
    if (version <= this.#version) return;
    // What lies before it is an append of our own that is on its way; or the news came out of order.
    if (version > this.#version + 1) {
      this.#heard = Math.max(this.#heard, version);
      this.#flushing ??= this.#flush();
      return;
    }
    this.#version = version;
    this.position = fact.position;
    this.#options.told(fact);
  }

  #abandon(why: Abandoned): void {
    if (this.#abandoned) return;
    this.#abandoned = why;
    this.#options.abandoned(why);
  }

  #wrote(facts: readonly Fact[], events: readonly StoredEvent[], token: Token): number {
    const { version, at, position } = events.at(-1) as StoredEvent;
    this.#version = version;
    this.position = position;
    this.token = token;
    this.#options.wrote(facts.map((fact, index): Told => ({ ...fact, ...told(events[index] as StoredEvent) })));
    return at;
  }
}

function told({ version, at, position }: StoredEvent): Omit<Told, keyof Fact> {
  return { version, at, position };
}
