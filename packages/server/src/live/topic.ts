/**
 * A subject that is watched: looked at once for all its watches, whatever connections they are of. It lives as long as somebody watches.
 * Whoever watches is listed before the subject is looked at, and every look is of now: nothing falls in between.
 */
import { catalogue, type ConvergentError, isConvergentError, type Timer, type Timers } from "convergent";
import { problemBody, unexpected } from "../gateway/problem.ts";
import type { Newest } from "./newest.ts";
import { progressMs, type Watch } from "./watch.ts";

export interface TopicOptions {
  /** A digest of what is watched; cursors carry it. */
  readonly target: string;
  /** Version of the view's definition; 0 of what has none. */
  readonly version: number;
  readonly epoch: () => string;
  /** Asks the store for the head of the log. */
  readonly head: () => Promise<number>;
  /** What is told to those who may not see it, and ends their watch; without it they are told that there is no value. */
  readonly unseen?: () => ConvergentError;
  readonly timers: Timers;
  readonly now: () => number;
  /** Asks the store; undefined where whoever follows publishes the present state, too. */
  readonly look?: () => Promise<Newest>;
  /** Begins to have it looked at, or to publish, when there is something new; what is returned stops that. */
  readonly follow: (topic: Topic) => () => void;
  /** Nobody watches any more. */
  readonly onLeft: () => void;
  /** What nobody expected. */
  readonly onError: (error: unknown) => void;
}

/**
 * A subject is kept known for this long after its last watcher has gone: those whose line was cut come back all at once, and the store is asked nothing.
 */
const lingerMs = 5_000;

/**
 * When telling everybody took longer than this, what comes within as long again is told together, with one write a connection: a write costs more than what is
 * written. Of a saga with 1,000 watchers it is 178,000 messages a second by 81,000 (`npm run bench -- live`).
 */
const gatherFromMs = 2;

/** States that wait to be told together: more are not kept. */
const gatheredMax = 32;

/** From a look that failed to the next one. */
const retryMs = 500;

export class Topic {
  newest: Newest | undefined;
  /** What was not told yet, the newest last. */
  #untold: Newest[] = [];
  #gathering: Timer | undefined;
  readonly #options: TopicOptions;
  readonly #watches = new Set<Watch>();
  #unfollow: (() => void) | undefined;
  #looking: Promise<void> | undefined;
  #lookAgain = false;
  #later: Timer | undefined;
  #retry: Timer | undefined;
  #lingering: Timer | undefined;

  constructor(options: TopicOptions) {
    this.#options = options;
  }

  get target(): string {
    return this.#options.target;
  }

  get version(): number {
    return this.#options.version;
  }

  get epoch(): string {
    return this.#options.epoch();
  }

  get unseen(): (() => ConvergentError) | undefined {
    return this.#options.unseen;
  }

  head(): Promise<number> {
    return this.#options.head();
  }

  now(): number {
    return this.#options.now();
  }

  /** A watch joins; the subject is looked at if nobody keeps it known. */
  join(watch: Watch): void {
    this.#watches.add(watch);
    this.#lingering?.cancel();
    if (this.#unfollow) return;
    this.#unfollow = this.#options.follow(this);
    void this.look();
  }

  leave(watch: Watch): void {
    if (!this.#watches.delete(watch) || this.#watches.size > 0) return;
    this.#later?.cancel();
    this.#later = undefined;
    if (this.newest) this.#lingering = this.#options.timers.after(lingerMs, () => this.#forget());
    else this.#forget();
  }

  /** Looks at the subject, and tells. A look that is asked for during another follows it; one that failed comes again by itself. Never rejects. */
  look(): Promise<void> {
    const { look } = this.#options;
    if (!look) return Promise.resolve();
    this.#lookAgain = this.#looking !== undefined;
    this.#looking ??= this.#looks(look).finally(() => (this.#looking = undefined));
    return this.#looking;
  }

  /** Tells a state that somebody else looked at. */
  publish(newest: Newest): void {
    const { standing } = newest;
    // A replica, or another node's rows, may be behind what was seen before.
    const before = this.newest?.standing;
    if (before && before.epoch === standing.epoch && standing.asOf < before.asOf) return;
    // Who joins from now on must not be told of the history before.
    if (before && before.epoch !== standing.epoch && this.#untold.length > 0) this.#tell();
    this.newest = newest;
    this.#untold.push(newest);
    if (!this.#gathering || this.#untold.length >= gatheredMax) this.#tell();
  }

  #tell(): void {
    this.#gathering?.cancel();
    this.#gathering = undefined;
    const states = this.#untold;
    this.#untold = [];
    const startedAt = this.now();
    for (const watch of this.#watches) watch.offer(states);
    const tookMs = this.now() - startedAt;
    if (tookMs >= gatherFromMs)
      this.#gathering = this.#options.timers.after(tookMs, () => {
        this.#gathering = undefined;
        if (this.#untold.length > 0) this.#tell();
      });
  }

  /** Offers what is known once more, when somebody who was told of the position a moment ago may be told again. */
  offerLater(): void {
    this.#later ??= this.#options.timers.after(progressMs, () => {
      this.#later = undefined;
      for (const watch of this.#watches) watch.offer();
    });
  }

  /** Ends every watch with a failure. */
  fail(error: unknown): void {
    if (!isConvergentError(error)) this.#options.onError(error);
    const problem = isConvergentError(error) ? problemBody(error) : unexpected;
    this.newest = undefined; // nothing is kept of what failed
    this.#untold = [];
    for (const watch of [...this.#watches]) watch.refuse(problem);
    this.#lingering?.cancel();
    this.#forget();
  }

  // Once: by the time that a last look has failed, somebody else may watch the same subject anew.
  #forget(): void {
    if (this.#watches.size > 0 || !this.#unfollow) return;
    this.#unfollow();
    this.#unfollow = undefined;
    this.#retry?.cancel();
    this.#gathering?.cancel();
    this.#gathering = undefined;
    this.#untold = [];
    this.#options.onLeft();
  }

  async #looks(look: () => Promise<Newest>): Promise<void> {
    do {
      this.#lookAgain = false;
      try {
        this.publish(await look());
      } catch (error) {
        if (!passes(error)) return this.fail(error);
        this.#lookAgain = false;
        this.#retry?.cancel();
        if (this.#unfollow) this.#retry = this.#options.timers.after(retryMs, () => void this.look());
      }
    } while (this.#lookAgain && this.#unfollow); // whoever comes while it is still known is told what it knows
  }
}

/** What goes by: the store is away, or the rows are being built. */
function passes(error: unknown): boolean {
  return isConvergentError(error) && catalogue[error.code].retry === "later";
}
