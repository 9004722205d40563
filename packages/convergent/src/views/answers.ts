/**
 * Answers reads with the level they ask for: waits for what was asked, at most as long as was asked, and labels what it
 * then finds. `asOf` and the value come from one snapshot: the label is never better than the value.
 */
import { ConvergentError } from "../errors/error.ts";
import { durationMs } from "../host/duration.ts";
import type { CancelSignal } from "../host/host.ts";
import type { Log } from "../log/log.ts";
import type { Head, ReadTransaction } from "../log/store.ts";
import { comparePositions, earlierPosition, laterPosition, origin, type Position } from "../position/position.ts";
import { parseToken } from "../position/token.ts";
import type { ParkedAt } from "../protocol/reading.ts";
import type { Inboxes } from "../readers/inboxes.ts";
import { type Asked, isMet, isShort, type Label, type Level, named, nothing, oldestMs } from "./level.ts";
import { ReplicaAnswers } from "./replica-answers.ts";

const waitDefaultMs = 1000;

/** How long until rows are looked at again that went back, or whose first missing event is being tried again. */
const lookMs = 25;

/** An order key, for a question about one document. */
export interface Place {
  readonly key?: string;
  readonly signal?: CancelSignal;
}

/** The rows that answer: how far they are, and waiting for that. */
export interface Standing {
  /** What is known of now, without a snapshot; `undefined` for rows that are never behind. */
  position(key?: string): Promise<Position | undefined>;
  /** Resolves true once `position` is in the rows, false after `waitMs`. */
  waitFor(position: Position, waitMs: number, place: Place): Promise<boolean>;
  /** To be taken before a snapshot is opened; says what that snapshot holds. */
  claim(): (tx: ReadTransaction, key?: string) => Promise<Claimed>;
  /**
   * Says what a snapshot of a replica holds, by that snapshot alone, or `undefined` of one that may not answer; `undefined`
   * when none may.
   */
  elsewhere(): HeldIn | undefined;
}

/** What rows hold: everything up to a position, but for what is set aside (R4). */
export interface Claimed {
  readonly position: Position;
  /** Of one order key the first event that is set aside, or how many order keys are. */
  readonly parked?: ParkedAt | number | undefined;
}

/** What rows in a snapshot hold, and the snapshot's own head. */
export interface Held extends Claimed {
  readonly head: Head;
}

export type HeldIn = (tx: ReadTransaction, key?: string) => Promise<Held | undefined>;

export interface AnswersOptions {
  readonly view: string;
  readonly log: Log;
  readonly inboxes: Inboxes;
  readonly standing: Standing;
}

export class Answers {
  readonly #options: AnswersOptions;
  readonly #replicas: ReplicaAnswers;

  constructor(options: AnswersOptions) {
    this.#options = options;
    this.#replicas = new ReplicaAnswers(options);
  }

  /** Runs `body` on a snapshot and labels what it returns. Throws `not_fresh` when asked to, `token_invalid`, `token_epoch`. */
  async answer<Body extends object>(given: Asked, body: (tx: ReadTransaction) => Promise<Body>): Promise<Body & Label> {
    const { log, view } = this.#options;
    const asked = named(given);
    const { clock, timers } = log.host;
    const deadline = clock.elapsed() + (asked.wait === undefined ? waitDefaultMs : durationMs(asked.wait));
    const isAsked = asked.after !== undefined || asked.strong === true || asked.maxAge !== undefined;
    let level = isAsked ? await this.#level(asked, deadline) : nothing;
    // How old what it lacks may be, a replica can say itself: the store is asked nothing then.
    const atOnce = log.replicas && level.maxAgeMs !== undefined && { asked, level, deadline: clock.elapsed() };
    const young = atOnce && (await this.#replicas.answer(atOnce, body));
    if (young) return young;
    for (;;) {
      const isMet = isAsked && (await this.#reach(level, deadline, asked));
      const elsewhere = log.replicas && (isMet || !isAsked) && (await this.#replicas.answer({ asked, level, deadline }, body));
      if (elsewhere) return elsewhere;
      const mayWait = isMet && clock.elapsed() < deadline && !asked.signal?.aborted;
      const reading = await this.#read({ key: asked.key, level, mayWait }, body);
      if (reading && !reading.fresh && asked.stale === "error") throw notFresh(view, reading);
      if (reading) return reading;
      // It may be the horizon that it is short of, which is reached by age.
      if (level.asked) level = { ...level, maxAgeMs: oldestMs(level) };
      await timers.sleep(Math.max(0, Math.min(lookMs, deadline - clock.elapsed())));
    }
  }

  /** Resolves true once a snapshot holds everything up to `position` but for what is set aside, false after `waitMs`. */
  async holds(position: Position, waitMs: number): Promise<boolean> {
    const { log, standing } = this.#options;
    const { clock, timers } = log.host;
    const deadline = clock.elapsed() + waitMs;
    while (await standing.waitFor(position, deadline - clock.elapsed(), {})) {
      const claim = standing.claim();
      const held = await log.snapshot((tx) => claim(tx));
      if (comparePositions(held.position, position) >= 0) return true;
      if (clock.elapsed() >= deadline) return false;
      await timers.sleep(Math.max(0, Math.min(lookMs, deadline - clock.elapsed())));
    }
    return false;
  }

  /** `undefined` when the snapshot holds less than was known of, and there is time to wait: rows went back, or an event is being tried again. */
  async #read<Body extends object>(
    { key, level, mayWait }: { readonly key: string | undefined; readonly level: Level; readonly mayWait: boolean },
    body: (tx: ReadTransaction) => Promise<Body>,
  ): Promise<(Body & Label) | undefined> {
    const { log, standing } = this.#options;
    const claim = standing.claim();
    return log.snapshot(async (tx) => {
      const head = await tx.head();
      const { position, parked } = await claim(tx, key);
      const first = typeof parked === "object" ? parked : undefined;
      const reached = earlierPosition(position, head.position);
      const asOf = first ? earlierPosition(reached, (first.position - 1) as Position) : reached;
      const next = comparePositions(asOf, head.position) < 0 ? await log.timeAt((asOf + 1) as Position, tx) : undefined;
      const behind = { positions: head.position - asOf, ms: next === undefined ? 0 : Math.max(0, log.host.clock.now() - next) };
      if (mayWait && first?.state !== "parked" && isShort(level, asOf, behind)) return undefined;
      const label = { asOf, behind, fresh: isMet(level, asOf, behind), token: await log.tokenAt(asOf, tx) };
      const reading = { ...label, ...(await body(tx)) };
      if (level === nothing && parked === undefined) return reading; // nearly every read, and it has said all
      return {
        ...reading,
        ...(level.unchecked.length > 0 ? { unchecked: level.unchecked } : {}),
        ...(level.unmet.length > 0 ? { unmet: level.unmet } : {}),
        ...(parked === undefined || (first && label.fresh) ? {} : { parked }),
      };
    });
  }

  // What is asked for, as positions of this log; waits for what other stores caused here.
  async #level({ after, strong, maxAge, signal }: Asked, deadline: number): Promise<Level> {
    const { log, inboxes } = this.#options;
    const maxAgeMs = maxAge === undefined ? undefined : durationMs(maxAge);
    const asked = after !== undefined || strong === true;
    const position = strong ? (await log.head()).position : origin;
    if (after === undefined) return { position, asked, maxAgeMs, unmet: [], unchecked: [] };
    const demand = await log.demand(typeof after === "string" ? parseToken(after) : after);
    const { unmet, unchecked, ...caused } = await inboxes.exchange(demand.foreign, deadline, signal);
    return { position: laterPosition(laterPosition(position, demand.position), caused.position), asked, maxAgeMs, unmet, unchecked };
  }

  // Waits for a level, until the deadline. Whether a snapshot holds what is then known of, the snapshot says.
  async #reach({ position, maxAgeMs }: Level, deadline: number, { key, signal }: Asked): Promise<boolean> {
    const { log, standing } = this.#options;
    const place = { ...(key === undefined ? {} : { key }), ...(signal ? { signal } : {}) };
    const isReached = position === origin || (await standing.waitFor(position, deadline - log.host.clock.elapsed(), place));
    const isYoung = maxAgeMs === undefined || (await this.#reachAge(maxAgeMs, deadline, place));
    return isReached && isYoung;
  }

  // While it waits, events that were young enough grow too old: what is asked for is found anew after each wait.
  async #reachAge(maxAgeMs: number, deadline: number, place: Place): Promise<boolean> {
    const { log, standing } = this.#options;
    for (;;) {
      const wanted = await this.#lastOlderThan(log.host.clock.now() - maxAgeMs, place.key);
      if (wanted === undefined) return true;
      if (!(await standing.waitFor(wanted, deadline - log.host.clock.elapsed(), place))) return false;
    }
  }

  /** The last position the reader lacks whose event is older than `time`; `undefined` when there is none. Times never decrease (L1). */
  async #lastOlderThan(time: number, key: string | undefined): Promise<Position | undefined> {
    const { log, standing } = this.#options;
    const position = await standing.position(key);
    if (position === undefined) return undefined;
    const isOlder = async (position: number): Promise<boolean> =>
      ((await log.timeAt(position as Position)) ?? Number.POSITIVE_INFINITY) < time;
    let least = position + 1;
    if (!(await isOlder(least))) return undefined;
    let beyond = (await log.head()).position + 1;
    while (beyond - least > 1) {
      const middle = Math.floor((least + beyond) / 2);
      if (await isOlder(middle)) least = middle;
      else beyond = middle;
    }
    return least as Position;
  }
}

function notFresh(view: string, { asOf, behind, unmet = [], unchecked = [], parked }: Label): ConvergentError {
  const missing = [...unmet, ...unchecked];
  const parkedAt = typeof parked === "object" ? parked : undefined;
  const why = parkedAt
    ? `: the event at ${parkedAt.position} could not be applied (${parkedAt.error}); see: convergent parked list --store FILE`
    : missing.length > 0
      ? `: what the token names of ${missing.join(", ")} has not arrived`
      : "";
  return new ConvergentError(
    "not_fresh",
    `the view "${view}" stands at position ${asOf}, ${behind.positions} behind, and did not reach what was asked for in time${why}`,
    { details: { asOf, behind, unmet, unchecked, ...(parkedAt ? { parked: parkedAt } : {}) } },
  );
}
