/**
 * Sagas of this process that wait for events of its log, served by one reader, however many they are.
 *
 * - Every wait is offered the events of its type behind its position in their order, each once, from wherever it begins. One that begins
 *   behind is read up to the others, a page at a time, in turn with them: nobody waits for it, and it is not passed over.
 * - An event costs a look for those that wait for its type and entity, and for those that wait for its type of whatever entity.
 * - Nothing is read while nobody waits, nor while the log holds nothing new of these types.
 */
import type { CancelSignal, Timer } from "../host/host.ts";
import type { StoredEvent } from "../log/event.ts";
import type { Route } from "../log/followers.ts";
import type { Log } from "../log/log.ts";
import { comparePositions, earlierPosition, laterPosition, origin, type Position } from "../position/position.ts";

/** Events read at a time. */
const pageEvents = 1_000;

/** A store that does not answer is asked again so often, and a timer runs no longer than this. */
const againMs = 1_000;
const timerMs = 3_600_000;

/** Which event is waited for. */
export interface EventWait {
  readonly type: string;
  /** Of this entity only. */
  readonly entityId: string | undefined;
  readonly after: Position;
  /** By the time of the log, in milliseconds since 1970: an event that was appended later is none. */
  readonly until: number | undefined;
  /** By the clock of this process: from then on, one that was not appended yet is none. */
  readonly due: number | undefined;
  /** Called then; what lies in the log when it has resolved is offered before the wait ends. */
  readonly timeUp: () => Promise<unknown>;
  /** Whether it is this one. */
  readonly takes: (event: StoredEvent) => boolean;
}

interface Waiting {
  readonly wait: EventWait;
  readonly resolve: (event: StoredEvent | undefined) => void;
  readonly reject: (error: unknown) => void;
  /** It has ended; nothing is offered to it any more. */
  isOver: boolean;
  /** It was offered everything up to here; as far as the others are, once it has come up to them. */
  after: Position;
  /** Its time is up: it ends once it was offered everything up to here. */
  dueAt: Position | undefined;
}

export class EventWaits {
  readonly #log: Log;
  /** By what they wait for. */
  readonly #current: Offered = new Map();
  readonly #behind = new Set<Waiting>();
  readonly #due = new Set<Waiting>();
  readonly #types = new Map<string, number>();
  #count = 0;
  /** Up to here those that are not behind were offered everything. */
  #cursor: Position = origin;
  #route: Route | undefined;
  #reading: Promise<void> | undefined;
  #readAgain = false;
  #stopped = false;

  constructor(log: Log) {
    this.#log = log;
  }

  /** Waits that have not ended. */
  get waiting(): number {
    return this.#count;
  }

  /**
   * The first event that is waited for; `undefined` once there is none by `until`. Rejects with what `takes` throws, and with the
   * reason of the signal.
   */
  async next(wait: EventWait, signal: CancelSignal): Promise<StoredEvent | undefined> {
    let waiting: Waiting | undefined;
    let timer: Timer | undefined;
    const { promise, resolve, reject } = Promise.withResolvers<StoredEvent | undefined>();
    const aborted = (): void => reject(signal.reason);
    signal.addEventListener("abort", aborted);
    try {
      if (signal.aborted) throw signal.reason;
      waiting = { wait, resolve, reject, isOver: false, after: wait.after, dueAt: undefined };
      this.#add(waiting);
      timer = this.#timer(waiting);
      return await promise;
    } finally {
      timer?.cancel();
      signal.removeEventListener("abort", aborted);
      if (waiting) this.#remove(waiting);
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#route?.stop();
    await this.#reading;
  }

  #add(waiting: Waiting): void {
    const { type } = waiting.wait;
    // Nobody is served yet: whoever comes first says where the reading begins.
    if (this.#count++ === 0) this.#cursor = waiting.after;
    this.#behind.add(waiting);
    const count = this.#types.get(type) ?? 0;
    this.#types.set(type, count + 1);
    if (count === 0) this.#follow();
    else this.#read();
  }

  #remove(waiting: Waiting): void {
    const { type } = waiting.wait;
    waiting.isOver = true;
    const key = keyOf(waiting.wait);
    const current = this.#current.get(key);
    current?.delete(waiting);
    if (current?.size === 0) this.#current.delete(key);
    this.#behind.delete(waiting);
    this.#due.delete(waiting);
    this.#count--;
    const count = (this.#types.get(type) ?? 0) - 1;
    if (count > 0) return void this.#types.set(type, count);
    this.#types.delete(type);
    this.#follow();
  }

  #follow(): void {
    this.#route?.stop();
    this.#route = undefined;
    if (this.#stopped || this.#types.size === 0) return;
    this.#route = this.#log.follow({ types: [...this.#types.keys()] }, () => this.#read());
    this.#read();
  }

  #timer(waiting: Waiting): Timer | undefined {
    const { due } = waiting.wait;
    if (due === undefined) return undefined;
    const { clock, timers } = this.#log.host;
    let timer: Timer | undefined;
    let isOver = false;
    const set = (): void => {
      const leftMs = due - clock.now();
      if (isOver) return;
      timer =
        leftMs > 0
          ? timers.after(Math.min(leftMs, timerMs), set)
          : void this.#isDue(waiting).catch(() => (timer = timers.after(againMs, set)));
    };
    set();
    return {
      cancel: () => {
        isOver = true;
        timer?.cancel();
      },
    };
  }

  // What was appended before its time was up may not have been read yet.
  async #isDue(waiting: Waiting): Promise<void> {
    await waiting.wait.timeUp();
    const { position } = await this.#log.head();
    waiting.dueAt = position;
    this.#due.add(waiting);
    this.#read();
  }

  #read(): void {
    if (this.#stopped) return;
    this.#readAgain = true;
    this.#reading ??= this.#readOn().finally(() => (this.#reading = undefined));
  }

  async #readOn(): Promise<void> {
    while (this.#readAgain && !this.#stopped) {
      this.#readAgain = false;
      try {
        for (let isMore = true; isMore && !this.#stopped; ) isMore = [await this.#page(), await this.#pageBehind()].includes(true);
      } catch {
        if (!this.#stopped) await this.#log.host.timers.sleep(againMs).then(() => (this.#readAgain = true));
      }
    }
  }

  /** Offers a page to those that are not behind. Answers whether there may be more. */
  async #page(): Promise<boolean> {
    if (this.#current.size === 0) return false;
    const after = this.#route?.quiet(this.#cursor) ?? this.#cursor;
    const { events, scanned } = await this.#log.read({ after, limit: pageEvents, types: [...this.#types.keys()] });
    offerAll(this.#current, events);
    this.#cursor = scanned;
    for (const waiting of this.#due) if (!this.#behind.has(waiting)) endIfDue(waiting, scanned);
    return scanned !== after;
  }

  /** Offers those that are behind a page from where the last of them is; whoever has come up to the others is one of them. */
  async #pageBehind(): Promise<boolean> {
    const behind = [...this.#behind];
    const [first] = behind;
    if (!first) return false;
    const after = behind.reduce((least, waiting) => earlierPosition(least, waiting.after), first.after);
    const { events, scanned } = await this.#log.read({ after, limit: pageEvents, types: [...this.#types.keys()] });
    const offered: Offered = new Map();
    for (const waiting of behind) add(offered, waiting);
    offerAll(offered, events);
    for (const waiting of behind) {
      waiting.after = laterPosition(waiting.after, scanned);
      endIfDue(waiting, waiting.after);
    }
    // With nobody before them, the first of these is where the others come up to.
    if (this.#current.size === 0) this.#cursor = behind.reduce((most, { after: to }) => laterPosition(most, to), this.#cursor);
    const isAtHead = scanned === after;
    for (const waiting of behind) {
      if (!isAtHead && comparePositions(waiting.after, this.#cursor) < 0) continue;
      if (this.#behind.delete(waiting)) add(this.#current, waiting); // unless it has ended meanwhile
    }
    return true;
  }
}

/** Who is offered what, by `keyOf`. */
type Offered = Map<string, Set<Waiting>>;

function keyOf({ type, entityId }: Pick<EventWait, "type" | "entityId">): string {
  return entityId === undefined ? type : `${type}/${entityId}`;
}

function add(offered: Offered, waiting: Waiting): void {
  const key = keyOf(waiting.wait);
  const some = offered.get(key);
  if (some) some.add(waiting);
  else offered.set(key, new Set([waiting]));
}

function offerAll(offered: Offered, events: readonly StoredEvent[]): void {
  for (const event of events) {
    const { type, stream } = event;
    for (const waiting of offered.get(type) ?? []) offer(waiting, event);
    for (const waiting of offered.get(keyOf({ type, entityId: stream.slice(stream.indexOf("/") + 1) })) ?? []) offer(waiting, event);
  }
}

function offer(waiting: Waiting, event: StoredEvent): void {
  const { wait, after, resolve, reject } = waiting;
  if (waiting.isOver || comparePositions(event.position, after) <= 0) return;
  // Times never go back along the log.
  if (wait.until !== undefined && event.at > wait.until) return end(waiting, () => resolve(undefined));
  try {
    if (wait.takes(event)) end(waiting, () => resolve(event));
  } catch (error) {
    end(waiting, () => reject(error));
  }
}

function end(waiting: Waiting, how: () => void): void {
  waiting.isOver = true;
  how();
}

function endIfDue(waiting: Waiting, reached: Position): void {
  const { dueAt, resolve } = waiting;
  if (dueAt !== undefined && comparePositions(reached, dueAt) >= 0) end(waiting, () => resolve(undefined));
}
