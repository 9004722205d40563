/**
 * How a reader at rest moves on with its log: the log of its own store tells it of the events it wants, and until one
 * comes it has passed all others without reading them. A reader of another service's log is woken by each advance,
 * because what that log has seen of others changes with each event, wanted or not.
 */
import type { Route } from "../log/followers.ts";
import type { Log } from "../log/log.ts";
import type { EventFilter, LogSource } from "../log/source.ts";
import { comparePositions, type Position } from "../position/position.ts";
import type { SlotPlaces } from "./slot-places.ts";
import type { Waiters } from "./waiters.ts";

export class QuietRoute {
  readonly #on: { readonly source: LogSource; readonly effects: Log };
  readonly #filter: EventFilter;
  #route: Route | undefined;
  #telling = false;

  constructor(on: { readonly source: LogSource; readonly effects: Log }, filter: EventFilter) {
    this.#on = on;
    this.#filter = filter;
  }

  /** Wakes from now on, and has those look who wait already; returns how to stop it. */
  start(wake: () => void, waiters: Waiters): () => void {
    const { source, effects } = this.#on;
    if (source !== effects) return source.onAdvance(wake);
    const route = effects.follow(this.#filter, wake);
    this.#route = route;
    this.tell(waiters);
    return () => route.stop();
  }

  /** Whether the log tells of what is wanted, so that nobody needs to poll for it. */
  get isOn(): boolean {
    return this.#route !== undefined;
  }

  /** Passes what holds nothing of interest. */
  move(places: SlotPlaces): void {
    if (!this.#route) return;
    const after = places.cursor;
    places.pass({ after, scanned: this.#route.quiet(after) }, []);
  }

  /** Whether nothing can be read after a position, as far as this process knows: what others append, the log looks for. */
  isAtHead(position: Position): boolean {
    return this.isOn && comparePositions(position, this.#on.effects.headKnown.position) >= 0;
  }

  /** Has waiters look after each advance of the log, until none wait. */
  tell(waiters: Waiters): void {
    if (!this.#route || this.#telling || !waiters.waiting) return;
    this.#telling = true;
    this.#route.tell(() => {
      waiters.progressed();
      this.#telling = waiters.waiting;
      return this.#telling;
    });
  }
}
