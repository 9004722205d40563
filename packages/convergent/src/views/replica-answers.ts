/**
 * Answers reads from a replica, where that is as good as asking the store itself: what the answer is worth, only the replica's
 * own snapshot says. What this process knows of the store's head makes it older, never newer.
 *
 * - Asked for a level, a replica answers if its snapshot has reached it; one is waited for, for a moment, and else the store answers.
 * - Asked for nothing, a replica answers, labelled with how far it is.
 */
import type { Log } from "../log/log.ts";
import type { ReadTransaction } from "../log/store.ts";
import { comparePositions, earlierPosition, laterPosition, origin, type Position } from "../position/position.ts";
import type { Held, Standing } from "./answers.ts";
import { type Asked, isMet, type Label, type Level } from "./level.ts";

/** A replica is waited for that part of the time there is, and no longer than that: the store itself could answer at once. */
const waitShare = 0.5;
const waitMaxMs = 250;

/** How long until the rows of a replica whose log is near enough are looked at again. */
const lookMs = 10;

/** With nothing asked for, nothing is behind as far as was known so long ago. The head is looked at twice a second. */
const headKnownMs = 2_000;

/** How long the store is asked for the age of what a replica lacks, and when it is asked again after it did not answer. */
const askLimitMs = 250;
const askAgainMs = 1_000;

const unasked = { position: origin, at: Promise.resolve(0) };

export class ReplicaAnswers {
  readonly #log: Log;
  readonly #standing: Standing;
  /** The event asked for last of which a replica knew nothing. */
  #missing: { readonly position: Position; readonly at: Promise<number | undefined> } = unasked;

  constructor({ log, standing }: { readonly log: Log; readonly standing: Standing }) {
    this.#log = log;
    this.#standing = standing;
  }

  /** `undefined` when the store itself is to answer. */
  async answer<Body extends object>(
    { asked, level, deadline }: { readonly asked: Asked; readonly level: Level; readonly deadline: number },
    body: (tx: ReadTransaction) => Promise<Body>,
  ): Promise<(Body & Label) | undefined> {
    const { replicas, host } = this.#log;
    const held = this.#standing.elsewhere();
    if (!replicas || !held || asked.strong || level.unmet.length > 0 || level.unchecked.length > 0) return undefined;
    const hasLevel = level.asked || level.maxAgeMs !== undefined;
    const left = (): number => until - host.clock.elapsed();
    const until = host.clock.elapsed() + Math.min(waitMaxMs, (deadline - host.clock.elapsed()) * waitShare);
    for (;;) {
      const near = { position: level.position, waitMs: hasLevel ? Math.max(0, left()) : 0 };
      const found = await replicas.read(near, (tx) => this.#read(tx, { held: held(tx, asked.key), level }, body));
      if (!found?.reading) return undefined;
      if (found.reading.fresh || !hasLevel) return found.reading;
      // What is parked is not waited for, and the store says so.
      if (found.reading.parked !== undefined || left() <= lookMs || asked.signal?.aborted) return undefined;
      await host.timers.sleep(lookMs);
    }
  }

  async #read<Body extends object>(
    tx: ReadTransaction,
    asked: { readonly held: Promise<Held | undefined>; readonly level: Level },
    body: (tx: ReadTransaction) => Promise<Body>,
  ): Promise<{ readonly reading: (Body & Label) | undefined }> {
    const { level } = asked;
    const [held, value] = await Promise.all([asked.held, body(tx)]);
    if (!held) return { reading: undefined };
    const { position, parked, head } = held;
    const first = typeof parked === "object" ? parked : undefined;
    const reached = earlierPosition(position, head.position);
    const asOf = first ? earlierPosition(reached, (first.position - 1) as Position) : reached;
    const [behind, token] = await Promise.all([this.#behind(tx, asOf, head.position), this.#log.tokenAt(asOf, tx)]);
    const fresh = isMet(level, asOf, behind) && this.#isKnown(level);
    return { reading: { asOf, behind, fresh, token, ...value, ...(parked === undefined || (first && fresh) ? {} : { parked }) } };
  }

  /** How far a position is behind the newest head that is known here, which may be one that the replica has not heard of. */
  async #behind(tx: ReadTransaction, asOf: Position, own: Position): Promise<Label["behind"]> {
    const log = this.#log;
    const known = laterPosition(log.headKnown.position, log.replicas?.primary().position ?? origin);
    const positions = laterPosition(own, known) - asOf;
    if (positions === 0) return { positions, ms: 0 };
    const next = (asOf + 1) as Position;
    const at = comparePositions(asOf, own) < 0 ? await log.timeAt(next, tx) : await this.#timeAt(next);
    // Where nobody says how old it is, it is no older than the event before it (L1: times never decrease).
    const oldest = at ?? (await log.timeAt(asOf, tx)) ?? 0;
    return { positions, ms: Math.max(0, log.host.clock.now() - oldest) };
  }

  /** The time of an event, from memory or from the store, which is asked once; `undefined` when it does not answer. */
  #timeAt(position: Position): Promise<number | undefined> {
    if (this.#missing.position !== position) {
      const late = this.#log.host.timers.sleep(askLimitMs).then(() => undefined);
      const at = Promise.race([this.#log.timeAt(position).catch(() => undefined), late]);
      this.#missing = { position, at };
      void at.then((time) => {
        if (time === undefined) this.#log.host.timers.after(askAgainMs, () => (this.#missing = unasked));
      });
    }
    return this.#missing.at;
  }

  // What others have appended since the head was looked at, no replica shows. A position that was asked for is asked for whatever the head.
  #isKnown({ asked, maxAgeMs }: Level): boolean {
    if (asked && maxAgeMs === undefined) return true;
    return (this.#log.replicas?.primary().ageMs ?? Number.POSITIVE_INFINITY) <= (maxAgeMs ?? headKnownMs);
  }
}
