/**
 * Who is told when the log grows. A listener hears of every advance. A route hears of the events it asked for and of
 * nothing else: each new event is looked at once for all routes, so a thousand readers cost an append no more than one,
 * and a reader at rest moves on with the log without doing anything (`Route.quiet`).
 *
 * Invariant: of every event in (`since` of a route, `through`] it was asked whether the route wants it.
 */
import type { Host } from "../host/host.ts";
import { comparePositions, laterPosition, origin, type Position } from "../position/position.ts";
import type { StoredEvent } from "./event.ts";
import type { EventFilter, LogPage } from "./source.ts";
import type { Head } from "./store.ts";

/** A hint of another process may be lost; this finds what it would have told, for all routes at once. */
const pollMs = 500;

/** Events of other processes that are looked at for routes; when there are more, the routes are woken to read them. */
const lookEventsMax = 4096;

/** Events remembered for one route: past them it finds its way by reading. */
const wantedMax = 256;

/** What it reads the log by. */
export interface Followed {
  readonly host: Host;
  head(): Promise<Head>;
  read(query: { after: Position; limit: number }): Promise<LogPage>;
}

/** A reader's wish to be woken for certain events only. */
export interface Route {
  /** Up to here, from `after` on, there is nothing that it wants; `after` itself when that is not known, and once it has stopped. */
  quiet(after: Position): Position;
  /** Calls `passed` after each advance, as long as that answers true. */
  tell(passed: () => boolean): void;
  stop(): void;
}

interface Entry {
  readonly wants: (type: string) => boolean;
  readonly wake: () => void;
  since: Position;
  /** Events that it wants and may not have passed, in order; the first ones only when there are many. */
  wanted: Position[];
  full: boolean;
  /** The newest event that it wants, remembered or not. */
  last: Position;
}

export class Followers {
  readonly #log: Followed;
  readonly #listeners = new Set<() => void>();
  readonly #routes = new Set<Entry>();
  /** By type, who wants it: worked out at the first event of the type. */
  readonly #byType = new Map<string, readonly Entry[]>();
  readonly #told = new Set<() => boolean>();
  #through: Position = origin;
  #looking = false;
  #lookAgain = false;
  #polling: { cancel(): void } | undefined;
  #closed = false;

  constructor(log: Followed) {
    this.#log = log;
  }

  /** Calls `listener` at every advance; a hint, which may be lost. Returns how to stop it. */
  listen(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Wakes for the events that the filter lets through, and only for them as far as that is known. */
  follow({ types, others }: EventFilter, wake: () => void): Route {
    const wanted = types && new Set(types);
    const entry: Entry = {
      wants: (type) => !wanted || wanted.has(type) || unharmed(() => others?.(type) === true, true), // its reader meets the failure
      wake,
      since: this.#through,
      wanted: [],
      full: false,
      last: origin,
    };
    this.#routes.add(entry);
    this.#byType.clear();
    this.#polling ??= this.#poll();
    return {
      quiet: (after) => (this.#routes.has(entry) ? laterPosition(after, this.#quietFor(entry, after)) : after),
      tell: (passed) => this.#told.add(passed),
      stop: () => {
        this.#routes.delete(entry);
        this.#byType.clear();
      },
    };
  }

  /** This process has committed events. */
  published(events: readonly StoredEvent[]): void {
    const first = events[0];
    if (!first) return;
    if (first.position === this.#through + 1) this.#dispatch(events);
    else this.#look();
    this.#wakeListeners();
  }

  /**
   * Something was committed: by others perhaps events, which are looked for. What this process appends it publishes itself;
   * a commit of its own without events says to listeners of other services that this log may have seen more of others.
   */
  committed(by: "us" | "others"): void {
    if (by === "others" && this.#routes.size > 0) this.#look();
    this.#wakeListeners();
  }

  /** Everything up to here was there before anybody followed. */
  begin(head: Position): void {
    this.#through = laterPosition(this.#through, head);
  }

  close(): void {
    this.#closed = true;
    this.#polling?.cancel();
    this.#listeners.clear();
    this.#routes.clear();
    this.#told.clear();
  }

  // What was passed is forgotten, and `since` moves with it: a reader that goes back finds its way by reading.
  #quietFor(entry: Entry, after: Position): Position {
    if (comparePositions(after, entry.since) < 0) return after;
    if (comparePositions(entry.last, after) <= 0) {
      entry.since = laterPosition(entry.since, entry.last);
      entry.wanted = [];
      entry.full = false;
      return this.#through;
    }
    const passed = entry.wanted.filter((position) => comparePositions(position, after) <= 0);
    entry.since = passed.at(-1) ?? entry.since;
    entry.wanted = entry.wanted.slice(passed.length);
    const next = entry.wanted[0];
    return next === undefined ? after : ((next - 1) as Position);
  }

  #dispatch(events: readonly StoredEvent[]): void {
    const woken = new Set<Entry>();
    for (const { type, position } of events) {
      for (const entry of this.#wanting(type)) {
        entry.last = position;
        // A gap in what is remembered would be taken for quiet: once it is full it grows no more until all of it is passed.
        if (entry.wanted.length < wantedMax && !entry.full) entry.wanted.push(position);
        else entry.full = true;
        woken.add(entry);
      }
    }
    this.#through = (events.at(-1) as StoredEvent).position;
    for (const { wake } of woken) unharmed(wake, undefined);
    this.#passed();
  }

  #wanting(type: string): readonly Entry[] {
    let wanting = this.#byType.get(type);
    if (!wanting) this.#byType.set(type, (wanting = [...this.#routes].filter((entry) => entry.wants(type))));
    return wanting;
  }

  // One look at a time; what others commit meanwhile is found by the next one.
  #look(): void {
    this.#lookAgain = true;
    if (!this.#looking) void this.#lookOn();
  }

  async #lookOn(): Promise<void> {
    this.#looking = true;
    try {
      while (this.#lookAgain && !this.#closed) {
        this.#lookAgain = false;
        await this.#lookOnce();
      }
    } catch {
      // The next hint or poll looks again; until then the routes know of no advance.
    } finally {
      this.#looking = false;
    }
  }

  async #lookOnce(): Promise<void> {
    const head = await this.#log.head();
    if (comparePositions(head.position, this.#through) <= 0) return;
    if (head.position - this.#through > lookEventsMax) return this.#skipTo(head.position);
    const after = this.#through;
    const { events } = await this.#log.read({ after, limit: lookEventsMax });
    const untold = events.slice(this.#through - after); // what this process published meanwhile is told already
    if (untold.length === 0) return;
    this.#dispatch(untold);
    // A page may end before the head: what this process remembers does, where others have gone on.
    if (comparePositions(this.#through, head.position) < 0) this.#lookAgain = true;
  }

  #skipTo(position: Position): void {
    this.#through = position;
    // What was wanted before is forgotten, too: passing it would take `since` back behind what was not looked at.
    for (const entry of this.#routes) [entry.since, entry.wanted, entry.full] = [position, [], false];
    for (const { wake } of this.#routes) unharmed(wake, undefined);
    this.#passed();
  }

  #passed(): void {
    for (const passed of this.#told) if (!unharmed(passed, true)) this.#told.delete(passed);
  }

  #poll(): { cancel(): void } {
    return this.#log.host.timers.after(pollMs, () => {
      if (this.#closed) return;
      if (this.#routes.size > 0) this.#look();
      this.#polling = this.#poll();
    });
  }

  #wakeListeners(): void {
    for (const listener of this.#listeners) unharmed(listener, undefined); // one that throws misses a hint, and polls
  }
}

/** What is committed is committed: somebody who is told of it and throws must not turn it into a failure. */
function unharmed<T>(tell: () => T, otherwise: T): T {
  try {
    return tell();
  } catch {
    return otherwise;
  }
}
